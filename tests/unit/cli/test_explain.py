"""`bulkmsg explain`: what can be asked for, and how the answer looks."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bulkmsg import fields, rule_pages, schema
from bulkmsg.app.explain import explain
from bulkmsg.diagnostic import RULES, Diagnostic, Severity
from bulkmsg.errors import UsageError
from bulkmsg.fields import Told
from bulkmsg.reports import explain as text
from bulkmsg.reports.explain_json import explanations
from bulkmsg.rule_pages import Page

# Of what grows with each new rule, the expected answers hold these.
FEW = ("BM101", "BM106", "BM119", "BM301", "BM302", "BM407", "BM504")
GOLDEN = Path(__file__).parent / "explain"


def named(*wanted: str) -> list[tuple[str, ...]]:
    """The paths of the fields that are told, those of which one explanation holds together."""
    return [each.names if isinstance(each, Told) else (each.rule,) for each in explain(wanted)]


def shown(name: str, width: int) -> list[str]:
    if name == "all":
        return list(text.overview([rule_pages.pages()[rule] for rule in FEW], width))
    lines: list[str] = []
    for each in explain([name]):
        if isinstance(each, Page):
            lines += [*text.rule(each, width), ""]
        else:
            few = tuple(rule for rule in each.rules if rule in FEW)
            lines += [*text.field(replace(each, rules=few), width), ""]
    return lines[:-1]


# -- what can be asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        ("bm301", [("BM301",)]),
        ("outgoing", [("outgoing",)]),
        ("outgoing.source.from", [("outgoing.source.from",)]),
        ("Outgoing.Source.From", [("outgoing.source.from",)]),
        ("outgoing.source.to[0].address", [("outgoing.source.to.address",)]),
        ("outgoing.source.to.0.address", [("outgoing.source.to.address",)]),
        ("batch.messages.from", [("batch.messages.from",)]),
        ("batch.defaults.outgoing", [("batch.defaults.outgoing",)]),
        ("ticket.subject", [("ticket.subject",)]),
        ("mode", [("batch.mode",)]),
        ("delimiter", [("batch.messages.delimiter", "batch.tickets.delimiter")]),
        ("sender.email", [("incoming.sender.email", "outgoing.sender.email", "internal-note.sender.email")]),
        ("sent_datetime", [("incoming.sent_datetime",), ("outgoing.sent_datetime",), ("internal-note.sent_datetime",)]),
        (
            "body_text",
            [("incoming.body_text", "outgoing.body_text", "internal-note.body_text")],
        ),
        ("messages[3].receiver.email", [("outgoing.receiver.email",)]),
        ("tickets[0].messages[1].receiver", [("outgoing.receiver",)]),
        ("$.messages[3].template.receiver", [("outgoing.receiver",)]),
        ("exit_code", [("progress-log.exit_code",), ("event.exit_code",), ("report.exit_code",)]),
    ],
)
def test_a_field_is_named_as_findings_and_columns_name_it(wanted: str, paths: list[tuple[str, ...]]) -> None:
    assert named(wanted) == paths


def test_several_at_once_each_once() -> None:
    assert named("BM301", "outgoing.via", "bm301") == [("BM301",), ("outgoing.via",)]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_can_be_explained(rule: str) -> None:
    told = "\n".join(shown(rule, 100))
    assert f"{rule}  {RULES[rule].severity.value}: " in told
    assert all(f"\n{part}" in told for part in ("What ", "Why ", "Way out "))
    assert ("\nWrong:\n" in told and "\nRight:\n" in told) != ("\nExample " in told)


def test_every_field_can_be_explained_at_any_width() -> None:
    for path in fields.paths():
        (told,) = explain([path])
        assert isinstance(told, Told)
        assert next(text.field(told, 40)) == path
        assert all(len(line) <= 60 or line.startswith("    ") for line in text.field(told, 60)), path


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ("BM303", "there is no rule BM303", "the nearest are BM301, BM302, BM304; `bulkmsg explain` lists all"),
        ("sent_datetme", "there is no rule or field 'sent_datetme'", "did you mean sent_datetime?"),
        (
            "outgoing.sorce.from",
            "there is no rule or field 'outgoing.sorce.from'",
            "did you mean outgoing.source.from?",
        ),
        ("sender.mail", "there is no rule or field 'sender.mail'", "did you mean sender.email?"),
        ("cc", "there is no rule or field 'cc'", "did you mean source.cc or "),
        ("BM" + "9" * 5000, f"there is no rule or field '{'BM' + '9' * 5000}'", "`bulkmsg explain` lists the rules"),
        ("zzz", "there is no rule or field 'zzz'", "`bulkmsg explain` lists the rules, `bulkmsg explain outgoing`"),
        ("", "there is no rule or field ''", "`bulkmsg explain` lists the rules, `bulkmsg explain outgoing`"),
        ("rule_id", "rule_id is a field that batches may not have", "only the helpdesk itself sets it; leave it out"),
        (
            "outgoing.mention_ids",
            "outgoing.mention_ids is a field that batches may not have",
            "only internal notes can",
        ),
    ],
)
def test_what_is_not_there_ends_with_what_may_be_meant(wanted: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        explain([wanted])
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


def test_a_field_names_the_rules_that_speak_of_it() -> None:
    (told,) = explain(["outgoing.sent_datetime"])
    assert isinstance(told, Told)
    assert {"BM301", "BM302", "BM402"} <= set(told.rules)
    (told,) = explain(["outgoing.attachments.name"])
    assert isinstance(told, Told)
    assert told.rules == (), "not those that speak of the batch's name"


# -- how it looks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("name", ["all", "BM301", "BM601", "BM101", "outgoing.sent_datetime", "channel", "batch"])
def test_the_answer_is_the_one_that_was_looked_at(name: str, width: int) -> None:
    """WRITE_CASES=1 writes it anew: read the difference."""
    path = GOLDEN / f"{name.lower()}-{width}.txt"
    answer = "".join(f"{line}\n" for line in shown(name, width))
    if os.environ.get("WRITE_CASES"):
        path.write_text(answer, "utf-8")
    assert answer == path.read_text("utf-8")


def test_text_holds_no_markdown_and_breaks_no_address_and_no_code() -> None:
    page = Page(
        rule="BM999",
        group="Values",
        severity="error",
        title="a title",
        what="See [batch.md](batch.md#header) or https://example.com/a-long-address-with-hyphens/and/its/own/path now.",
        why="Write `defaults: {outgoing: {channel: email}}` or",
        way_out="go.",
        wrong=(),
        right=(),
        no_example="none",
    )
    lines = list(text.rule(page, 40))
    assert not any("](" in line or "**" in line for line in lines)
    assert any("https://example.com/a-long-address-with-hyphens/and/its/own/path" in line for line in lines)
    assert any("`defaults: {outgoing: {channel: email}}`" in line for line in lines)
    for page in rule_pages.pages().values():
        assert not [line for line in text.rule(page, 80) if "**" in line or "<!--" in line or "```" in line]


def test_examples_are_the_yaml_that_they_look_like() -> None:
    for path in fields.paths():
        found = fields.field(path)
        assert found is not None
        for example in found.examples:
            written = "\n".join(text.yaml_lines({found.name: example}))
            assert yaml.load(written, _Core) == {found.name: example}, written


class _Core(yaml.SafeLoader):
    """YAML as batches are read: dates are text, and so are `off` and `no`."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if not tag.endswith(":timestamp") and (first in "tTfF" or not tag.endswith(":bool"))
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def test_the_json_is_what_the_schema_says() -> None:
    wanted = [*RULES, "outgoing", "sent_datetime", "batch.version", "ticket.custom_fields.value"]
    answer = json.loads(json.dumps(explanations(explain(wanted))))
    assert schema.checker("report#explain").violations(answer) == []
    assert [each["rule"] for each in answer["rules"]] == list(RULES)
    by_rule = {each["rule"]: each for each in answer["rules"]}
    assert by_rule["BM104"]["way_out"] == "Take one out."
    assert by_rule["BM104"]["right"][0]["language"] == "yaml"
    assert by_rule["BM101"]["wrong"] == []
    assert answer["fields"][0]["paths"] == ["outgoing"]
    assert "source" in answer["fields"][0]["fields"]


# -- the line below findings ---------------------------------------------------------------------------------------


def test_findings_lead_to_their_rules_errors_first() -> None:
    def found(rule: str, severity: Severity) -> Diagnostic:
        return Diagnostic(rule, severity, "", "", "a.yaml", 1, 1)

    warning, error = found("BM407", Severity.WARNING), found("BM301", Severity.ERROR)
    assert text.tells_more([]) == ""
    assert text.tells_more([error]) == "bulkmsg explain BM301 tells more"
    assert text.tells_more([warning, error, error]) == "bulkmsg explain BM301 BM407 tells more"
    many = [found(rule, Severity.ERROR) for rule in ("BM301", "BM302", "BM401", "BM402")]
    assert text.tells_more(many) == "bulkmsg explain BM301 BM302 BM401 tells more"
