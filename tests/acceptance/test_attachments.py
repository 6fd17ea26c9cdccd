"""The real command with files that messages carry: uploaded once, repeated in doubt, never from elsewhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.batches import OPTIONS, QUICK, landed_once, log_of, requests, start, until
from tests.acceptance.servers import asked, environment, run, sandbox, set_faults

HEAD = """\
version: 1
name: files
defaults:
  channel: email
  sender: {email: jane@example.com}
  source: {from: {address: jane@example.com}, to: [{address: support@acme.example}]}
  sent_datetime: 2024-03-01T10:00:00Z
  type: incoming
messages:
"""


def batch_of(folder: Path, *entries: str, files: tuple[str, ...] = ("12.pdf",)) -> Path:
    """A batch whose entries are lines of YAML, and the files beside it."""
    (folder / "invoices").mkdir(exist_ok=True)
    for name in files:
        (folder / "invoices" / name).write_text(f"the invoice {name}")
    path = folder / "batch.yaml"
    path.write_text(HEAD + "".join(f"  - {{{entry}}}\n" for entry in entries))
    return path


def entry(ticket: int, *files: str, text: str = "See the invoice.") -> str:
    listed = ", ".join(f"{{file: {name}}}" for name in files)
    return f"ticket_id: {ticket}, body_text: {text}, attachments: [{listed}]"


def answer_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def arrived(url: str) -> list[dict[str, Any]]:
    tickets = asked(url, "/_sandbox/state")["tickets"]
    return [message for ticket in tickets for message in ticket["messages"]]


def uploaded(url: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = asked(url, "/_sandbox/history")["uploaded"]
    return files


def test_a_file_in_three_messages_is_uploaded_once_and_they_carry_what_the_helpdesk_answered(tmp_path: Path) -> None:
    entries = (entry(1, "invoices/12.pdf"), entry(2, "invoices/12.pdf"), entry(1, "invoices/13.pdf", "invoices/12.pdf"))
    batch = batch_of(tmp_path, *entries, files=("12.pdf", "13.pdf"))
    planned = run(None, "plan", batch, "--format", "json")
    with sandbox(*QUICK) as url:
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 0, done.stderr
        assert "attachments: 2 files, 36 bytes, each uploaded before the first message that carries it" in done.stderr
        stored = {each["name"]: each for each in uploaded(url)}
        assert [each["name"] for each in uploaded(url)].count("12.pdf") == 1
        assert sorted(stored) == ["12.pdf", "13.pdf"]
        carried = [message["attachments"] for message in arrived(url)]
        found = sorted([item["name"] for item in each] for each in carried)
        assert found == [["12.pdf"], ["12.pdf"], ["13.pdf", "12.pdf"]], "in their order"
        for item in (item for each in carried for item in each):
            assert item == {**stored[item["name"]], "public": True}
        assert answer_of(planned)["requests"] == answer_of(done)["requests"] == sum(requests(url).values())
        again = run(url, "run", batch, *OPTIONS)
        assert (again.returncode, len(uploaded(url)), len(arrived(url))) == (0, 2, 3), "nothing is left to do"
    assert str(tmp_path) not in log_of(batch).read_text()


@pytest.mark.parametrize("fault", ["drop-after@1", "500-before@1", "cut@1", "empty@1", "html@1", "429@1:0.1"])
def test_an_upload_whose_answer_is_lost_is_repeated_and_its_message_arrives_once(fault: str, tmp_path: Path) -> None:
    batch = batch_of(tmp_path, entry(1, "invoices/12.pdf"))
    with sandbox(*QUICK, "--faults", fault) as url:
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 0, done.stderr
        assert requests(url)["POST /api/upload"] == 2
        (message,) = arrived(url)
        assert message["attachments"] == [{**uploaded(url)[-1], "public": True}]
        assert landed_once(url, 1)


def test_a_message_whose_answer_is_lost_is_not_uploaded_for_again(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, entry(1, "invoices/12.pdf"))
    with sandbox(*QUICK, "--faults", "drop-before@2") as url:
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 0, done.stderr
        assert requests(url)["POST /api/upload"] == 1
        assert landed_once(url, 1)


def test_killed_during_an_upload_the_next_run_sends_its_message_once(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, entry(1, "invoices/12.pdf"), entry(1, "invoices/12.pdf", text="Once more."))
    with sandbox(*QUICK, "--faults", "hang@1") as url:
        going = start(url, batch)
        until(lambda: requests(url).get("POST /api/upload"))
        going.send_signal(signal.SIGKILL)
        going.communicate()
        assert arrived(url) == []
        set_faults(url, "")
        done = run(url, "run", batch, *OPTIONS)
        assert (done.returncode, answer_of(done)["created"]) == (0, 2), done.stderr
        assert landed_once(url, 2)


def test_a_link_out_of_the_folder_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("a private key")
    folder = tmp_path / "batches"
    folder.mkdir()
    batch = batch_of(folder, entry(1, "invoices/12.pdf"), entry(2, "invoices/link.pdf"), entry(3, "../key.pem"))
    (folder / "invoices" / "link.pdf").symlink_to(tmp_path / "key.pem")
    with sandbox(*QUICK) as url:
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 3
        assert requests(url) == {}
    line = len(HEAD.splitlines()) + 2
    assert f"{batch}:{line}:" in done.stderr
    assert "`invoices/link.pdf` leads out of the batch's folder, through a link [BM421]" in done.stderr
    assert f"{batch}:{line + 1}:" in done.stderr
    assert not log_of(batch).exists()


def test_a_file_that_is_too_large_is_told_at_its_line_and_nothing_of_its_ticket_overtakes_it(tmp_path: Path) -> None:
    entries = (
        entry(1, "invoices/small.pdf"),
        entry(1, "invoices/large.pdf"),
        entry(1, "invoices/small.pdf", text="Behind it."),
        entry(2, "invoices/large.pdf", text="The same file."),
        entry(3, text="Another ticket."),
    )
    batch = batch_of(tmp_path, *entries, files=("small.pdf", "large.pdf"))
    (tmp_path / "invoices" / "large.pdf").write_bytes(b"x" * 5001)
    with sandbox(*QUICK, "--upload-limit", "5000") as url:
        done = run(url, "run", batch, *OPTIONS)
        answer = answer_of(done)
        assert (done.returncode, answer["created"], answer["rejected"], answer["held_back"]) == (1, 2, 2, 1)
        assert requests(url)["POST /api/upload"] == 2, "the refused file is not sent again"
        assert sorted(message["body_text"] for message in arrived(url)) == ["Another ticket.", "See the invoice."]
        line = len(HEAD.splitlines()) + 2
        file = "the file invoices/large.pdf (5,001 bytes)"
        said = f"rejected: {file} is too large for the helpdesk: The payload is too large."
        assert f"({batch}:{line}) {said}" in done.stderr
        assert f"({batch}:{line + 2}) {said}" in done.stderr
        told = run(url, "results", batch, "--format", "jsonl", "--only", "rejected")
        results = [json.loads(text) for text in told.stdout.splitlines()]
        assert [(each["line"], each["status"], each["attempts"]) for each in results] == [
            (line, 413, 0),
            (line + 2, 413, 0),
        ]
        # The way out: a smaller file, and the same command.
        (tmp_path / "invoices" / "large.pdf").write_bytes(b"x" * 5000)
        mended = run(url, "run", batch, *OPTIONS)
        assert (mended.returncode, answer_of(mended)["created"]) == (0, 5), mended.stderr
        order = [message["body_text"] for message in arrived(url) if message["ticket_id"] == 1]
        assert order == ["See the invoice.", "See the invoice.", "Behind it."]


# -- in the thread of a new ticket -----------------------------------------------------------------------------------


def thread_of(folder: Path, *files: tuple[str, ...]) -> Path:
    """A batch of one new ticket: a message for each, with the files that it carries; and of a message elsewhere."""
    (folder / "invoices").mkdir(exist_ok=True)
    for name in sorted({name for listed in files for name in listed}):
        (folder / name).write_text(f"the file {name}")
    lines = [
        f"      - {{body_text: 'message {place}', attachments: {json.dumps([{'file': name} for name in listed])}}}\n"
        for place, listed in enumerate(files)
    ]
    head = HEAD.replace("messages:\n", "tickets:\n  - external_id: old-1\n    messages:\n")
    path = folder / "batch.yaml"
    path.write_text(head + "".join(lines) + "messages:\n  - {ticket_id: 7, body_text: elsewhere}\n")
    return path


PDF, LARGE = "invoices/12.pdf", "invoices/large.pdf"


def texts_of_thread(url: str) -> list[str]:
    return [message["body_text"] for message in arrived(url) if message["ticket_id"] != 7]


def test_a_thread_uploads_its_files_once_and_leaves_in_one_request_with_them(tmp_path: Path) -> None:
    batch = thread_of(tmp_path, (PDF,), (), (PDF, LARGE))
    with sandbox(*QUICK) as url:
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 0, done.stderr
        made = requests(url)
        assert (made["POST /api/upload"], made["POST /api/tickets"]) == (2, 1)
        assert made["POST /api/tickets/{id}/messages"] == 1, "only the message elsewhere"
        stored = {item["name"]: {**item, "public": True} for item in uploaded(url)}
        thread = [message for message in arrived(url) if message["ticket_id"] != 7]
        carried = [message["attachments"] or [] for message in thread]
        assert carried == [[stored["12.pdf"]], [], [stored["12.pdf"], stored["large.pdf"]]]
        again = run(url, "run", batch, *OPTIONS)
        assert (again.returncode, requests(url)) == (0, made), "nothing is left to do"


@pytest.mark.parametrize("fault", ["drop-after@1", "500-before@1", "cut@1"])
def test_a_thread_whose_upload_is_in_doubt_repeats_the_upload_alone(fault: str, tmp_path: Path) -> None:
    batch = thread_of(tmp_path, (), (PDF,))
    with sandbox(*QUICK, "--faults", fault) as url:
        done = run(url, "run", batch, *OPTIONS, "-j", "1")
        assert done.returncode == 0, done.stderr
        made = requests(url)
        assert (made["POST /api/upload"], made["POST /api/tickets"]) == (2, 1)
        assert landed_once(url, 3)


def test_a_thread_whose_answer_is_lost_is_not_uploaded_for_again(tmp_path: Path) -> None:
    batch = thread_of(tmp_path, (PDF,), (PDF, LARGE))
    with sandbox(*QUICK, "--faults", "drop-after@4") as url:
        done = run(url, "run", batch, *OPTIONS, "-j", "1")
        assert done.returncode == 0, done.stderr
        made = requests(url)
        assert (made["POST /api/upload"], made["POST /api/tickets"]) == (2, 1)
        assert made["GET /api/tickets"] == 2, "once at the start, and once after the answer to the thread was lost"
        assert landed_once(url, 3)
        assert texts_of_thread(url) == ["message 0", "message 1"]


@pytest.mark.parametrize("on_rejection", ["hold-ticket", "continue"])
def test_a_new_ticket_is_not_created_without_the_message_whose_file_is_too_large(
    on_rejection: str, tmp_path: Path
) -> None:
    batch = thread_of(tmp_path, (PDF,), (LARGE,), ())
    (tmp_path / LARGE).write_bytes(b"x" * 5001)
    with sandbox(*QUICK, "--upload-limit", "5000") as url:
        for uploads in (2, 2):  # in the second run nothing is new, and nothing is uploaded
            done = run(url, "run", batch, *OPTIONS, "--on-rejection", on_rejection)
            answer = answer_of(done)
            assert (done.returncode, answer["created"], answer["rejected"], answer["held_back"]) == (1, 1, 1, 2)
            assert (texts_of_thread(url), requests(url)["POST /api/upload"]) == ([], uploads)
            planned = json.loads(run(url, "plan", batch, "--format", "json").stdout)
            assert (planned["to_do"], planned["requests"]) == (0, 0)
        (tmp_path / LARGE).write_bytes(b"x" * 5000)
        planned = json.loads(run(url, "plan", batch, "--format", "json").stdout)
        mended = run(url, "run", batch, *OPTIONS)
        assert (mended.returncode, answer_of(mended)["created"]) == (0, 4), mended.stderr
        assert planned["requests"] == answer_of(mended)["requests"]
        assert texts_of_thread(url) == ["message 0", "message 1", "message 2"]
        assert requests(url)["POST /api/tickets"] == 1


def test_a_file_that_was_changed_after_its_message_was_created_counts_as_an_edit(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, f"key: k-1, {entry(1, 'invoices/12.pdf')}")
    invoice = tmp_path / "invoices" / "12.pdf"
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        invoice.write_text("another invoice")
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 3
        assert f"changed after it was sent or while in doubt: k-1 ({batch}:{len(HEAD.splitlines()) + 1})" in done.stderr
        assert run(url, "run", batch, *OPTIONS, "--allow-changed").returncode == 0
        invoice.write_text("the invoice 12.pdf")
        os.utime(invoice)
        moved = invoice.rename(tmp_path / "invoices" / "moved.pdf")
        batch.write_text(
            batch.read_text().replace("{file: invoices/12.pdf}", f"{{file: invoices/{moved.name}, name: 12.pdf}}")
        )
        assert run(url, "run", batch, *OPTIONS).returncode == 0, "where it lies is no part of the entry"
        assert landed_once(url, 1)


def test_a_file_that_is_changed_while_the_run_goes_on_stops_it_before_its_message(tmp_path: Path) -> None:
    entries = (entry(1, "invoices/12.pdf"), entry(2, "invoices/13.pdf"), entry(3, "invoices/13.pdf"))
    batch = batch_of(tmp_path, *entries, files=("12.pdf", "13.pdf"))
    with sandbox(*QUICK, "--faults", "slow@1:1.5") as url:
        going = start(url, batch, "-j", "1")
        until(lambda: requests(url).get("POST /api/upload"))
        (tmp_path / "invoices" / "13.pdf").write_text("something else")
        _, said = going.communicate(timeout=60)
        assert going.returncode == 3, said
        line = len(HEAD.splitlines()) + 2
        assert f"the file invoices/13.pdf was changed while the run was going on ({batch}:{line})" in said
        assert [each["name"] for each in uploaded(url)] == ["12.pdf"]
        done = run(url, "run", batch, *OPTIONS)
        assert (done.returncode, answer_of(done)["created"]) == (0, 3), done.stderr
        assert landed_once(url, 3)


def test_messages_can_leave_without_attachments_or_with_links_alone(tmp_path: Path) -> None:
    link = "{url: 'https://files.example.com/1.pdf', name: 1.pdf, content_type: application/pdf}"
    both = "{file: invoices/12.pdf, url: 'https://files.example.com/12.pdf'}"
    batch = batch_of(tmp_path, f"ticket_id: 1, body_text: Two., attachments: [{link}, {both}]")
    with sandbox(*QUICK) as url:
        skipped = run(url, "run", batch, *OPTIONS, "--attachments", "skip")
        assert (skipped.returncode, arrived(url)[0]["attachments"]) == (0, None)
        assert "attachments: 2 left out, as --attachments skip says; a later run does not add them" in skipped.stderr
        again = run(url, "run", batch, *OPTIONS)
        assert (again.returncode, answer_of(again)["created"], len(arrived(url))) == (0, 1, 1), (
            "another choice is no edit"
        )
    log_of(batch).unlink()
    with sandbox(*QUICK) as url:
        linked = run(url, "run", batch, *OPTIONS, "--attachments", "link")
        assert linked.returncode == 0, linked.stderr
        names = [item["url"] for item in arrived(url)[0]["attachments"]]
        assert names == ["https://files.example.com/1.pdf", "https://files.example.com/12.pdf"]
        assert uploaded(url) == []


def test_what_would_be_lost_by_leaving_attachments_out_stops_the_run(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, "ticket_id: 1, attachments: [{file: invoices/12.pdf}]")
    with sandbox(*QUICK) as url:
        for choice in ("skip", "link"):
            done = run(url, "run", batch, *OPTIONS, "--attachments", choice)
            assert (done.returncode, requests(url)) == (3, {})
            assert "[BM425]" in done.stderr
            assert run(None, "plan", batch, "--attachments", choice).returncode == 3


# -- large files ------------------------------------------------------------------------------------------------------

SIZE = 300_000_000
MOST_MORE = 24_000  # kB above what the same command takes for a small file

# The kernel's own mark: getrusage would count what the tests' process had when it made this one.
MEASURED = """
import re, sys
from pathlib import Path
from bulkmsg.cli.shell import call
code = call(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1), file=sys.stderr)
sys.exit(code)
"""


def peak_of(url: str, batch: Path) -> int:
    """The most memory that a run took, in kB."""
    command = [sys.executable, "-c", MEASURED, "run", str(batch), *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(url), timeout=240)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of a process's memory")
def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    peaks = []
    for size in (1_000, SIZE):
        folder = tmp_path / str(size)
        folder.mkdir()
        batch = batch_of(folder, entry(1, "invoices/12.pdf"))
        with (folder / "invoices" / "12.pdf").open("wb") as file:
            file.truncate(size)
        with sandbox(*QUICK) as url:
            peaks.append(peak_of(url, batch))
            assert [each["size"] for each in uploaded(url)] == [size]
    assert peaks[1] - peaks[0] < MOST_MORE, f"{peaks[1] - peaks[0]:,} kB more for {SIZE:,} bytes"
