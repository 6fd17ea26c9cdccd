"""A batch for several accounts: which one is meant, and its defaults over those of the batch."""

from __future__ import annotations

import pytest

from bulkmsg.errors import UsageError
from bulkmsg.validation.findings import Findings
from bulkmsg.validation.survey import for_each_account

from .kit import CHAT, NOW, Folder

ACCOUNTS = """\
accounts:
  acme: {}
  acme-staging:
    defaults: {sender: {email: test@acme.example}, receiver: null, meta: {a: 2}}
"""
RICH = (
    "defaults: {type: incoming, channel: chat, sender: {email: jane@example.com, name: Jane}, receiver: {id: 4}, "
    "meta: {a: 1, b: 1}, sent_datetime: 2021-03-01T10:00:00Z}\n"
)
ENTRY = "messages:\n  - {ticket_id: 1, body_text: x}\n"


def test_the_accounts_defaults_are_laid_over_those_of_the_batch(folder: Folder) -> None:
    [plain] = folder.messages(ACCOUNTS + RICH + ENTRY, picked="acme")
    [staging] = folder.messages(ACCOUNTS + RICH + ENTRY, account="acme-staging", picked="acme-staging")
    assert plain.body["sender"] == {"email": "jane@example.com", "name": "Jane"}
    assert staging.body["sender"] == {"email": "test@acme.example", "name": "Jane"}
    assert (plain.body["meta"], staging.body["meta"]) == ({"a": 1, "b": 1}, {"a": 2, "b": 1})
    assert "receiver" not in staging.body


def test_the_command_line_outranks_the_environment(folder: Folder) -> None:
    text = ACCOUNTS + CHAT + ENTRY
    seen = folder.survey(text, account="acme-staging", picked="acme")
    assert seen.header is not None
    assert seen.header.account == "acme-staging"


def test_no_pick_of_several_and_an_unknown_one_are_told_with_what_there_is(folder: Folder) -> None:
    text = ACCOUNTS + CHAT + ENTRY
    with pytest.raises(UsageError, match="several accounts: acme, acme-staging") as without:
        folder.survey(text)
    assert "--account acme" in without.value.hint
    for said in ({"account": "other"}, {"picked": "other"}):
        with pytest.raises(UsageError, match="for the accounts acme, acme-staging, not for other"):
            folder.survey(text, **said)


def test_a_single_account_needs_no_pick(folder: Folder) -> None:
    seen = folder.survey("accounts: {acme: }\n" + CHAT + ENTRY)
    assert seen.header is not None
    assert (seen.valid, seen.header.account) == (True, "acme")


def test_account_and_accounts_together_are_an_error(folder: Folder) -> None:
    [found] = folder.survey("account: acme\n" + ACCOUNTS + CHAT + ENTRY, picked="acme").findings.kept
    assert (found.rule, found.line, found.path, found.hint) == ("BM110", 2, "account", "remove account")
    assert "not both" in found.message


@pytest.mark.parametrize(
    ("text", "rule", "path"),
    [
        ("accounts: {}\n", "BM110", "accounts"),
        ("accounts: [acme]\n", "BM110", "accounts"),
        ("accounts: {Acme: {}}\n", "BM201", "accounts.Acme"),
        ("accounts: {acme: {mode: send}}\n", "BM201", "accounts.acme.mode"),
        ("accounts: {acme: {defaults: {bodytext: x}}}\n", "BM201", "accounts.acme.defaults.bodytext"),
        ("accounts: {acme: {defaults: {sender: {id: x}}}}\n", "BM203", "accounts.acme.defaults.sender.id"),
    ],
)
def test_what_is_wrong_below_accounts_is_told_where_it_stands(folder: Folder, text: str, rule: str, path: str) -> None:
    found = folder.survey(text + CHAT + ENTRY, picked="acme").findings.kept
    assert [(each.rule, each.path) for each in found] == [(rule, path)]


def test_a_finding_about_an_accounts_default_is_told_at_that_default(folder: Folder) -> None:
    text = (
        "accounts:\n  acme: {}\n  staging:\n    defaults:\n      sent_datetime: 2999-01-01T00:00:00Z\n" + CHAT + ENTRY
    )
    assert folder.told(text, picked="acme") == []
    [found] = folder.survey(text, picked="staging").findings.kept
    assert (found.rule, found.line, found.column, found.path) == (
        "BM402",
        6,
        22,
        "accounts.staging.defaults.sent_datetime",
    )


def test_a_general_default_that_a_type_forbids_is_told_at_the_account_that_brings_it(folder: Folder) -> None:
    text = "accounts: {acme: {defaults: {from_agent: true}}}\n" + CHAT + ENTRY
    [found] = folder.survey(text).findings.kept
    assert (found.rule, found.path) == ("BM305", "accounts.acme.defaults.from_agent")


def test_without_a_pick_every_account_is_checked_and_what_they_share_is_told_once(folder: Folder) -> None:
    text = (
        "accounts:\n"
        "  one: {defaults: {sent_datetime: 2999-01-01T00:00:00Z}}\n"
        "  two: {defaults: {sent_datetime: 2998-01-01T00:00:00Z}}\n"
        + CHAT
        + "messages:\n  - {ticket_id: 1, body_text: x}\n  - {ticket_id: 0, body_text: x}\n"
    )
    findings = Findings()
    seen = for_each_account(folder.batch(text), findings, NOW)
    told = [(found.rule, found.path) for found in findings.kept]
    assert sorted(told) == [
        ("BM205", "messages[1].ticket_id"),
        ("BM402", "accounts.one.defaults.sent_datetime"),
        ("BM402", "accounts.two.defaults.sent_datetime"),
    ]
    assert findings.errors == 3
    assert seen.messages == 2


def test_a_header_that_is_wrong_is_read_once_however_many_accounts_it_names(folder: Folder) -> None:
    names = "".join(f"  a{number}: {{}}\n" for number in range(5000))
    findings = Findings()
    seen = for_each_account(folder.batch("accounts:\n" + names + CHAT + ENTRY), findings, NOW)
    assert seen.header is None
    assert [(found.rule, found.path) for found in findings.kept] == [("BM110", "accounts")]


def test_with_a_pick_only_that_account_is_checked(folder: Folder) -> None:
    text = ACCOUNTS.replace("meta: {a: 2}", "sent_datetime: 2999-01-01T00:00:00Z") + CHAT + ENTRY
    one, both = Findings(), Findings()
    for_each_account(folder.batch(text, account="acme"), one, NOW)
    for_each_account(folder.batch(text), both, NOW)
    assert (one.errors, both.errors) == (0, 1)


def test_many_findings_of_many_accounts_stay_within_their_bound(folder: Folder) -> None:
    names = "".join(f"  a{number}: {{}}\n" for number in range(10))
    text = "accounts:\n" + names + CHAT + "messages:\n" + "  - {ticket_id: 0, body_text: x}\n" * 50
    findings = Findings(most=20)
    for_each_account(folder.batch(text), findings, NOW)
    assert (len(findings.kept), findings.errors, findings.full) == (20, 50, True)
