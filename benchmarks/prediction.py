"""How well `bulkmsg plan` foretells the time of a run: one command, a whole process against the loopback helpdesk.

    python benchmarks/prediction.py

Time is scaled down: the helpdesk has a strict leaky bucket of 100 requests in 2 s, and answers after 5 to 20 ms.
Printed are the seconds that `plan` reckoned, those that `run` took, and how far they are apart; above 2 % it ends
with exit code 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MESSAGES = 2000
LIMIT, WINDOW = 100, 2
BOUND = 0.02


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, helpdesk() as url:
        batch = write_batch(Path(folder))
        environment = {**os.environ, **credentials(url), "XDG_STATE_HOME": str(Path(folder) / "state")}
        planned = answer(environment, "plan", str(batch))
        done = answer(environment, "run", str(batch), "--progress", "none")
    error = done["seconds"] / planned["seconds"] - 1
    print(f"planned   {planned['seconds']:.2f} s, {planned['requests']} requests")
    print(f"took      {done['seconds']:.2f} s, {done['requests']} requests, {done['throttled']} of them told to wait")
    print(f"error     {100 * error:+.2f} %")
    return 0 if abs(error) < BOUND else 1


def write_batch(folder: Path) -> Path:
    """A history of messages on a few hundred existing tickets."""
    path = folder / "history.csv"
    rows = (f"internal-note,{number % 500 + 1},anna@acme.example,note {number}" for number in range(MESSAGES))
    header = "type,ticket_id,sender.email,body_text,created_datetime"
    path.write_text("\n".join([header, *(f"{row},2024-03-01T10:00:00Z" for row in rows)]) + "\n")
    return path


def answer(environment: dict[str, str], command: str, *words: str) -> dict[str, float]:
    """What a command says in JSON."""
    line = [sys.executable, "-m", "bulkmsg", command, *words, "--rate", f"{LIMIT}/{WINDOW}s", "--format", "json"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    told: dict[str, float] = json.loads(done.stdout)
    return told


@contextmanager
def helpdesk() -> Iterator[str]:
    """A loopback helpdesk with the scaled limit; its URL."""
    flags = ["--limit", str(LIMIT), "--window", str(WINDOW), "--latency", "0.005:0.02"]
    command = [sys.executable, "-m", "bulkmsg.sandbox", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def credentials(url: str) -> dict[str, str]:
    named = {"ACCOUNT": "acme", "EMAIL": "anna@acme.example", "API_KEY": "key-for-benchmarks", "BASE_URL": url}
    return {f"GORGIAS_{name}": value for name, value in named.items()}


if __name__ == "__main__":
    sys.exit(main())
