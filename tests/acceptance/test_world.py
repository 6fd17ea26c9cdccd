"""What the machine around a run may do: clocks that jump, odd locales, tiny terminals, streams that fail."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from threading import Thread

import pytest

from tests.acceptance.batches import OPTIONS, QUICK, history_batch, landed_once, log_of
from tests.acceptance.servers import bulkmsg, environment, run, sandbox

# The command as it is, on a machine whose time of day leaps by ten years, there and back, at each look.
LEAPING = """
import itertools, sys
from datetime import UTC, datetime, timedelta
import bulkmsg.app.run
leaps = itertools.cycle([timedelta(days=3650), timedelta(days=-3650)])
bulkmsg.app.run.utc_now = lambda: datetime.now(UTC) + next(leaps)
from bulkmsg.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_time_of_day_that_leaps_by_years_changes_nothing(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "0.05:0.1", *QUICK, "--faults", "drop-after@3,429@5:1") as url:
        command = [sys.executable, "-c", LEAPING, "run", str(batch), *OPTIONS, "--max-duration", "1h"]
        done = subprocess.run(command, env=environment(url), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        years = {line.partition('"at":"')[2][:4] for line in log_of(batch).read_text().splitlines()} - {""}
        assert len(years) == 2, "the log's own times did leap"
        assert landed_once(url, 60)
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        assert landed_once(url, 60)


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_machine_without_unicode_sends_what_stands_in_the_batch(tmp_path: Path, locale: str) -> None:
    folder = tmp_path / "Grüße"
    folder.mkdir()
    batch = history_batch(folder, 4)
    batch.write_text(
        batch.read_text().replace("message 0", "Grüße, 你好").replace("name: stopping", "name: Grüße"), "utf-8"
    )
    plain = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with sandbox(*QUICK) as url:
        done = run(url, "run", batch, "--settle", "0.3s", "--progress", "plain", **plain)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert landed_once(url, 4)
        again = run(url, "run", batch, "--settle", "0.3s")
        assert again.returncode == 0, again.stderr
        assert landed_once(url, 4), "the same entries under every locale"


def test_a_terminal_of_one_column_stops_nothing(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 20)
    with sandbox("--latency", "0.1:0.2", *QUICK) as url:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 1, 1, 0, 0))
        command = bulkmsg("run", batch, "--settle", "0.3s", "--rate", "400/2s", "--progress", "bar")
        env = {
            name: value for name, value in environment(url, TERM="xterm").items() if name not in ("COLUMNS", "LINES")
        }
        process = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown: list[bytes] = []
        reading = Thread(target=_read_all, args=(ours, shown), daemon=True)
        reading.start()
        assert process.wait(60) == 0
        reading.join(10)
        assert landed_once(url, 20)
    said = b"".join(shown).decode()
    assert "Traceback" not in said
    assert "20 created of 20 messages" in said


def _read_all(terminal: int, shown: list[bytes]) -> None:
    try:
        while data := os.read(terminal, 65_536):
            shown.append(data)
    except OSError:  # the other end is closed
        os.close(terminal)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("case", ["2>/dev/full", "2>&-", "<&-", ">/dev/full 2>/dev/full", "2>&1 | head -1"])
def test_no_stream_keeps_a_run_from_its_end(tmp_path: Path, case: str) -> None:
    batch = history_batch(tmp_path, 20)
    with sandbox(*QUICK) as url:
        line = f"{' '.join(bulkmsg('run', batch, '--rate', '400/2s'))} {case}"
        subprocess.run(["bash", "-c", line], env=environment(url), capture_output=True, timeout=60, check=False)
        assert landed_once(url, 20)
    assert '"record":"end"' in log_of(batch).read_text().splitlines()[-1]
