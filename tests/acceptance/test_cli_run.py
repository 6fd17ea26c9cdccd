"""The real command, where it sends: sandbox runs, consent, what is refused and in which order, status and results."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkmsg import schema
from tests.acceptance.servers import asked, bulkmsg, environment, run, sandbox

FAST = ("--rate", "500/1s", "--progress", "none")
QUICK = ("--limit", "500", "--window", "1")
MESSAGE = """\
  - type: {type}
    key: {key}
    ticket_id: {ticket}
    channel: email
    sender: {{email: {sender}}}
    source: {{from: {{address: {sender}}}, to: [{{address: {to}}}]}}
    body_text: Hello
"""


@pytest.fixture(autouse=True, scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where Python may not write its cache, each of the many processes here would compile everything anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.getbasetemp() / "pycache"))
        yield


def history(path: Path, tickets: list[int], name: str = "history") -> Path:
    """An import batch with an incoming message for each ticket."""
    text = f"version: 1\nname: {name}\nmode: import\nmessages:\n"
    for number, ticket in enumerate(tickets):
        people = {"sender": "jane@example.com", "to": "support@acme.example"}
        text += MESSAGE.format(type="incoming", key=f"k{number}", ticket=ticket, **people)
        text += f"    sent_datetime: 2024-01-01T00:00:{number % 60:02}Z\n"
    path.write_text(text)
    return path


def mailing(path: Path, people: list[str]) -> Path:
    """A send batch with an outgoing message to each person."""
    text = "version: 1\nname: recall\nmode: send\nmessages:\n"
    for number, person in enumerate(people):
        text += MESSAGE.format(
            type="outgoing", key=f"k{number}", ticket=number + 1, sender="anna@acme.example", to=person
        )
    path.write_text(text)
    return path


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


# -- the sandbox -----------------------------------------------------------------------------------------------------


def test_a_sandbox_run_needs_neither_account_nor_consent_and_shows_what_it_made(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", ["jane@example.com", "tom@example.com"])
    nobody = {"GORGIAS_ACCOUNT": "", "GORGIAS_EMAIL": "", "GORGIAS_API_KEY": ""}
    done = run(None, "run", batch, "--sandbox", *FAST, **nobody)
    assert (done.returncode, done.stdout) == (0, "recall: 2 created of 2 messages\n")
    assert "2 people will get 2 messages through anna@acme.example" in done.stderr
    assert "2 messages would have been e-mailed to:\n    jane@example.com:" in done.stderr
    assert last(done) == f"next: bulkmsg run {batch}"
    again = run(None, "run", batch, "--sandbox", *FAST, "--format", "json", **nobody)
    answer = json.loads(again.stdout)
    assert (answer["created"], answer["requests"] > 2) == (2, True), "its log begins afresh, as the sandbox does"
    assert schema.checker("report").violations(answer) == []


def test_in_import_mode_it_says_that_nobody_is_mailed_and_what_may_react(tmp_path: Path) -> None:
    with sandbox(*QUICK) as url:
        done = run(url, "run", history(tmp_path / "a.yaml", [1]), *FAST)
    assert done.returncode == 0
    assert "0 messages will be sent by this batch: every public message carries sent_datetime\n" in done.stderr
    assert "Settings > Rules" in done.stderr


# -- consent ---------------------------------------------------------------------------------------------------------


def test_nobody_is_mailed_without_consent(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", ["jane@example.com", "tom@example.com", "jane@example.com"])
    with sandbox(*QUICK) as url:
        for flags in (("--yes",), ("--allow-send", "1")):
            done = run(url, "run", batch, *FAST, *flags, BULKMSG_ALLOW_SEND="9", BULKMSG_YES="1")
            assert done.returncode == 4
            assert "2 people will get 3 messages through anna@acme.example" in done.stderr
            assert last(done) == f"next: bulkmsg run {batch} --allow-send 2"
        assert asked(url, "/_sandbox/state")["requests"] == {}
        done = run(url, "run", batch, *FAST, "--allow-send", "2")
        assert (done.returncode, len(asked(url, "/_sandbox/outbox"))) == (0, 3)
        again = run(url, "run", batch, *FAST)
        assert (again.returncode, len(asked(url, "/_sandbox/outbox"))) == (0, 3), "nobody is left, so nobody is asked"


@pytest.mark.parametrize(("typed", "code", "mailed"), [("yes", 0, 1), ("y", 4, 0)])
def test_on_a_terminal_a_person_is_asked(tmp_path: Path, typed: str, code: int, mailed: int) -> None:
    batch = mailing(tmp_path / "send.yaml", ["jane@example.com"])
    with sandbox(*QUICK) as url:
        ours, theirs = pty.openpty()
        command = bulkmsg("run", batch, *FAST)
        process = subprocess.Popen(command, env=environment(url), stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
        os.close(theirs)
        said = b""
        while b"Type yes" not in said:
            said += os.read(ours, 4096)
        os.write(ours, typed.encode() + b"\n")
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.communicate()
        os.close(ours)
        assert process.returncode == code
        assert len(asked(url, "/_sandbox/outbox")) == mailed


# -- what is refused, in which order ---------------------------------------------------------------------------------


def test_refusals_come_in_the_order_usage_credentials_log_validity_consent(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", ["not an address"])
    log = tmp_path / "send.yaml.acme.progress.jsonl"
    log.write_text("no log\n")
    none = {"GORGIAS_EMAIL": "", "GORGIAS_API_KEY": ""}
    assert run(None, "run", batch, "--mode", "import", **none).returncode == 2
    assert run(None, "run", batch, **none).returncode == 4
    done = run(None, "run", batch)
    assert (done.returncode, last(done)) == (7, f"next: bulkmsg run {batch}")
    log.unlink()
    assert run(None, "run", batch).returncode == 3
    mailing(batch, ["jane@example.com"])
    assert run(None, "run", batch).returncode == 4


def test_another_account_is_refused(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", [1])
    batch.write_text("account: acme-staging\n" + batch.read_text())
    done = run(None, "run", batch)
    assert done.returncode == 4
    assert "acme-staging" in done.stderr


def test_a_misspelt_batch_is_told_before_missing_credentials(tmp_path: Path) -> None:
    done = run(None, "run", tmp_path / "none.yaml", GORGIAS_EMAIL="", GORGIAS_ACCOUNT="")
    assert done.returncode == 3
    assert "does not exist" in done.stderr


def test_events_do_not_overwrite_the_batch_or_its_log(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", [1])
    before = batch.read_text()
    assert run(None, "run", batch, "--sandbox", *FAST, "--events", batch).returncode == 2
    assert batch.read_text() == before
    assert run(None, "run", batch, "--sandbox", *FAST, "--events", tmp_path / "no" / "where").returncode == 2
    assert run(None, "run", batch, "--sandbox", *FAST, "--events", "-", "--format", "json").returncode == 2


# -- afterwards ------------------------------------------------------------------------------------------------------


def test_rejections_are_summed_up_and_found_again(tmp_path: Path) -> None:
    batch = history(tmp_path / "my batch.yaml", [1, 2, 3, 2])
    with sandbox(*QUICK, "--deleted", "2") as url:
        done = run(url, "run", batch, *FAST)
    assert (done.returncode, done.stdout) == (1, "history: 2 created, 1 rejected, 1 held back of 4 messages\n")
    assert f"  k1 ({batch}:13) rejected: " in done.stderr
    assert last(done) == f"next: bulkmsg results '{batch}' --only rejected,held_back"

    listed = run(None, "results", batch, "--only", "rejected,held-back")
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert [(row["key"], row["outcome"], row["status"]) for row in rows] == [
        ("k1", "rejected", "404"),
        ("k3", "held_back", ""),
    ]

    lines = [json.loads(line) for line in run(None, "results", batch, "--format", "jsonl").stdout.splitlines()]
    assert [line["key"] for line in lines] == ["k0", "k1", "k2", "k3"]
    assert [line["outcome"] for line in lines] == ["created", "rejected", "created", "held_back"]
    assert lines[0]["message_id"] and lines[0]["ticket_id"] == 1 and lines[0]["external_id"].startswith("bulkmsg-")

    now = json.loads(run(None, "status", batch, "--format", "json").stdout)
    assert (now["total"], now["created"], now["rejected"], now["held_back"], now["exit_code"]) == (4, 2, 1, 1, 1)
    assert "ended with exit code 1" in run(None, "status", batch).stdout


def test_before_any_run_all_is_pending(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", [1, 2])
    done = run(None, "status", batch, GORGIAS_ACCOUNT="")
    assert done.returncode == 0
    assert "history: 2 pending of 2 messages\n  it never ran" in done.stdout
    assert last(done) == f"next: bulkmsg run {batch}"
    lines = run(None, "results", batch, "--format", "jsonl", GORGIAS_ACCOUNT="").stdout.splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["pending", "pending"]
    assert json.loads(lines[0])["external_id"] is None, "it would be made from the account's name"


def test_the_log_is_found_without_an_account_unless_there_are_several(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", [1])
    run(None, "run", batch, "--sandbox", *FAST)
    assert "history on sandbox: 1 created" in run(None, "status", batch, GORGIAS_ACCOUNT="").stdout
    (tmp_path / "a.yaml.acme.progress.jsonl").write_text("x")
    done = run(None, "status", batch, GORGIAS_ACCOUNT="")
    assert done.returncode == 2
    assert "a.yaml.acme.progress.jsonl, a.yaml.sandbox.progress.jsonl" in done.stderr


def test_what_the_log_knows_of_a_spreadsheet_need_not_be_said_again(tmp_path: Path) -> None:
    batch = tmp_path / "customers.csv"
    columns = "type,ticket_id,channel,sender.email,source.from,source.to,body_text\n"
    batch.write_text(f"{columns}outgoing,1,email,anna@acme.example,s@acme.example,jane@example.com,Hi\n")
    done = run(None, "run", batch, "--mode", "send", "--name", "recall", "--sandbox", *FAST)
    assert (done.returncode, last(done)) == (0, f"next: bulkmsg run {batch} --mode send --name recall")
    for words in ((), ("--mode", "send", "--name", "recall")):
        assert "recall on sandbox: 1 created" in run(None, "status", batch, *words, GORGIAS_ACCOUNT="").stdout
    done = run(None, "status", batch, "--name", "other", GORGIAS_ACCOUNT="")
    assert done.returncode == 7


def test_a_batch_that_became_unreadable_still_has_a_status(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", [1, 2])
    run(None, "run", batch, "--sandbox", *FAST)
    batch.write_text("messages: [")
    done = run(None, "status", batch, GORGIAS_ACCOUNT="")
    assert (done.returncode, "2 created of 2 messages" in done.stdout) == (0, True)
    assert "cannot be read" in done.stdout
    assert run(None, "results", batch, GORGIAS_ACCOUNT="").returncode == 3


def test_entries_that_were_taken_out_are_not_counted_but_told(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", [1, 2, 3])
    run(None, "run", batch, "--sandbox", *FAST)
    history(batch, [1, 2])
    done = run(None, "status", batch, GORGIAS_ACCOUNT="")
    assert "2 created of 2 messages" in done.stdout
    assert "1 entry of the progress log that the batch no longer holds" in done.stdout


# -- meanwhile -------------------------------------------------------------------------------------------------------


def test_status_looks_while_a_run_goes_on_and_ctrl_c_ends_it_gently(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", list(range(1, 41)))
    with sandbox("--limit", "10", "--window", "1") as url:
        process = subprocess.Popen(
            bulkmsg("run", batch, "--format", "json", "--progress", "none"),
            env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        log = tmp_path / "a.yaml.acme.progress.jsonl"
        deadline = time.monotonic() + 20
        while not (log.exists() and log.read_text().count('"created"') > 3) and time.monotonic() < deadline:
            time.sleep(0.05)
        now = run(url, "status", batch)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    assert "a run is going on, or was killed" in now.stdout
    answer = json.loads(out)
    assert (process.returncode, answer["exit_code"]) == (130, 130)
    assert answer["created"] + answer["pending"] == answer["total"] == 40
    assert 0 < answer["created"] < 40
    assert err.splitlines()[-1] == f"next: bulkmsg run {batch}"


def test_events_are_lines_of_json_that_keep_to_their_schema(tmp_path: Path) -> None:
    batch = history(tmp_path / "a.yaml", [1, 2])
    file = tmp_path / "events.jsonl"
    assert run(None, "run", batch, "--sandbox", *FAST, "--events", file).returncode == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["run_started", "run_finished"]
    assert sum(event["event"] == "message_settled" for event in events) == 2
    assert [wrong for event in events for wrong in schema.checker("event").violations(event)] == []
    piped = run(None, "run", batch, "--sandbox", *FAST, "--events", "-")
    assert {"v", "ts", "run", "event"} <= set(json.loads(piped.stdout.splitlines()[-1]))
    assert len(piped.stdout.splitlines()) == len(events)


def test_no_stream_stops_the_sending(tmp_path: Path) -> None:
    cases = ["--format json | head -0", ">/dev/full", "--events - | head -1", "--events - >/dev/full", ">&- 2>&-"]
    with sandbox(*QUICK) as url:
        for number, case in enumerate(cases, 1):
            batch = history(tmp_path / f"b{number}.yaml", list(range(1, 31)), name=f"b{number}")
            line = f"{' '.join(bulkmsg('run', batch, '--rate', '500/1s'))} {case}"
            done = subprocess.run(
                ["bash", "-c", line], env=environment(url), capture_output=True, text=True, timeout=60
            )
            assert asked(url, "/_sandbox/state")["counts"]["messages"] == 30 * number, case
            assert "Traceback" not in done.stderr
            assert "Exception" not in done.stderr
