"""The preflight with the real command: what is wrong is told at its line before anything is sent, and what it costs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bulkmsg import schema
from tests.acceptance.batches import QUICK, created, requests
from tests.acceptance.servers import run, sandbox

FAST = ("--rate", "400/2s", "--progress", "none", "--settle", "0.2s")
REGISTRY = ("--agents", "anna@acme.example", "bob@acme.example", "--mailboxes", "support@acme.example")
HEAD = """\
version: 1
name: {mode}-test
mode: {mode}
defaults:
  incoming: {{channel: email, source: {{to: [{{address: support@acme.example}}]}}}}
  outgoing: {{channel: email, source: {{from: {{address: support@acme.example}}}}}}
messages:
"""
IMPORT = (
    HEAD.format(mode="import")
    + """\
- type: incoming
  ticket_id: 12
  sender: {email: jane@example.com}
  source: {from: {address: jane@example.com}}
  body_text: Where is my order?
  sent_datetime: 2024-01-01T00:00:00Z
- type: outgoing
  ticket_id: 12
  sender: {email: anna@acme.example}
  source: {to: [{address: jane@example.com}]}
  body_text: On its way.
  sent_datetime: 2024-01-01T00:01:00Z
- type: internal-note
  ticket_id: 13
  sender: {email: bob@acme.example}
  body_text: A friendly one.
  created_datetime: 2024-01-01T00:02:00Z
"""
)
SEND = (
    HEAD.format(mode="send")
    + """\
- type: outgoing
  ticket_id: 12
  sender: {email: anna@acme.example}
  source: {to: [{address: jane@example.com}]}
  body_text: Your kettle is recalled.
"""
)


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    path = tmp_path / "batch.yaml"
    path.write_text(IMPORT)
    return path


def counted(url: str, path: Path, *words: str) -> tuple[int, Counter[str], str, str]:
    """The exit code of a command, the requests that the sandbox counted meanwhile, and what it said."""
    before = Counter(requests(url))
    verb, *more = words
    done = run(url, verb, path, *more)
    return done.returncode, Counter(requests(url)) - before, done.stdout, done.stderr


# -- before anything is sent -----------------------------------------------------------------------------------------


def test_a_misspelt_agent_is_found_at_its_line_before_anything_is_sent(batch: Path) -> None:
    batch.write_text(IMPORT.replace("{email: bob@", "{email: bbo@"))
    with sandbox(*QUICK, *REGISTRY) as url:
        code, _, _, told = counted(url, batch, "run", *FAST)
        assert code == 3
        assert f"{batch}:22:19: error: bbo@acme.example is no user of the account [BM801]" in told
        assert "did you mean bob@acme.example?" in told
        assert told.splitlines()[-1] == f"next: bulkmsg plan {batch} --online"
        assert created(url) == []
        assert not list(batch.parent.glob("*.progress.jsonl")), "no progress log was begun"
        batch.write_text(IMPORT)
        assert counted(url, batch, "run", *FAST)[0] == 0
        assert len(created(url)) == 3


def test_an_address_that_is_no_mailbox_stops_a_mailing_and_warns_of_an_import(batch: Path) -> None:
    with sandbox(
        *QUICK, "--agents", "anna@acme.example", "bob@acme.example", "--mailboxes", "help@acme.example"
    ) as url:
        code, _, _, told = counted(url, batch, "run", *FAST)
        assert code == 0
        assert f"{batch}:6:55: warning: support@acme.example is no mailbox of the account [BM802]" in told
        batch = batch.with_name("send.yaml")
        batch.write_text(SEND)
        code, _, _, told = counted(url, batch, "run", "--allow-send", "1", *FAST)
        assert code == 3
        assert f"{batch}:6:55: error: support@acme.example is no mailbox of the account [BM802]" in told
        assert len(created(url)) == 3, "only the import's"


def test_an_active_rule_stops_an_import_and_names_what_to_switch_off(batch: Path) -> None:
    rules = ("--rules", "Auto reply=ticket-message-created", "Old one=ticket-created", "--switched-off", "Old one")
    with sandbox(*QUICK, *REGISTRY, *rules) as url:
        code, _, _, told = counted(url, batch, "run", *FAST)
        assert code == 4
        assert "'Auto reply' (ticket-message-created) [BM806]" in told
        assert "switch off in the helpdesk, under Settings > Rules" in told
        assert "Old one" not in told, "it is switched off already"
        assert told.splitlines()[-1] == "next: bulkmsg account rules"
        assert created(url) == []
        code, _, _, told = counted(url, batch, "run", "--ignore-rules", *FAST)
        assert (code, len(created(url))) == (0, 3)
        assert "warning: an active rule fires" in told


def test_in_send_mode_a_rule_is_a_warning(batch: Path) -> None:
    batch.write_text(SEND)
    with sandbox(*QUICK, *REGISTRY, "--rules", "Auto reply=ticket-created") as url:
        code, _, _, told = counted(url, batch, "run", "--allow-send", "1", *FAST)
        assert (code, len(created(url))) == (0, 1)
        assert "warning: an active rule fires on new messages or tickets" in told


def test_what_cannot_be_read_is_a_note_and_stops_nothing(batch: Path) -> None:
    with sandbox(*QUICK, *REGISTRY, "--closed", "rules", "users", "integrations") as url:
        code, _, _, told = counted(url, batch, "run", *FAST)
        assert (code, len(created(url))) == (0, 3)
        assert told.count("[BM810]") == 3
        assert "the list of rules could not be read (HTTP 403" in told


def test_a_deactivated_account_is_refused(batch: Path) -> None:
    with sandbox(*QUICK, *REGISTRY, "--status", "deactivated") as url:
        code, _, _, told = counted(url, batch, "run", *FAST)
        assert (code, created(url)) == (4, [])
        assert "the account is deactivated" in told


def test_a_run_in_a_sandbox_of_its_own_knows_everybody(batch: Path) -> None:
    nobody = {"GORGIAS_ACCOUNT": "", "GORGIAS_EMAIL": "", "GORGIAS_API_KEY": ""}
    for text, mode in ((IMPORT, "import"), (SEND, "send")):
        batch.write_text(text)
        done = run(None, "run", batch, "--sandbox", *FAST, **nobody)
        assert (done.returncode, f"{mode}-test:" in done.stdout, "BM8" in done.stderr) == (0, True, False)


# -- what it costs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [IMPORT, SEND], ids=["import", "send"])
def test_the_planned_requests_are_those_that_the_helpdesk_counts(batch: Path, text: str) -> None:
    batch.write_text(text)
    planned = json.loads(run(None, "plan", batch, "--format", "json").stdout)["requests"]
    with sandbox(*QUICK, *REGISTRY) as url:
        code, met, _, _ = counted(url, batch, "run", "--allow-send", "1", *FAST)
        assert (code, met.total()) == (0, planned)
        asked = [met[f"GET /api/{name}"] for name in ("account", "users/0", "users", "integrations", "rules")]
        assert asked == [1, 1, len({"anna", "bob"}) if text == IMPORT else 1, 1, 1]


def test_many_agents_are_looked_for_in_the_list_of_users(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    who = [f"agent-{number}@acme.example" for number in range(130)]
    lines = [f"internal-note,{number % 3 + 1},{email},n,2024-01-01T00:00:00Z" for number, email in enumerate(who)]
    path.write_text("\n".join(["type,ticket_id,sender.email,body_text,created_datetime", *lines]) + "\n")
    with sandbox(*QUICK, "--agents", *who[:-1]) as url:
        code, met, _, told = counted(url, path, "run", *FAST)
        assert (code, created(url)) == (3, [])
        assert f"{path}:131" in told
        assert "agent-129@acme.example is no user of the account" in told
        assert met["GET /api/users"] == 3, "two pages of the list, and one question about who is missing"


# -- plan --online ---------------------------------------------------------------------------------------------------


def test_plan_online_names_merged_and_missing_tickets_at_their_lines(batch: Path) -> None:
    with sandbox(*QUICK, *REGISTRY, "--merged", "12:77", "--deleted", "13") as url:
        code, met, out, told = counted(url, batch, "plan", "--online")
        assert code == 3
        assert f"{batch}:9:14: error: ticket 12 was merged into ticket 77; used 2 times [BM804]" in out
        assert f"  see {batch}:14:1: here as well" in out
        assert f"{batch}:21:14: error: ticket 13 does not exist [BM803]" in out
        assert out.splitlines()[-1].endswith(f"2 errors; {met.total()} requests, 2 tickets looked at")
        assert told.splitlines()[-1] == f"next: bulkmsg plan {batch} --online"
        assert created(url) == []


def test_plan_online_answers_in_json_and_counts_its_requests(batch: Path) -> None:
    with sandbox(*QUICK, *REGISTRY, "--deleted", "13") as url:
        code, met, out, told = counted(url, batch, "plan", "--online", "--format", "json")
        answer = json.loads(out)
        described = schema.load("report")["$defs"]["plan"]["properties"]
        assert set(described["preflight"]["required"]) == set(answer["preflight"])
        assert described["diagnostics"]["items"] == {"$ref": "#/$defs/diagnostic"}
        assert all(schema.checker("report#diagnostic").is_valid(each) for each in answer["diagnostics"])
        assert answer["preflight"] == {"requests": met.total(), "tickets": 2, "complete": True}
        assert [(each["rule"], each["line"]) for each in answer["diagnostics"]] == [("BM803", 21)]
        assert f"asking the account acme: {met.total()} requests" in told
        assert set(met) == {
            f"GET /api/{each}" for each in ("account", "users/0", "users", "integrations", "rules", "tickets/{id}")
        }
        assert code == 3


def test_plan_online_goes_on_to_the_run_where_nothing_is_wrong(batch: Path) -> None:
    with sandbox(*QUICK, *REGISTRY) as url:
        code, _, out, told = counted(url, batch, "plan", "--online")
        assert (code, told.splitlines()[-1]) == (0, f"next: bulkmsg run {batch}")
        assert "nothing found; 8 requests, 2 tickets looked at" in out


def test_plan_online_has_the_exit_code_of_what_stands_against_it(batch: Path) -> None:
    with sandbox(*QUICK, *REGISTRY, "--rules", "Auto reply=ticket-created") as url:
        assert counted(url, batch, "plan", "--online")[0] == 4
    with sandbox(*QUICK, "--email", "anna@acme.example", "--api-key", "another-key-0123") as url:
        assert counted(url, batch, "plan", "--online")[0] == 4
    done = run("http://127.0.0.1:9", "plan", batch, "--online", "--timeout", "1s")
    assert (done.returncode, "cannot be reached" in done.stderr) == (5, True)
    assert run(None, "plan", batch, "--online", GORGIAS_API_KEY="").returncode == 4
    assert run(None, "plan", batch, "--online", "--show", "1").returncode == 2


def test_plan_online_warns_of_settings_and_of_the_role(batch: Path) -> None:
    settings = json.dumps(
        {"auto-merge": {"tickets": {"enabled": True}}, "satisfaction-surveys": {"send_survey_for_email": True}}
    )
    with sandbox(*QUICK, *REGISTRY, "--role", "observer-agent", "--account-settings", settings) as url:
        code, _, out, _ = counted(url, batch, "plan", "--online")
        assert (code, out.count("[BM807]"), out.count("[BM809]")) == (0, 2, 1)


def test_after_fifty_wrong_tickets_the_rest_is_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    lines = [f"internal-note,{number},anna@acme.example,n,2024-01-01T00:00:00Z" for number in range(1, 201)]
    path.write_text("\n".join(["type,ticket_id,sender.email,body_text,created_datetime", *lines]) + "\n")
    with sandbox(*QUICK, *REGISTRY, "--no-auto-tickets") as url:
        code, met, out, _ = counted(url, path, "plan", "--online")
        assert code == 3
        assert 50 <= met["GET /api/tickets/{id}"] < 60
        assert "more were not looked at" in out
