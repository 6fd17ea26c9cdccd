"""`validate --format text`: findings as people read them, file by file, with a count at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkmsg.reports.checks import Checked, Frame, Totals
from bulkmsg.reports.findings import blocks


def report(checks: Iterable[Checked], frame: Frame) -> Iterator[str]:
    """Streams: a file's findings are told before the next file is looked at."""
    totals = Totals()
    for checked in checks:
        totals.add(checked)
        if checked.findings:
            yield from (f"{block}\n" for block in blocks(checked.shown, checked.lines(checked.shown)))
            yield from (f"{line}\n" for line in (checked.left_out, checked.verdict) if line)
    if len(totals.names) != 1 or not totals.findings:
        yield f"{totals.verdict}\n"
