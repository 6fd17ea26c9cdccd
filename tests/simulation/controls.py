"""Prints, as the table of docs/exactly-once.md, how many seeds each planted mistake survives.

python -m tests.simulation.controls
"""

from __future__ import annotations

from tests.simulation.mistakes import MISTAKES
from tests.simulation.test_mistakes import survived


def main() -> None:
    print("| planted mistake | seeds survived |\n|---|---|")
    for name in MISTAKES:
        print(f"| {name} | {survived(name)} |", flush=True)


if __name__ == "__main__":
    main()
