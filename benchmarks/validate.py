"""How fast `validate` is and what it needs, next to the loop over jsonschema that one would write without it.

Prints a table of ratios. Both sides take turns on the same machine, each in a process of its own, and only their ratio
means something: seconds differ from machine to machine, and here from minute to minute.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SIDES = ("ours", "plain", "inlined")  # bulkmsg; jsonschema with the schemas as they are; with references resolved
WRONG_EVERY = 1_000  # a sprinkle of mistakes, so that both sides can be seen to find the same

ROWS = (  # the file's format, the other side, the row's title
    ("csv", "plain", "CSV"),
    ("csv", "inlined", "CSV, references inlined"),
    ("jsonl", "plain", "JSON Lines"),
    ("yaml", "plain", "YAML"),
)


@dataclass(frozen=True)
class Measure:
    """One pass over one file: CPU seconds of reading and checking, and the peak memory of the process.

    Imports are left out on both sides, compiling the schemas on theirs only.
    """

    messages: int
    invalid: int
    seconds: float
    peak: int  # bytes

    @property
    def each(self) -> float:
        """Microseconds for each message."""
        return self.seconds / self.messages * 1e6


@dataclass(frozen=True)
class Comparison:
    """One row of the table: `ours` reads a whole file, `theirs`, which takes its time, one with its first messages."""

    title: str
    ours: list[Measure]
    theirs: list[Measure]
    same: bool  # both call the same number of messages wrong

    @property
    def ratio(self) -> float:
        return median(theirs.each / ours.each for ours, theirs in zip(self.ours, self.theirs, strict=True))

    def line(self) -> str:
        ours, theirs = self.ours[0], self.theirs[0]
        each = f"{median(m.each for m in self.ours):9.1f} {median(m.each for m in self.theirs):9.1f}"
        found = f"{theirs.invalid} on both" if self.same else "DIFFER"
        return f"{self.title:26} {ours.messages:>9,} {theirs.messages:>8,} {each} {self.ratio:>6.1f}x   {found}"


# -- in the child ----------------------------------------------------------------------------------------------------


def measure(side: str, path: Path) -> Measure:
    """One pass in this process, by one of `SIDES`."""
    total, invalid, seconds = _ours(path) if side == "ours" else _theirs(path, inlined=side == "inlined")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measure(total, invalid, seconds, peak * (1 if sys.platform == "darwin" else 1024))


def _ours(path: Path) -> tuple[int, int, float]:
    from bulkmsg.validation.survey import BatchFile, survey

    batch = BatchFile(path, str(path))
    start = time.process_time()
    seen = survey(batch, deep=False)
    seconds = time.process_time() - start
    assert seen.header is not None
    return seen.messages, seen.messages - seen.by_type.total(), seconds


def _theirs(path: Path, *, inlined: bool) -> tuple[int, int, float]:
    import naive

    checkers = naive.checks(inlined=inlined)
    start = time.process_time()
    total, invalid = naive.invalid(path, checkers)
    return total, invalid, time.process_time() - start


# -- in the parent ---------------------------------------------------------------------------------------------------


def in_child(side: str, path: Path) -> Measure:
    done = subprocess.run(
        [sys.executable, __file__, "--measure", side, str(path)], stdout=subprocess.PIPE, check=True, text=True
    )
    return Measure(**json.loads(done.stdout))


def compare(title: str, whole: Path, sample: Path, side: str, pairs: int) -> Comparison:
    """Both sides in turns; then ours on the sample, too, to see that both find the same."""
    ours, theirs = [], []
    for _ in range(pairs):
        ours.append(in_child("ours", whole))
        theirs.append(in_child(side, sample))
    same = in_child("ours", sample).invalid == theirs[0].invalid
    return Comparison(title, ours, theirs, same)


def comparisons(folder: Path, rows: int, sample: int, pairs: int) -> Iterator[Comparison]:
    from data import write

    for suffix, side, title in ROWS:
        # YAML costs its parser more than all the rest together; a fifth shows as much.
        whole, part = (folder / f"{name}.{suffix}" for name in ("whole", "sample"))
        if not whole.exists():
            write(whole, rows // 5 if suffix == "yaml" else rows, WRONG_EVERY)
            write(part, sample, WRONG_EVERY)
        yield compare(title, whole, part, side, pairs)


def memory_line(folder: Path, rows: int, runs: int) -> str:
    """What each further message adds to the peak, from a batch and one four times its size."""
    from data import write

    small, large = folder / "small.csv", folder / "large.csv"
    write(small, rows)
    write(large, 4 * rows)
    peaks = [(in_child("ours", small).peak, in_child("ours", large).peak) for _ in range(runs)]
    low, high = median(peak[0] for peak in peaks), median(peak[1] for peak in peaks)
    return (
        f"memory: {low / 2**20:.1f} MB at {rows:,} messages, {high / 2**20:.1f} MB at {4 * rows:,}: "
        f"{(high - low) / (3 * rows):.1f} bytes for each further message"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="messages that bulkmsg reads (default %(default)s)")
    parser.add_argument("--sample", type=int, default=4_000, help="messages for the other side (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="turns; medians are shown (default %(default)s)")
    parser.add_argument("--measure", nargs=2, metavar=("SIDE", "FILE"), help="one pass, as JSON")
    args = parser.parse_args()
    if args.measure:
        side, file = args.measure
        print(json.dumps(asdict(measure(side, Path(file)))))
        return
    print(f"{'':26} {'messages':>18} {'CPU us each':>19} {'':>7}   wrong messages", flush=True)
    print(f"{'':26} {'bulkmsg':>9} {'theirs':>8} {'bulkmsg':>9} {'theirs':>9} {'ratio':>7}   in the sample", flush=True)
    with tempfile.TemporaryDirectory(prefix="bulkmsg-bench-") as name:
        for found in comparisons(Path(name), args.rows, args.sample, args.pairs):
            print(found.line(), flush=True)
        print(memory_line(Path(name), args.rows, min(args.pairs, 3)))


if __name__ == "__main__":
    main()
