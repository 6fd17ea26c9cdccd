"""`bulkmsg resolve` with the real command: messages in doubt are looked for again, or a person's word is taken."""

from __future__ import annotations

import fcntl
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bulkmsg import schema
from bulkmsg.message import log_name
from tests.acceptance.servers import ACCOUNT, asked, post_again, run, sandbox, set_faults
from tests.acceptance.test_cli_run import history, mailing

FAST = ["--settle", "0.1s", "--progress", "none", "--rate", "500/1s"]
LOOK = ["--settle", "0.1s", "--rate", "500/1s"]
QUICK = ["--limit", "500", "--window", "1"]
NOBODY = {"GORGIAS_EMAIL": "", "GORGIAS_API_KEY": "", "GORGIAS_BASE_URL": "http://127.0.0.1:1"}
PEOPLE = ["jane@example.com", "tom@example.com"]
LISTED = "GET /api/messages"
LATE = ["--list-lag", "3"]  # so long that a run with a short settle leaves in doubt what has arrived
PATIENT = ["--settle", "3s", "--rate", "500/1s"]


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


def records(batch: Path) -> list[dict[str, Any]]:
    log = batch.with_name(f"{batch.name}.acme.progress.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()]


def in_doubt(url: str, batch: Path, faults: str, *flags: str) -> None:
    """A run that leaves everything in doubt; after it the helpdesk works again."""
    set_faults(url, faults)
    done = run(url, "run", batch, *FAST, *flags)
    assert done.returncode == 6, done.stderr
    assert last(done) == f"next: bulkmsg resolve {batch}"
    set_faults(url, "")


def answer_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(done.stdout)
    assert schema.checker("report#resolve").violations(answer) == []
    assert answer["exit_code"] == done.returncode
    return answer


# -- looking ---------------------------------------------------------------------------------------------------------


def test_what_is_found_is_created_and_nothing_is_in_doubt_any_more(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE)
    with sandbox(*QUICK, *LATE) as url:
        in_doubt(url, batch, "500-after=1", "--allow-send", "2")
        assert last(run(url, "status", batch)) == f"next: bulkmsg resolve {batch}"
        assert last(run(url, "results", batch)) == f"next: bulkmsg resolve {batch}"
        done = run(url, "resolve", batch, *PATIENT)
        assert done.returncode == 0, done.stderr
        assert "k0 (" in done.stdout and ":5): ticket 1, 1 attempt, the last 20" in done.stdout
        assert "  found: created as message " in done.stdout
        assert "2 messages settled, 0 still in doubt" in done.stdout
        assert last(done) == f"next: bulkmsg results {batch}"
        assert json.loads(run(url, "run", batch, *FAST, "--format", "json").stdout)["created"] == 2
        assert len(asked(url, "/_sandbox/outbox")) == 2
        again = run(url, "resolve", batch, *LOOK)
        assert (again.returncode, again.stdout) == (0, "recall: nothing is in doubt\n")


def test_what_is_absent_stays_in_doubt_in_send_mode_and_both_commands_are_ready_to_copy(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE)
    with sandbox(*QUICK) as url:
        in_doubt(url, batch, "500-before=1", "--allow-send", "2")
        done = run(url, "resolve", batch, *LOOK)
        assert done.returncode == 6, done.stderr
        assert asked(url, "/_sandbox/outbox") == []
        typed = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("bulkmsg resolve")]
        assert [shlex.split(line, comments=True)[1:] for line in typed] == [
            ["resolve", str(batch), flag, key] for key in ("k0", "k1") for flag in ("--mark-created", "--resend")
        ]
        for line in (typed[0], typed[3]):
            words = shlex.split(line, comments=True)[1:]
            done = run(None, *words, **NOBODY)
            assert done.returncode in (0, 6), done.stderr
        assert last(done) == f"next: bulkmsg run {batch}"
        asking = run(url, "run", batch, *FAST)
        assert (asking.returncode, last(asking)) == (4, f"next: bulkmsg run {batch} --allow-send 1")
        assert run(url, "run", batch, *FAST, "--allow-send", "1").returncode == 0
        assert [mail["to"] for mail in asked(url, "/_sandbox/outbox")] == [["tom@example.com"]]


def test_what_is_absent_in_import_mode_is_sent_by_the_next_run(tmp_path: Path) -> None:
    batch = history(tmp_path / "batch.yaml", [1, 2])
    with sandbox(*QUICK) as url:
        in_doubt(url, batch, "500-before=1", "--in-doubt", "hold")
        done = run(url, "resolve", batch, *LOOK, "--format", "json")
        answer = answer_of(done)
        assert (done.returncode, answer["in_doubt"], answer["settled"]) == (0, 0, 2)
        assert {message["outcome"] for message in answer["messages"]} == {"pending"}
        assert last(done) == f"next: bulkmsg run {batch}"
        assert asked(url, "/_sandbox/history")["created"] == [], "resolve itself sends nothing"
        assert run(url, "run", batch, *FAST).returncode == 0
        assert len(asked(url, "/_sandbox/history")["created"]) == 2


def test_what_cannot_be_looked_for_stays_in_doubt_with_the_reason(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE[:1])
    with sandbox(*QUICK, "--deleted", "1") as url:
        in_doubt(url, batch, "500-before=1", "--allow-send", "1")
        done = run(url, "resolve", batch, *LOOK)
        assert (done.returncode, "still in doubt: the ticket answered 404" in done.stdout) == (6, True)
        assert last(done) == f"next: bulkmsg resolve {batch}"


def test_found_twice_is_told_with_all_ids(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE[:1])
    with sandbox(*QUICK, *LATE) as url:
        in_doubt(url, batch, "500-after=1", "--allow-send", "1")
        post_again(url, asked(url, "/_sandbox/state")["tickets"][0]["messages"][0])
        answer = answer_of(run(url, "resolve", batch, *PATIENT, "--format", "json"))
        [message] = answer["messages"]
        assert (message["outcome"], len(message["duplicates"]), answer["exit_code"]) == ("created", 2, 1)


def test_where_an_earlier_success_is_not_found_looking_proves_nothing(tmp_path: Path) -> None:
    batch = history(tmp_path / "batch.yaml", [1, 2])
    with sandbox(*QUICK, "--external-ids", "strip") as url:
        assert run(url, "run", batch, *FAST, "--limit", "1").returncode == 0
        in_doubt(url, batch, "500-before=1", "--in-doubt", "hold")
        done = run(url, "resolve", batch, *LOOK)
        assert done.returncode == 6
        assert "does not give our external ids back" in done.stdout


def test_one_reading_of_a_ticket_settles_all_that_is_in_doubt_on_it(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE)
    text = batch.read_text().replace("ticket_id: 2", "ticket_id: 1")
    batch.write_text(text)
    with sandbox(*QUICK, *LATE) as url:
        assert run(url, "run", batch, *FAST, "--allow-send", "2").returncode == 0
        batch.with_name(f"{batch.name}.acme.progress.jsonl").unlink()
        in_doubt(url, batch, "", "--rebuild-log")
        before = asked(url, "/_sandbox/state")["requests"][LISTED]
        done = run(url, "resolve", batch, *PATIENT)
        assert (done.returncode, "2 messages settled" in done.stdout) == (0, True)
        assert asked(url, "/_sandbox/state")["requests"][LISTED] == before + 1


def test_an_entry_that_was_moved_meanwhile_is_looked_for_where_it_was_sent(tmp_path: Path) -> None:
    """Its new ticket does not show it; taken for absent, it would be sent a second time."""
    batch = history(tmp_path / "batch.yaml", [1])
    with sandbox(*QUICK, *LATE) as url:
        in_doubt(url, batch, "500-after=1", "--in-doubt", "hold")
        batch.write_text(batch.read_text().replace("ticket_id: 1", "ticket_id: 5"))
        answer = answer_of(run(url, "resolve", batch, *PATIENT, "--format", "json"))
        assert [(each["outcome"], each["ticket_id"]) for each in answer["messages"]] == [("created", 1)]


# -- a person's word ---------------------------------------------------------------------------------------------------


def test_a_word_needs_no_network_and_no_credentials_and_says_whose_it_is(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE)
    with sandbox(*QUICK) as url:
        in_doubt(url, batch, "500-before=1", "--allow-send", "2")
    done = run(None, "resolve", batch, "--mark-created", "k0", "--resend", "k1", "--format", "json", **NOBODY)
    answer = answer_of(done)
    assert [(each["key"], each["outcome"], each["by"]) for each in answer["messages"]] == [
        ("k0", "created", "person"),
        ("k1", "pending", "person"),
    ]
    assert (answer["requests"], done.returncode) == (0, 0)
    run_record, said, resend, end = records(batch)[-4:]
    assert (run_record["command"], end["exit_code"]) == ("resolve", 0)
    assert (said["outcome"], resend["verdict"]) == ("created", "person")
    assert said["said_by"] == resend["said_by"] != ""
    for record in records(batch):
        assert schema.checker("progress-log").violations(record) == []
    told = run(None, "status", batch, **NOBODY).stdout
    assert "since the last run, resolve was used and ended with exit code 0" in told
    assert "1 run, " in told, "it is not counted as a run"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mark-created", "k0", "--resend", "k7"], "neither the batch nor its progress log has"),
        (["--mark-created", "k0", "--resend", "k2"], "was never tried"),
        (["--mark-created", "k0", "--resend", "k0"], "cannot both be there and be sent again"),
    ],
)
def test_a_word_that_cannot_be_taken_is_refused_and_none_is_recorded(
    tmp_path: Path, words: list[str], said: str
) -> None:
    batch = mailing(tmp_path / "send.yaml", [*PEOPLE, "kim@example.com"])
    with sandbox(*QUICK) as url:
        in_doubt(url, batch, "500-before=1", "--allow-send", "3", "--limit", "2")
    before = records(batch)
    done = run(None, "resolve", batch, *words, **NOBODY)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert records(batch) == before


def test_a_key_that_is_settled_says_where_it_stands(tmp_path: Path) -> None:
    batch = history(tmp_path / "batch.yaml", [1, 2])
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
    done = run(None, "resolve", batch, "--resend", "k1", **NOBODY)
    assert done.returncode == 2
    assert "'k1' is not in doubt: it stands as created (message " in done.stderr
    assert " of ticket 2)" in done.stderr


def test_resend_is_never_said_by_the_environment(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE)
    with sandbox(*QUICK) as url:
        in_doubt(url, batch, "500-before=1", "--allow-send", "2")
        assert run(url, "resolve", batch, *LOOK, BULKMSG_RESEND="k0 k1").returncode == 6


def test_an_entry_that_the_batch_no_longer_holds_is_named_as_the_log_shows_it(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE)
    batch.write_text(batch.read_text().replace("key: k1", "key: tom@example.com"))
    with sandbox(*QUICK, *LATE) as url:
        in_doubt(url, batch, "500-after=1", "--allow-send", "2")
        batch.write_text(batch.read_text().partition("  - type: outgoing\n    key: tom@")[0])
        logged = log_name("tom@example.com")
        looked = run(url, "resolve", batch, *PATIENT, "--format", "json")
        assert (looked.returncode, answer_of(looked)["settled"]) == (0, 2), "the log says where to look"
        assert [each["file"] is None for each in answer_of(looked)["messages"]] == [False, True]
        assert answer_of(looked)["messages"][1]["key"] == logged
    other = mailing(tmp_path / "more.yaml", PEOPLE)
    other.write_text(other.read_text().replace("key: k1", "key: tom@example.com"))
    with sandbox(*QUICK) as url:
        in_doubt(url, other, "500-before=1", "--allow-send", "2")
        other.write_text(other.read_text().partition("  - type: outgoing\n    key: tom@")[0])
    done = run(None, "resolve", other, "--mark-created", logged, "--mark-created", "k0", **NOBODY)
    assert (done.returncode, "no longer in the batch" in done.stdout) == (0, True), done.stderr


# -- what stands in the way ------------------------------------------------------------------------------------------


def test_beside_a_run_it_refuses_at_once(tmp_path: Path) -> None:
    batch = history(tmp_path / "batch.yaml", [1])
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
    with batch.with_name(f"{batch.name}.acme.progress.jsonl").open() as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # as a run holds it
        for words in ([], ["--mark-created", "k0"]):
            done = run(None, "resolve", batch, *words, **NOBODY)
            assert (done.returncode, "another run" in done.stderr) == (7, True), done.stderr
            assert last(done) == f"next: bulkmsg status {batch}"


def test_what_never_ran_has_nothing_in_doubt(tmp_path: Path) -> None:
    batch = history(tmp_path / "batch.yaml", [1])
    done = run(None, "resolve", batch, **NOBODY)
    assert (done.returncode, last(done)) == (0, f"next: bulkmsg run {batch}")
    assert "there is no progress log" in done.stdout
    assert run(None, "resolve", batch, "--mark-created", "k0", **NOBODY).returncode == 2


def test_looking_needs_credentials_that_are_accepted(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", PEOPLE)
    email, key = ACCOUNT["GORGIAS_EMAIL"], ACCOUNT["GORGIAS_API_KEY"]
    with sandbox(*QUICK, "--email", email, "--api-key", key) as url:
        in_doubt(url, batch, "500-before=1", "--allow-send", "2")
        missing = run(url, "resolve", batch, *LOOK, GORGIAS_EMAIL="", GORGIAS_API_KEY="")
        assert (missing.returncode, last(missing)) == (4, f"next: bulkmsg resolve {batch}")
        before = records(batch)
        refused = run(url, "resolve", batch, *LOOK, "--format", "json", GORGIAS_API_KEY="another-key")
        assert (refused.returncode, answer_of(refused)["in_doubt"]) == (4, 2), refused.stderr
        assert [each for each in records(batch)[len(before) :] if each["record"] == "outcome"] == []


def test_a_damaged_log_names_the_way_to_rebuild_it(tmp_path: Path) -> None:
    batch = history(tmp_path / "batch.yaml", [1])
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        log = batch.with_name(f"{batch.name}.acme.progress.jsonl")
        log.write_bytes(log.read_bytes().replace(b"created", b"crested", 1))
        done = run(url, "resolve", batch, *LOOK)
        assert (done.returncode, last(done)) == (7, f"next: bulkmsg run {batch} --rebuild-log")


def test_the_log_of_a_sandbox_has_nowhere_to_look(tmp_path: Path) -> None:
    batch = history(tmp_path / "batch.yaml", [1])
    nobody = {"GORGIAS_ACCOUNT": "", "GORGIAS_EMAIL": "", "GORGIAS_API_KEY": ""}
    assert run(None, "run", batch, "--sandbox", *FAST, **nobody).returncode == 0
    done = run(None, "resolve", batch, "--account", "sandbox", **nobody)
    assert (done.returncode, "nothing is in doubt" in done.stdout) == (0, True), done.stderr
