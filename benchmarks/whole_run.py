"""How much of a strict helpdesk's limit the whole command uses on a real clock: `bulkmsg run` against a sandbox.

The sandbox counts in a bucket of 40 in 2 s and forgives nothing; each answer takes 50 ms. What it could have taken at
most is its burst and its rate over the seconds of the run, start and end included.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from tests.acceptance.batches import history_batch
from tests.acceptance.servers import run, sandbox

LIMIT, WINDOW, LATENCY = 40, 2.0, "0.05:0.05"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000)
    messages = parser.parse_args().messages
    with tempfile.TemporaryDirectory() as folder:
        batch = history_batch(Path(folder), messages, tickets=messages)
        with sandbox("--limit", str(LIMIT), "--window", str(WINDOW), "--latency", LATENCY) as url:
            done = run(url, "run", batch, "--rate", "40/2s", "--format", "json", "--progress", "none")
    told = json.loads(done.stdout)
    most = LIMIT + LIMIT / WINDOW * told["seconds"]
    print(f"{told['created']} of {told['total']} created, {told['requests']} requests in {told['seconds']:.1f} s")
    print(f"{told['requests'] / most:.1%} of what the helpdesk could take, {told['throttled']} 429s")


if __name__ == "__main__":
    main()
