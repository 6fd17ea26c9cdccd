"""The schemas say what the helpdesk's reference says, and the room that checks them says it in words."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bulkmsg import schema
from bulkmsg.schema import Checker, Violation, checker

Entry = dict[str, Any]

INCOMING: Entry = {
    "type": "incoming",
    "ticket_id": 348149927,
    "channel": "email",
    "sender": {"email": "jane@example.com"},
    "source": {"from": {"address": "jane@example.com"}, "to": [{"address": "support@acme.com"}]},
    "subject": "Where is my order?",
    "body_text": "Hi!",
    "sent_datetime": "2021-03-01T10:00:00Z",
}
OUTGOING: Entry = {
    "type": "outgoing",
    "ticket_id": 348149927,
    "channel": "email",
    "sender": {"email": "anna@acme.com"},
    "source": {"from": {"address": "support@acme.com"}, "to": [{"address": "jane@example.com"}]},
    "subject": "Re: Where is my order?",
    "body_text": "On its way.",
    "sent_datetime": "2021-03-01T11:00:00Z",
}
NOTE: Entry = {
    "type": "internal-note",
    "ticket_id": 348149927,
    "sender": {"email": "anna@acme.com"},
    "body_text": "Called the carrier.",
    "created_datetime": "2021-03-01T10:30:00Z",
}
BASES = {"incoming": INCOMING, "outgoing": OUTGOING, "internal-note": NOTE}


def without(entry: Entry, *fields: str) -> Entry:
    return {k: v for k, v in entry.items() if k not in fields}


def changed(entry: Entry, path: str, value: object) -> Entry:
    """A copy with one value set, or removed if the value is `...`."""
    new = copy.deepcopy(entry)
    at: Any = new
    *way, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for part in way:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return new


def verdict(check: Checker, entry: object) -> list[Violation]:
    """What the explaining engine finds, after making sure that the fast one agrees."""
    found = check.violations(entry)
    assert check.is_valid(entry) == (not found)
    return found


# --- The rules of the reference, one by one ----------------------------------------------------------------

VALID = [
    ("incoming", "phone without any routing", without({**INCOMING, "channel": "phone"}, "source")),
    ("incoming", "sender by id", {**INCOMING, "sender": {"id": 7}}),
    ("incoming", "a custom channel", {**INCOMING, "channel": "acme-kiosk"}),
    ("incoming", "from_agent as implied", {**INCOMING, "from_agent": False}),
    ("incoming", "public as implied", {**INCOMING, "public": True}),
    ("incoming", "only an HTML body", {**without(INCOMING, "body_text"), "body_html": "<p>Hi</p>"}),
    (
        "incoming",
        "only an attachment",
        {
            **without(INCOMING, "body_text"),
            "attachments": [{"url": "https://x.example/a.png", "name": "a.png", "content_type": "image/png"}],
        },
    ),
    (
        "incoming",
        "a second recipient known by name only",
        changed(INCOMING, "source.to", [{"address": "a@b"}, {"name": "B"}]),
    ),
    ("incoming", "a date with an offset", {**INCOMING, "sent_datetime": "2021-03-01T11:00:00.25+01:00"}),
    ("outgoing", "a receiver", {**OUTGOING, "receiver": {"email": "jane@example.com"}}),
    ("outgoing", "by text message", {**without(OUTGOING, "source"), "channel": "sms"}),
    (
        "outgoing",
        "a phone number as address",
        changed({**OUTGOING, "channel": "sms"}, "source.from.address", "+14155550100"),
    ),
    ("internal-note", "its channel said", {**NOTE, "channel": "internal-note"}),
    (
        "internal-note",
        "its source said",
        {**NOTE, "source": {"type": "internal-note", "from": {"address": "a@b"}}},
    ),
    ("internal-note", "mentions", {**NOTE, "mention_ids": [8842]}),
    ("internal-note", "public as implied", {**NOTE, "public": False}),
    (
        "internal-note",
        "dated by sent_datetime",
        {**without(NOTE, "created_datetime"), "sent_datetime": "2021-03-01T10:00:00Z"},
    ),
]


@pytest.mark.parametrize(("kind", "what", "entry"), VALID, ids=[f"{k}: {w}" for k, w, _ in VALID])
def test_accepts(kind: str, what: str, entry: Entry) -> None:
    assert verdict(checker(kind, "import", "on_ticket"), entry) == []


@pytest.mark.parametrize("kind", BASES)
def test_accepts_the_plain_entry_of_each_type(kind: str) -> None:
    assert verdict(checker(kind, "import", "on_ticket"), BASES[kind]) == []


# type, path to change, new value (... removes), where the finding stands, its field, its keyword
WRONG: list[tuple[str, str, object, tuple[str | int, ...], str | None, str]] = [
    ("incoming", "channel", ..., (), "channel", "required"),
    ("incoming", "channel", "internal-note", ("channel",), None, "const"),
    ("incoming", "channel", "", ("channel",), None, "minLength"),
    ("incoming", "sender", ..., (), "sender", "required"),
    ("incoming", "sender", {"name": "Jane"}, ("sender",), "email", "anyOf"),
    ("incoming", "sender.email", "jane", ("sender", "email"), None, "pattern"),
    ("incoming", "sender.email", "jane@example.com\n", ("sender", "email"), None, "not"),
    ("incoming", "sender.email", "x" * 310 + "@example.com", ("sender", "email"), None, "maxLength"),
    ("incoming", "sender.id", True, ("sender", "id"), None, "type"),
    ("incoming", "receiver", {"id": 1}, (), "receiver", "additionalProperties"),
    ("incoming", "mention_ids", [1], (), "mention_ids", "additionalProperties"),
    ("incoming", "from_agent", True, ("from_agent",), None, "enum"),
    ("incoming", "from_agent", 0, ("from_agent",), None, "type"),
    ("incoming", "public", False, ("public",), None, "enum"),
    ("incoming", "source", ..., (), "source", "required"),
    ("incoming", "source.from", ..., ("source",), "from", "required"),
    ("incoming", "source.from.address", ..., ("source", "from"), "address", "required"),
    ("incoming", "source.from.address", "jane", ("source", "from", "address"), None, "pattern"),
    ("incoming", "source.from.address", "jane @example.com", ("source", "from", "address"), None, "pattern"),
    ("incoming", "source.from.address", "\u202ejane@example.com", ("source", "from", "address"), None, "pattern"),
    ("incoming", "source.to", ..., ("source",), "to", "required"),
    ("incoming", "source.to", [], ("source", "to"), None, "minItems"),
    ("incoming", "source.to.0", {"name": "Support"}, ("source", "to", 0), "address", "required"),
    ("incoming", "source.type", "mail", ("source", "type"), None, "enum"),
    ("incoming", "via", "gorgias_chat", ("via",), None, "enum"),
    ("incoming", "body_text", ..., (), "body_text", "anyOf"),
    ("incoming", "body_text", "", (), "body_text", "anyOf"),
    ("incoming", "body_text", "x" * 1_000_001, ("body_text",), None, "maxLength"),
    ("incoming", "subject", "x" * 999, ("subject",), None, "maxLength"),
    ("incoming", "subject", None, ("subject",), None, "type"),
    ("incoming", "external_id", "x" * 256, ("external_id",), None, "maxLength"),
    ("incoming", "external_id", "", ("external_id",), None, "minLength"),
    ("incoming", "external_id", 1.1, ("external_id",), None, "type"),
    ("incoming", "sent_datetime", ..., (), "sent_datetime", "required"),
    ("incoming", "sent_datetime", "", ("sent_datetime",), None, "pattern"),
    ("incoming", "sent_datetime", None, ("sent_datetime",), None, "type"),
    ("incoming", "sent_datetime", "2021-03-01T10:00:00", ("sent_datetime",), None, "pattern"),
    ("incoming", "sent_datetime", "2021-03-01T10:00:00Z\n", ("sent_datetime",), None, "not"),
    (
        "incoming",
        "sent_datetime",
        "\u0662\u0660\u0662\u0661-03-01T10:00:00Z",
        ("sent_datetime",),
        None,
        "pattern",
    ),
    ("incoming", "ticket_id", ..., (), "ticket_id", "anyOf"),
    ("incoming", "ticket_id", 0, ("ticket_id",), None, "minimum"),
    ("incoming", "ticket_id", "348149927", ("ticket_id",), None, "type"),
    ("incoming", "ticket_id", True, ("ticket_id",), None, "type"),
    ("incoming", "ticket_id", 2**53, ("ticket_id",), None, "maximum"),
    ("incoming", "ticket_external_id", "zendesk-1", ("ticket_external_id",), None, "not"),
    (
        "incoming",
        "attachments",
        [{"url": "https://x.example/a", "name": "a"}],
        ("attachments", 0),
        "content_type",
        "required",
    ),
    ("incoming", "meta", {"when": b"bytes"}, ("meta", "when"), None, "type"),
    ("incoming", "type", "outgoing", ("type",), None, "const"),
    ("outgoing", "sender", ..., (), "sender", "required"),
    ("outgoing", "sender", {}, ("sender",), "email", "anyOf"),
    ("outgoing", "receiver", {"name": "Jane"}, ("receiver",), "email", "anyOf"),
    ("outgoing", "from_agent", False, ("from_agent",), None, "enum"),
    ("outgoing", "channel", "internal-note", ("channel",), None, "const"),
    ("outgoing", "sent_datetime", ..., (), "sent_datetime", "required"),
    ("internal-note", "channel", "email", ("channel",), None, "enum"),
    ("internal-note", "sender", ..., (), "sender", "required"),
    ("internal-note", "receiver", {"id": 1}, (), "receiver", "additionalProperties"),
    ("internal-note", "public", True, ("public",), None, "enum"),
    ("internal-note", "from_agent", False, ("from_agent",), None, "enum"),
    ("internal-note", "source", {"from": {"address": "a@b"}}, ("source",), "type", "required"),
    ("internal-note", "source", {"type": "email"}, ("source", "type"), None, "enum"),
    ("internal-note", "body_text", ..., (), "body_text", "anyOf"),
    ("internal-note", "created_datetime", ..., (), "created_datetime", "anyOf"),
    ("internal-note", "mention_ids", ["x"], ("mention_ids", 0), None, "type"),
]


@pytest.mark.parametrize(("kind", "path", "value", "where", "field", "keyword"), WRONG)
def test_refuses(
    kind: str, path: str, value: object, where: tuple[str | int, ...], field: str | None, keyword: str
) -> None:
    entry = changed(BASES[kind], path, value)
    found = verdict(checker(kind, "import", "on_ticket"), entry)
    assert [(v.path, v.field, v.keyword) for v in found] == [(where, field, keyword)]


@pytest.mark.parametrize("kind", BASES)
@pytest.mark.parametrize(
    "field", ["actions", "rule_id", "deleted_datetime", "failed_datetime", "last_sending_error", "imported"]
)
def test_fields_refused_on_purpose_say_why(kind: str, field: str) -> None:
    [found] = verdict(checker(kind), {**BASES[kind], field: 1})
    assert (found.path, found.field, found.keyword) == ((), field, "additionalProperties")
    assert found.message.startswith(f"{field} is refused: ")


# --- Modes and tickets -------------------------------------------------------------------------------------


def test_import_says_why_a_public_message_needs_its_date() -> None:
    [found] = verdict(checker("outgoing", "import"), without(OUTGOING, "sent_datetime"))
    assert "otherwise the helpdesk would really send it to the customer" in found.message


def test_send_refuses_a_date_on_outgoing_messages_only() -> None:
    [found] = verdict(checker("outgoing", "send"), OUTGOING)
    assert (found.path, found.field) == (("sent_datetime",), None)
    assert verdict(checker("outgoing", "send"), without(OUTGOING, "sent_datetime")) == []
    assert verdict(checker("incoming", "send"), INCOMING) == []
    assert verdict(checker("incoming", "send"), without(INCOMING, "sent_datetime")) == []
    assert verdict(checker("internal-note", "send"), without(NOTE, "created_datetime")) == []


@pytest.mark.parametrize("kind", BASES)
def test_inside_a_new_ticket_no_ticket_is_named(kind: str) -> None:
    entry = without(BASES[kind], "ticket_id")
    assert verdict(checker(kind, "in_ticket"), entry) == []
    for field, value in (("ticket_id", 5), ("ticket_external_id", "x")):
        [found] = verdict(checker(kind, "in_ticket"), {**entry, field: value})
        assert (found.path, found.keyword) == ((field,), "not")
    assert verdict(checker(kind, "on_ticket"), {**entry, "ticket_external_id": "x"}) == []


TICKET: Entry = {
    "external_id": "zendesk-1042",
    "subject": "Where is my order",
    "customer": {"email": "jane@example.com"},
    "status": "closed",
    "tags": ["vip"],
    "custom_fields": [{"id": 41, "value": "Damaged"}],
    "created_datetime": "2021-03-01T10:00:00Z",
    "messages": [without(b, "ticket_id") for b in BASES.values()],
}


def test_accepts_a_ticket_of_all_three_types() -> None:
    assert verdict(checker("ticket", "import"), TICKET) == []


def test_accepts_a_ticket_of_more_messages_than_one_request_may_hold() -> None:
    assert verdict(checker("ticket", "import"), {**TICKET, "messages": TICKET["messages"] * 167}) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "field", "keyword"),
    [
        ("messages", ..., (), "messages", "required"),
        ("messages", [], ("messages",), None, "minItems"),
        ("messages.1.type", ..., ("messages", 1), "type", "required"),
        ("messages.1.type", "outgong", ("messages", 1, "type"), None, "enum"),
        ("messages.1.ticket_id", 4, ("messages", 1, "ticket_id"), None, "not"),
        ("messages.0.sent_datetime", ..., ("messages", 0), "sent_datetime", "required"),
        ("messages.2.created_datetime", ..., ("messages", 2), "created_datetime", "anyOf"),
        ("status", "spam", ("status",), None, "enum"),
        ("priority", "urgent", ("priority",), None, "enum"),
        ("tags", ["x" * 257], ("tags", 0), None, "maxLength"),
        ("tags", "vip", ("tags",), None, "type"),
        ("subject", "x" * 999, ("subject",), None, "maxLength"),
        ("external_id", "x" * 256, ("external_id",), None, "maxLength"),
        ("customer", {"name": "Jane"}, ("customer",), "email", "anyOf"),
        ("assignee_user", {}, ("assignee_user",), "id", "required"),
        ("closed_datetime", "yesterday", ("closed_datetime",), None, "pattern"),
        ("imported", True, (), "imported", "additionalProperties"),
        ("ticket_id", 5, (), "ticket_id", "additionalProperties"),
    ],
)
def test_refuses_a_ticket(
    path: str, value: object, where: tuple[str | int, ...], field: str | None, keyword: str
) -> None:
    found = verdict(checker("ticket", "import"), changed(TICKET, path, value))
    assert [(v.path, v.field, v.keyword) for v in found] == [(where, field, keyword)]


# --- The batch ---------------------------------------------------------------------------------------------

SPRING: Entry = {
    "version": 1,
    "name": "spring-recall",
    "account": "acme",
    "mode": "send",
    "defaults": {"via": "api", "outgoing": {"channel": "email"}, "ticket": {"status": "closed"}},
    "messages": [
        {"type": "incoming", "ticket_id": 348149927, "subject": None},
        {"from": "more.csv", "key": "id"},
    ],
    "tickets": {
        "from": "customers.csv",
        "delimiter": ";",
        "columns": {"E-mail": "email"},
        "template": {
            "subject": "Your order {{ order_no }}",
            "status": "{{ status }}",
            "messages": [{"type": "outgoing", "from_agent": "{{ yes }}", "body_text": "Hi {{ first_name }}"}],
        },
    },
}


def test_accepts_a_batch() -> None:
    assert verdict(checker("batch"), SPRING) == []
    assert verdict(checker("batch"), {"version": 1, "messages": []}) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "field", "keyword"),
    [
        ("version", ..., (), "version", "required"),
        ("version", 2, ("version",), None, "const"),
        ("version", True, ("version",), None, "const"),
        ("name", ..., (), "name", "required"),
        ("account", "Acme", ("account",), None, "pattern"),
        ("account", "acme\n", ("account",), None, "not"),
        ("accounts", {"acme": {}}, ("account",), None, "not"),
        ("continues", "other.yaml", (), "continues", "additionalProperties"),
        ("mode", "dry", ("mode",), None, "enum"),
        ("defaults.key", "x", ("defaults",), "key", "additionalProperties"),
        (
            "defaults.outgoing.receivr",
            {},
            ("defaults", "outgoing"),
            "receivr",
            "additionalProperties",
        ),
        ("messages.0.type", ..., ("messages", 0), "type", "required"),
        ("messages.0.type", "note", ("messages", 0, "type"), None, "enum"),
        ("messages.0.receiver", {}, ("messages", 0), "receiver", "additionalProperties"),
        ("messages.1.templat", {}, ("messages", 1), "templat", "additionalProperties"),
        ("tickets.delimiter", "::", ("tickets", "delimiter"), None, "maxLength"),
        ("tickets.from", 5, ("tickets", "from"), None, "type"),
        ("tickets.template.sbject", "x", ("tickets", "template"), "sbject", "propertyNames"),
        (
            "tickets.template.messages.0.sent_datetime",
            "{{ when }}",
            ("tickets", "template", "messages", 0, "sent_datetime"),
            None,
            "const",
        ),
        (
            "tickets.template.messages.0.actions",
            [],
            ("tickets", "template", "messages", 0),
            "actions",
            "propertyNames",
        ),
    ],
)
def test_refuses_a_batch(
    path: str, value: object, where: tuple[str | int, ...], field: str | None, keyword: str
) -> None:
    found = verdict(checker("batch"), changed(SPRING, path, value))
    assert [(v.path, v.field, v.keyword) for v in found] == [(where, field, keyword)]


@pytest.mark.parametrize(
    ("value", "where", "field", "keyword"),
    [
        ({}, (), None, "minProperties"),
        (["acme"], (), None, "type"),
        ({"Acme": {}}, (), "Acme", "propertyNames"),
        ({"acme\n": {}}, (), "acme\n", "propertyNames"),
        ({"acme": {"mode": "send"}}, ("acme",), "mode", "additionalProperties"),
        ({"acme": {"defaults": {"bodytext": "x"}}}, ("acme", "defaults"), "bodytext", "additionalProperties"),
    ],
)
def test_refuses_accounts(value: object, where: tuple[str, ...], field: str | None, keyword: str) -> None:
    [found] = verdict(checker("batch"), {"version": 1, "accounts": value, "messages": []})
    assert (found.path, found.field, found.keyword) == (("accounts", *where), field, keyword)


def test_what_an_account_may_bring_is_not_missed_in_entries() -> None:
    batch = {"version": 1, "messages": [{"ticket_id": 1}, {"type": "incoming", "ticket_id": 1}]}
    brings = {"defaults": {"type": "incoming", "sent_datetime": "2021-03-01T10:00:00Z"}}
    for accounts, missed in (
        ({"acme": {}, "staging": None}, ["sent_datetime", "type"]),
        ({"acme": {}, "staging": brings}, []),
    ):
        found = verdict(checker("batch"), {**batch, "accounts": accounts})
        assert sorted(str(each.field) for each in found) == missed


def test_a_batch_needs_entries() -> None:
    [found] = verdict(checker("batch"), {"version": 1})
    assert found.field == "messages"


def test_the_import_rule_reaches_editors_unless_defaults_bring_the_date() -> None:
    batch = {
        "version": 1,
        "messages": [{"type": "incoming", "ticket_id": 1}, {"type": "internal-note", "ticket_id": 1}],
    }
    assert [(v.path, v.field) for v in verdict(checker("batch"), batch)] == [
        (("messages", 0), "sent_datetime"),
        (("messages", 1), "created_datetime"),
    ]
    dated = {**batch, "defaults": {"sent_datetime": "2021-03-01T10:00:00Z"}}
    assert verdict(checker("batch"), dated) == []


def test_defaults_may_give_the_type() -> None:
    batch = {
        "version": 1,
        "mode": "send",
        "name": "x",
        "defaults": {"type": "incoming"},
        "messages": [{"ticket_id": 1}],
    }
    assert verdict(checker("batch"), batch) == []
    [found] = verdict(checker("batch"), changed(batch, "messages.0.bodytext", "x"))
    assert (found.field, found.hint) == ("bodytext", "did you mean body_text?")


def test_null_removes_what_defaults_bring_and_is_gone_from_finished_entries() -> None:
    written = {
        "type": "outgoing",
        "subject": None,
        "source": {"cc": None},
        "sent_datetime": None,
        "via": None,
    }
    assert verdict(checker("outgoing#entry"), written) == []
    for path in ("subject", "via", "source.cc", "source.from.name", "sender.name", "created_datetime"):
        found = verdict(checker("outgoing"), changed(OUTGOING, path, None))
        assert [v.keyword for v in found] == ["type"], path


# --- Progress log, events, reports -------------------------------------------------------------------------


def test_each_record_event_and_report_is_told_by_its_name() -> None:
    for name, tag in (("progress-log", "record"), ("event", "event")):
        for kind, definition in schema.load(name)["$defs"].items():
            [example] = definition["examples"]
            assert example[tag] == kind
            assert verdict(checker(name), example) == []
            [found] = verdict(checker(name), {**example, "body_text": "x"})
            assert found.field == "body_text"


def test_no_address_gets_into_the_progress_log_or_events() -> None:
    intent = schema.load("progress-log")["$defs"]["intent"]["examples"][0]
    settled = schema.load("event")["$defs"]["message_settled"]["examples"][0]
    assert [v.path for v in verdict(checker("progress-log"), {**intent, "key": "jane@example.com"})] == [("key",)]
    assert [v.path for v in verdict(checker("event"), {**settled, "key": "jane@example.com"})] == [("key",)]


def test_the_order_of_records_names_only_records_and_outcomes() -> None:
    log = schema.load("progress-log")
    outcomes = log["$defs"]["outcome"]["properties"]["outcome"]["enum"]
    assert set(log["x-order"]) == {"none", "intent", "retry", *outcomes}
    for following in log["x-order"].values():
        for record in following:
            kind, _, outcome = record.partition(":")
            assert kind in log["$defs"] and (not outcome or outcome in outcomes)


@pytest.mark.parametrize(
    "part",
    [
        "run",
        "validate",
        "diagnostic",
        "plan",
        "result",
        "auth",
        "account",
        "account_list",
        "resolve",
        "doubt",
        "explain",
        "explained_field",
    ],
)
def test_reports(part: str) -> None:
    check = checker(f"report#{part}")
    [example] = schema.load("report")["$defs"][part]["examples"]
    assert verdict(check, example) == []
    assert verdict(check, {**example, "surprise": 1}) != []


# --- The schemas themselves --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", schema.NAMES)
def test_is_a_schema_of_the_2020_12_dialect(name: str) -> None:
    Draft202012Validator.check_schema(schema.load(name))
    assert schema.load(name)["$id"] == f"https://bulkmsg.dev/schemas/{name}.schema.json"


def nodes(node: object) -> Iterator[Entry]:
    """Every schema within a schema, not what stands in examples, enumerations or annotations."""
    if isinstance(node, list):
        for item in node:
            yield from nodes(item)
    elif isinstance(node, dict):
        yield node
        for word, value in node.items():
            if word in ("properties", "patternProperties", "$defs"):
                for inner in value.values():
                    yield from nodes(inner)
            elif word not in ("examples", "enum", "const") and not word.startswith("x-"):
                yield from nodes(value)


def fields(name: str) -> Iterator[tuple[str, Entry]]:
    """Every property that a reader or an editor may come upon; those of a bare condition describe nothing."""
    for node in nodes(schema.load(name)):
        if any(isinstance(p, dict) and "title" in p for p in node.get("properties", {}).values()):
            yield from node["properties"].items()


def definitions(name: str) -> Iterator[tuple[str, Entry]]:
    for node in nodes(schema.load(name)):
        yield from node.get("$defs", {}).items()


@pytest.mark.parametrize("name", schema.NAMES)
def test_every_field_has_title_description_and_example(name: str) -> None:
    for field, node in fields(name):
        assert node.get("title") and node.get("description"), field
        assert node.get("examples") or node.get("not") == {}, field
    for definition, node in definitions(name):
        assert node.get("title") and node.get("description"), definition


@pytest.mark.parametrize("name", schema.NAMES)
def test_the_examples_are_valid(name: str) -> None:
    for field, node in (*fields(name), *definitions(name)):
        inlined = schema._resolve(node, f"{schema.BASE}{name}.schema.json", ())
        check = Checker(name, {"$schema": schema.DIALECT, **inlined})
        for example in node.get("examples", []):
            assert verdict(check, example) == [], field
    for example in schema.load(name).get("examples", []):
        assert verdict(checker(name), example) == []


BY_EDITORS = {"batch", "incoming", "outgoing", "internal-note", "ticket", "common"}  # the others are read by programs


@pytest.mark.parametrize("name", schema.NAMES)
def test_editors_say_the_same_sentences_as_the_tool(name: str) -> None:
    for node in nodes(schema.load(name)):
        said = node.get("errorMessage")
        if "patternErrorMessage" in node or ("pattern" in node and "x-expects" in node and name in BY_EDITORS):
            assert node["patternErrorMessage"] == f"must be {node['x-expects']}"
        if said is not None and ("x-why" in node or "x-expects" in node):
            assert said == node.get("x-why", f"must be {node.get('x-expects')}")
        if said is not None and node.get("additionalProperties") is False:
            assert said.endswith(", ".join(node["properties"])), "it is said of unknown fields as well"


FREE = {"meta", "headers", "extra", "flags", "columns", "template"}


def closed_objects(node: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where in an instance an object stands that is not free data by its nature."""
    if isinstance(node, dict):
        yield path
        for name, value in node.items():
            if name not in FREE:
                yield from closed_objects(value, (*path, name))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from closed_objects(value, (*path, i))


def samples() -> Iterator[tuple[str, Entry]]:
    yield from BASES.items()
    yield from (("ticket", TICKET), ("batch", SPRING))
    for name in ("progress-log", "event"):
        yield from ((name, d["examples"][0]) for d in schema.load(name)["$defs"].values())
    for part in ("run", "validate", "diagnostic", "plan", "result", "resolve", "doubt"):
        yield f"report#{part}", schema.load("report")["$defs"][part]["examples"][0]


@pytest.mark.parametrize(("name", "sample"), list(samples()))
def test_no_object_takes_an_unknown_field(name: str, sample: Entry) -> None:
    for path in closed_objects(sample):
        stranger = changed(sample, ".".join(map(str, (*path, "zzz"))), 1)
        found = [v for v in verdict(checker(name), stranger) if v.field == "zzz"]
        assert [v.path for v in found] == [path]


@pytest.mark.parametrize("name", schema.NAMES)
def test_patterns_and_keywords_are_ones_that_both_engines_read_alike(name: str) -> None:
    for node in nodes(schema.load(name)):
        assert not {"format", "oneOf", "uniqueItems"} & node.keys()
        assert all(re.fullmatch(r"\^[a-z_]+\$", named) for named in node.get("patternProperties", ()))
        pattern = node.get("pattern", "")
        assert "\\" not in pattern and "(?" not in pattern
        if pattern.endswith("$"):  # Python's $ also matches before a final line break
            laid_over_a_checked_one = node.get("description", "").startswith("In a finished entry")
            assert "not" in node or node.get("maxLength") == node.get("minLength") or laid_over_a_checked_one


def test_the_lists_are_those_of_the_reference() -> None:
    shared = schema.load("common")["$defs"]
    assert len(set(shared["via"]["enum"]) - {None}) == 29
    assert len(set(shared["source_type"]["enum"]) - {None}) == 49
    assert len(set(shared["channel"]["examples"])) == 21


def test_templates_know_the_same_fields_as_entries() -> None:
    template = schema.load("batch")["$defs"]["message_template"]["allOf"]
    for rule, kind in zip(template, BASES, strict=False):
        assert rule["then"]["propertyNames"]["enum"] == list(schema.load(kind)["$defs"]["entry"]["properties"])


def test_templates_tell_of_each_field_what_entries_tell() -> None:
    told = {name: schema.load(name)["$defs"] for name in ("batch", "outgoing", "ticket")}
    messages = {**told["outgoing"]["entry"]["properties"], **told["batch"]["defaults"]["properties"]}
    for template, of_entries in (("message", messages), ("ticket", told["ticket"]["fields"]["properties"])):
        for field, node in told["batch"][f"{template}_template"]["properties"].items():
            if (template, field) != ("ticket", "messages"):
                assert {word: node[word] for word in ("title", "description")} == {
                    word: of_entries[field][word] for word in ("title", "description")
                }, field
        assert list(told["batch"][f"{template}_template"]["properties"]) == names_of(told["batch"], template)


def names_of(definitions: Entry, template: str) -> list[str]:
    """The names that a template may have when it does not say its type."""
    whole = definitions[f"{template}_template"]
    rule = whole if "propertyNames" in whole else whole["allOf"][-1]["then"]
    return list(rule["propertyNames"]["enum"])


# --- The room ----------------------------------------------------------------------------------------------


def test_misspelt_names_and_values_are_recognised() -> None:
    found = verdict(checker("outgoing"), {**OUTGOING, "vai": "api", "via": "emial", "to": [], "Body-Text": "x"})
    assert {v.field or v.path[-1]: v.hint for v in found} == {
        "vai": "did you mean via?",
        "via": "did you mean email?",
        "to": "did you mean source.to?",
        "Body-Text": "did you mean body_text?",
    }


def test_no_finding_repeats_what_people_wrote() -> None:
    secret = "jane.doe@example.com called about her illness"
    entry: Entry = changed(changed(OUTGOING, "source.from.address", secret), "sender.email", secret)
    entry = {
        **entry,
        "body_text": [secret],
        "channel": {"x": secret},
        "via": secret,
        "subject": secret * 99,
        secret: 1,
    }
    found = checker("outgoing", "import", "on_ticket").violations(entry)
    assert len(found) >= 6
    assert not any("jane.doe" in v.message + v.hint for v in found if v.field != secret)


def test_values_that_json_has_no_word_for_are_findings_not_crashes() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    keyed: dict[Any, Any] = {5: "x"}
    values: list[Any] = [b"x", {1, 2}, object(), keyed, float("nan"), float("inf"), 10**400, 10**5000, "\ud800", deep]
    for value in values:
        entry: dict[Any, Any] = {**INCOMING, "subject": value, "meta": {"x": value}}
        entry[7] = value
        check = checker("incoming", "import", "on_ticket")
        assert not check.is_valid(entry)
        assert check.violations(entry)
    wrongs: list[Any] = [None, [], "text", 5, b"x"]
    for wrong in wrongs:
        assert not checker("incoming").is_valid(wrong)
        assert [v.keyword for v in checker("incoming").violations(wrong)] == ["type"]


def test_checkers_are_compiled_once_and_know_their_parts() -> None:
    assert checker("outgoing", "import") is checker("outgoing", "import")
    for bad in (("nosuch",), ("outgoing", "nosuch"), ("report#nosuch",)):
        with pytest.raises(KeyError):
            checker(*bad)


def test_describe_tells_of_a_field() -> None:
    assert (schema.describe("outgoing", ("source", "to", "address")) or "").startswith("Address: ")
    assert (schema.describe("batch", ("defaults", "outgoing", "via")) or "").startswith("Via: ")
    assert (schema.describe("ticket", ("messages", "type")) or "").startswith("Type: ")
    assert schema.describe("incoming", ("receiver",)) is None
    assert schema.describe("incoming", ("source", "form")) is None


def test_nothing_is_fetched() -> None:
    foreign = {"$schema": schema.DIALECT, "$ref": "https://json-schema.org/draft/2020-12/nowhere"}
    with pytest.raises(ValueError, match="nowhere"):
        schema._compile_fast(foreign)
    with pytest.raises(Exception, match="Unresolvable"):
        list(schema._compile_slow(foreign).iter_errors({}))


def test_jsonschema_is_imported_for_the_first_invalid_instance_only() -> None:
    code = (
        "import sys, json\nfrom bulkmsg.schema import checker\n"
        "c = checker('incoming'); c.is_valid({}); assert 'jsonschema' not in sys.modules\n"
        "c.violations({}); assert 'jsonschema' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_text_is_the_file_and_load_its_data() -> None:
    for name in schema.NAMES:
        assert json.loads(schema.text(name)) == schema.load(name)
    with pytest.raises(KeyError):
        schema.text("../pyproject")


def test_a_name_that_is_no_text_is_a_finding_and_no_error_of_ours() -> None:
    found = schema.checker("batch").violations({"version": 1, "messages": [{"from": "rows.csv", 7: 1}]})
    assert [(each.keyword, each.message) for each in found] == [("propertyNames", "a field's name is not text")]
