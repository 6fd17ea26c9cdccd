"""A progress log that is lost or damaged, with the real command: read back from the sandbox, and gone on with."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.servers import asked, bulkmsg, environment, post_again, run, sandbox
from tests.acceptance.test_cli_run import mailing

FAST = ["--settle", "0.2s", "--progress", "none", "--format", "json", "--rate", "400/2s"]
QUICK = ["--limit", "400", "--window", "2"]
REBUILD = ["--rebuild-log", *FAST]
LISTED = "GET /api/messages"


def history(folder: Path, messages: int = 60, tickets: int = 6, *, keys: bool = True) -> Path:
    """An import batch whose tickets' messages stand far apart."""
    lines = ["version: 1", "name: lost", "mode: import", "messages:"]
    for number in range(messages):
        key = f"key: k{number}, " if keys else ""
        lines.append(
            f"  - {{type: incoming, {key}ticket_id: {1 + number % tickets}, channel: email, body_text: text {number}, "
            "sender: {email: jane@example.com}, source: {from: {address: jane@example.com}, "
            "to: [{address: support@acme.example}]}, "
            f"sent_datetime: 2024-03-01T10:{number // 60:02}:{number % 60:02}Z}}"
        )
    path = folder / "batch.yaml"
    path.write_text("\n".join(lines))
    return path


def log_of(batch: Path) -> Path:
    return batch.with_name(f"{batch.name}.acme.progress.jsonl")


def created(url: str) -> Counter[str]:
    return Counter(item["external_id"] for item in asked(url, "/_sandbox/history")["created"])


def each_once(url: str, messages: int) -> bool:
    landed = created(url)
    return len(landed) == messages and set(landed.values()) == {1}


def in_order(url: str) -> bool:
    for ticket in asked(url, "/_sandbox/state")["tickets"]:
        texts = [int(item["body_text"].split()[1]) for item in sorted(ticket["messages"], key=lambda item: item["id"])]
        if texts != sorted(texts):
            return False
    return True


def requests(url: str) -> Counter[str]:
    return Counter(asked(url, "/_sandbox/state")["requests"])


def killed_midway(url: str, batch: Path) -> None:
    """A run that is killed with a part of its messages sent."""
    process = subprocess.Popen(bulkmsg("run", batch, *FAST), env=environment(url), stderr=subprocess.DEVNULL)
    for _ in range(600):
        if sum(created(url).values()) >= 10:
            break
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert 10 <= sum(created(url).values()) < 60


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


def test_a_log_that_was_lost_midway_is_read_back_each_ticket_once_and_the_rest_is_sent(tmp_path: Path) -> None:
    batch = history(tmp_path)
    with sandbox("--latency", "0.05:0.1", *QUICK) as url:
        killed_midway(url, batch)
        log_of(batch).unlink()
        refused = run(url, "run", batch, *FAST)
        assert refused.returncode == 7, refused.stderr
        assert last(refused) == f"next: bulkmsg run {batch} --rebuild-log"
        before = requests(url)
        done = run(url, "run", batch, *REBUILD)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["created"], answer["total"]) == (60, 60)
        assert requests(url)[LISTED] - before[LISTED] == 6
        assert answer["requests"] == sum((requests(url) - before).values())
        assert each_once(url, 60)
        assert in_order(url)
        assert json.loads(run(url, "run", batch, *FAST).stdout)["requests"] == 0, "nothing is left to do"


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def without_lines(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:5] + lines[9:])


def twice_a_line(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:6], lines[5], *lines[6:]])


@pytest.mark.parametrize(
    "harm", [flip, without_lines, twice_a_line, lambda data: b"", lambda data: data[data.index(b"\n") + 1 :]],
    ids=["a bit flipped", "lines deleted", "a line repeated", "emptied", "without its first line"],
)  # fmt: skip
def test_a_damaged_log_is_kept_and_rebuilt(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    batch = history(tmp_path)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST, "--limit", "4").returncode == 0
        damaged = harm(log_of(batch).read_bytes())
        log_of(batch).write_bytes(damaged)
        refused = run(url, "run", batch, *FAST)
        assert refused.returncode == 7, refused.stderr
        assert last(refused) == f"next: bulkmsg run {batch} --rebuild-log"
        before = requests(url)
        done = run(url, "run", batch, *REBUILD)
        assert done.returncode == 0, done.stderr
        assert requests(url)[LISTED] - before[LISTED] == 6
        assert each_once(url, 60)
        [kept] = tmp_path.glob("*.damaged-*")
        assert kept.read_bytes() == damaged
        assert f"the damaged progress log is kept as {kept}" in done.stderr


def test_killed_again_and_again_while_rebuilding_the_same_command_ends_it(tmp_path: Path) -> None:
    batch = history(tmp_path, 120, 30)
    random = Random(3)
    with sandbox("--latency", "0.02:0.06", *QUICK) as url:
        assert run(url, "run", batch, *FAST, "--limit", "13").returncode == 0
        log_of(batch).unlink()
        command, kills = bulkmsg("run", batch, *REBUILD), 0
        for attempt in range(20):
            process = subprocess.Popen(command, env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                process.communicate(timeout=random.uniform(0.7, 1.3) if attempt < 8 else 60)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                if log_of(batch).exists() and '"rebuilt"' not in log_of(batch).read_text():
                    halfway = run(url, "run", batch, *FAST)
                    assert (halfway.returncode, "being rebuilt" in halfway.stderr) == (7, True)
        assert kills >= 2, "it ended before it was killed often enough to prove anything"
        assert process.returncode == 0
        assert each_once(url, 120)
        assert in_order(url)


def test_a_signal_while_rebuilding_stops_it_and_names_the_same_command(tmp_path: Path) -> None:
    batch = history(tmp_path)
    with sandbox("--latency", "0.3:0.4", *QUICK) as url:
        command = bulkmsg("run", batch, *REBUILD)
        process = subprocess.Popen(
            command, env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not requests(url)[LISTED]:
            time.sleep(0.02)
        process.terminate()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 143, err
        assert json.loads(out)["pending"] == 60
        assert err.splitlines()[-1] == f"next: bulkmsg run {batch} --rebuild-log"
        assert created(url).total() == 0


def test_new_tickets_are_found_by_their_external_id(tmp_path: Path) -> None:
    lines = ["version: 1", "name: lost", "mode: import", "tickets:"]
    for number in range(12):
        lines.append(
            f"  - {{external_id: z-{number}, subject: Hello, customer: {{email: jane@example.com}}, messages: [{{"
            "type: incoming, channel: email, sender: {email: jane@example.com}, source: {from: "
            "{address: jane@example.com}, to: [{address: support@acme.example}]}, "
            f"body_text: text {number}, sent_datetime: 2024-03-01T10:00:{number:02}Z}}]}}"
        )
    batch = tmp_path / "batch.yaml"
    batch.write_text("\n".join(lines))
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST, "--limit", "5").returncode == 0
        log_of(batch).unlink()
        before = requests(url)
        done = run(url, "run", batch, *REBUILD)
        assert done.returncode == 0, done.stderr
        assert (requests(url) - before)["GET /api/tickets"] == 12
        tickets = asked(url, "/_sandbox/state")["tickets"]
        assert sorted(ticket["external_id"] for ticket in tickets) == sorted(f"z-{number}" for number in range(12))


# -- what is not sent ------------------------------------------------------------------------------------------------


def test_in_send_mode_nobody_is_mailed_because_a_log_was_lost(tmp_path: Path) -> None:
    people = [f"p{number}@example.com" for number in range(6)]
    batch = mailing(tmp_path / "send.yaml", people)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST, "--limit", "2", "--allow-send", "2").returncode == 0
        log_of(batch).unlink()
        before = requests(url)
        done = run(url, "run", batch, *REBUILD, "--allow-send", "6")
        assert done.returncode == 6, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["created"], answer["in_doubt"]) == (2, 4)
        assert last(done) == f"next: bulkmsg resolve {batch}"
        assert requests(url)[LISTED] - before[LISTED] == 6, "what was just looked for is not looked for again"
        assert len(asked(url, "/_sandbox/outbox")) == 2
        more = run(url, "run", batch, *FAST, "--in-doubt", "resend")
        assert (more.returncode, last(more)) == (4, f"next: bulkmsg run {batch} --allow-send 4")
        assert run(url, "run", batch, *FAST, "--in-doubt", "resend", "--allow-send", "4").returncode == 0
        mailed = [address for mail in asked(url, "/_sandbox/outbox") for address in mail["to"]]
        assert sorted(mailed) == people


def test_in_send_mode_a_word_for_all_asks_for_consent_to_exactly_those_that_are_absent(tmp_path: Path) -> None:
    batch = mailing(tmp_path / "send.yaml", [f"p{number}@example.com" for number in range(5)])
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST, "--limit", "2", "--allow-send", "2").returncode == 0
        log_of(batch).unlink()
        asking = run(url, "run", batch, *REBUILD, "--in-doubt", "resend", BULKMSG_ALLOW_SEND="9")
        assert asking.returncode == 4, asking.stderr
        assert "3 people will get 3 messages" in asking.stderr
        assert last(asking) == f"next: bulkmsg run {batch} --allow-send 3"
        done = run(url, "run", batch, *REBUILD, "--in-doubt", "resend", "--allow-send", "3")
        assert done.returncode == 0, done.stderr
        assert "is rebuilt already" in done.stderr
        assert len(asked(url, "/_sandbox/outbox")) == 5


@pytest.mark.parametrize("ids", ["strip", "cut"])
def test_where_the_helpdesk_does_not_keep_external_ids_nothing_is_sent(tmp_path: Path, ids: str) -> None:
    batch = history(tmp_path)
    with sandbox("--external-ids", ids, *QUICK) as url:
        assert run(url, "run", batch, *FAST, "--limit", "3").returncode == 0
        log_of(batch).unlink()
        done = run(url, "run", batch, *REBUILD)
        assert done.returncode == 6, done.stderr
        assert json.loads(done.stdout)["in_doubt"] == 60
        assert "seems not to keep external ids" in done.stderr
        again = run(url, "run", batch, *FAST)
        assert again.returncode == 6, "and neither does a later run"
        assert sum(len(ticket["messages"]) for ticket in asked(url, "/_sandbox/state")["tickets"]) == 30


def test_an_entry_that_was_edited_meanwhile_is_not_sent_beside_what_it_was(tmp_path: Path) -> None:
    batch = history(tmp_path, 12, 3, keys=False)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        log_of(batch).unlink()
        batch.write_text(batch.read_text().replace("text 4,", "a better text,"))
        done = run(url, "run", batch, *REBUILD)
        assert (done.returncode, json.loads(done.stdout)["in_doubt"]) == (6, 1)
        assert created(url).total() == 12
        assert run(url, "run", batch, *FAST).returncode == 6
        assert created(url).total() == 12


def test_found_twice_is_told(tmp_path: Path) -> None:
    batch = history(tmp_path, 2, 1)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        log_of(batch).unlink()
        post_again(url, asked(url, "/_sandbox/state")["tickets"][0]["messages"][0])
        done = run(url, "run", batch, *REBUILD)
        assert done.returncode == 1, done.stderr
        assert "1 message stands in the helpdesk more than once" in done.stderr
        assert json.loads(done.stdout)["created"] == 2


# -- what is refused -------------------------------------------------------------------------------------------------


def test_what_needs_no_rebuilding_is_not_rebuilt(tmp_path: Path) -> None:
    batch = history(tmp_path, 4, 2)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        before = log_of(batch).read_bytes()
        done = run(url, "run", batch, *REBUILD)
        assert (done.returncode, "nothing to rebuild" in done.stderr) == (7, True)
        assert log_of(batch).read_bytes() == before
        for flag in ("--dry-run", "--sandbox"):
            assert run(url, "run", batch, *REBUILD, flag).returncode == 2
        log_of(batch).write_bytes(before[:-200] + b"X" + before[-199:])
        assert run(url, "run", batch, *FAST, BULKMSG_REBUILD_LOG="1").returncode == 7
        batch.write_text(batch.read_text().replace("sent_datetime", "sent_datetme"))
        assert run(url, "run", batch, *REBUILD).returncode == 3
        assert list(tmp_path.glob("*.damaged-*")) == [], "nothing is touched before the batch is valid"


def test_a_damaged_log_of_another_batch_is_left_alone(tmp_path: Path) -> None:
    batch = history(tmp_path, 4, 2)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        log_of(batch).write_bytes(flip(log_of(batch).read_bytes()))
        done = run(url, "run", batch, *REBUILD, "--name", "other")
        assert (done.returncode, "belongs to" in done.stderr) == (7, True)
