"""What the schemas say of a field is found by its path, all of it, and told in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bulkmsg import fields, schema
from bulkmsg.fields import Field, field

Schema = dict[str, Any]


def told(path: str) -> Field:
    found = field(path)
    assert found is not None, path
    return found


def _written_below(home: str, part: Schema, path: str, depth: int = 0) -> Iterator[tuple[str, Schema]]:
    """The paths of all fields, by a walk of its own: down properties, items and references."""
    if depth > 12:
        return
    for name, inner in part.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from _written_below(home, inner, f"{path}.{name}", depth + 1)
    if isinstance(part.get("items"), dict):
        yield from _written_below(home, part["items"], path, depth + 1)
    if "$ref" in part:
        file, _, pointer = part["$ref"].partition("#/$defs/")
        home = file.removesuffix(".schema.json") or home
        if pointer != "json":  # free data, which holds itself
            yield from _written_below(home, schema.load(home)["$defs"][pointer], path, depth + 1)


STARTS = [
    *((kind, "entry", kind) for kind in fields.MESSAGE_TYPES),
    ("ticket", "fields", "ticket"),
    ("batch", "", "batch"),
    ("batch", "message_block", "batch.messages"),
    ("batch", "ticket_block", "batch.tickets"),
    ("batch", "defaults", "batch.defaults"),
    *(
        (name, part, f"{name}.{part}")
        for name in ("event", "report", "progress-log")
        for part in schema.load(name)["$defs"]
    ),
]


@pytest.mark.parametrize(("name", "part", "path"), STARTS, ids=[path for *_, path in STARTS])
def test_every_field_of_every_schema_can_be_explained(name: str, part: str, path: str) -> None:
    start = schema.load(name)["$defs"][part] if part else schema.load(name)
    written = dict(reversed(list(_written_below(name, start, path))))
    assert written
    for each, node in written.items():
        found = told(each)
        assert (found.title, found.description) == (node["title"], node["description"])
        assert found.kind or found.allowed or "type" not in node, each
        assert found.examples == tuple(node["examples"]), each


def test_every_path_is_found_and_named_below_the_one_above_it() -> None:
    assert len(fields.paths()) == len(set(fields.paths())) > 500
    for path in fields.paths():
        above, _, name = path.rpartition(".")
        assert told(path).title, path
        assert not above or name in [each.name for each in told(above).below]


def test_no_schema_is_forgotten() -> None:
    assert {*fields.ROOTS, "common"} == set(schema.NAMES)


@pytest.mark.parametrize("path", ["outgoing.body", "outgoing.source.from.email", "nothing", "", "common.person", "."])
def test_what_no_schema_has_is_not_found(path: str) -> None:
    assert field(path) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("outgoing.external_id", "text, 1 to 255 characters"),
        ("outgoing.subject", "text, at most 998 characters"),
        ("outgoing.sent_datetime", "a date and time such as 2021-03-01T10:00:00Z, at most 40 characters"),
        ("outgoing.ticket_id", "a whole number, 1 or more, such as 348149927"),
        ("outgoing.attachments", "a list of maps of fields, at most 500 items"),
        ("ticket.tags", "a list of texts, at most 1,000 items"),
        ("ticket.custom_fields.value", "text or a number or true or false"),
        ("batch.messages.from", "text, at least 1 character; or a list of texts, at least 1 item"),
        ("batch.messages.delimiter", "text, exactly 1 character"),
        ("outgoing.source", "a map of fields"),
        ("outgoing.via", ""),
        ("outgoing", ""),
    ],
)
def test_kinds_and_limits_in_words(path: str, kind: str) -> None:
    assert told(path).kind == kind


def test_the_only_values_that_a_field_can_have() -> None:
    assert told("batch.mode").allowed == ("import", "send")
    assert told("internal-note.channel").allowed == ("internal-note",)
    assert told("outgoing.from_agent").allowed == ("true",)
    assert told("batch.version").allowed == ("1",)
    assert len(told("incoming.via").allowed) == 29
    assert len(told("incoming.source.type").allowed) == 49
    assert told("outgoing.channel").allowed == ()


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("incoming.sent_datetime", ["required in import mode: every public message must carry sent_datetime"]),
        (
            "outgoing.sent_datetime",
            ["required in import mode: every public message", "must be absent in send mode: an outgoing message"],
        ),
        (
            "internal-note.created_datetime",
            ["one of sent_datetime, created_datetime is required in import mode: a note"],
        ),
        ("outgoing.source.from", ["required on the email channel: the helpdesk refuses"]),
        ("outgoing.source.to.address", ["required on the email channel"]),
        ("outgoing.sender", ["required: say who wrote it by id or email"]),
        ("outgoing.sender.email", ["one of id, email is required"]),
        ("outgoing.body_text", ["one of body_text, body_html, attachments is required"]),
        (
            "outgoing.ticket_id",
            [
                "one of ticket_id, ticket_external_id is required on an existing ticket",
                "must be absent inside a new ticket",
            ],
        ),
        ("outgoing.attachments.url", ["required where there is no file: give the address"]),
        ("ticket.messages", ["required"]),
        ("ticket.subject", []),
        ("batch.version", ["required: a batch begins with version: 1"]),
        ("batch.name", ["required in send mode: the name makes sure"]),
        ("event.message_settled.outcome", ["required"]),
        ("event.outcome", ["required where event is message_settled"]),
    ],
)
def test_where_a_field_is_required_or_must_be_absent(path: str, begins: list[str]) -> None:
    demands = told(path).demands
    assert len(demands) == len(begins)
    assert all(demand.startswith(begin) for demand, begin in zip(demands, begins, strict=True)), demands


def test_the_fields_below_tell_which_are_always_needed() -> None:
    needed = {each.name for each in told("outgoing").below if each.required}
    assert needed == {"channel", "sender"}
    assert {each.name for each in told("internal-note").below if each.required} == {"sender"}


def test_fields_refused_on_purpose_say_why() -> None:
    assert fields.refused("outgoing.rule_id") == "only the helpdesk itself sets it; leave it out"
    assert fields.refused("outgoing.body_text") == ""
    assert fields.refused("outgoing.nothing.rule_id") == ""
    assert fields.refused("nothing") == ""


def test_fields_that_are_alike_are_told_once() -> None:
    kinds = [told(f"{kind}.sender.email") for kind in fields.MESSAGE_TYPES]
    assert [len(group) for group in fields.alike(kinds)] == [3]
    dates = [told(f"{kind}.sent_datetime") for kind in fields.MESSAGE_TYPES]
    assert [len(group) for group in fields.alike(dates)] == [1, 1, 1]
