"""`validate --format github`: annotations at the lines of a pull request, and a summary of the job.

Whatever is printed in a step of GitHub Actions may be taken for a command, so nothing from a user's file may begin
one. The forms are those of docs.github.com, "Workflow commands for GitHub Actions"; how they are read is told by
github.com/actions/runner, src/Runner.Common/ActionCommand.cs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bulkmsg.diagnostic import RULES, Diagnostic, Severity
from bulkmsg.reports.checks import Checked, Frame, PathOf, Totals
from bulkmsg.reports.findings import in_order
from bulkmsg.reports.words import count, visible

# Annotations of each level that a step shows (github.com/actions/toolkit, docs/problem-matchers.md, "Limitations").
ANNOTATIONS = 10
# Bytes of a step's summary; with one more nothing is shown (the page above, "Step isolation and limits").
SUMMARY = 1 << 20

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_MARKUP = re.compile(r"[!-/:-@\[-`{-~]")
_TAIL = 400  # bytes kept for the line that says what was cut


def report(checks: Iterable[Checked], frame: Frame) -> Iterator[str]:
    """All errors first, since only the first few of each level become annotations; then how many there are."""
    listed = list(checks)
    for found in _worst_first(listed):
        yield annotation(found, frame.path_of) + "\n"
    totals = Totals.of(listed)
    yield from (f"{harmless(line)}\n" for line in _closing(totals))


def _worst_first(checks: Iterable[Checked]) -> list[Diagnostic]:
    return in_order(found for checked in checks for found in checked.shown)


def annotation(found: Diagnostic, path_of: PathOf) -> str:
    """The command that marks a line of a pull request."""
    place = {"line": str(found.line), "col": str(found.column)} if found.line else {}
    title = f"{found.rule} {RULES[found.rule].title}"
    given = {"file": visible(path_of(found.file)), **place, "title": title}
    properties = ",".join(f"{name}={_property(value)}" for name, value in given.items())
    return f"::{_LEVELS[found.severity]} {properties}::{_data(_told(found))}"


def _told(found: Diagnostic) -> str:
    """The message, and what the log of a step would not say otherwise: where it is."""
    place = f"{found.file}:{found.line}:{found.column}" if found.line else found.file
    key = f" (key {found.key})" if found.key is not None else ""
    see = [f"see {each.file}:{each.line}:{each.column}: {each.message}" for each in found.related]
    hint = [f"hint: {found.hint}"] if found.hint else []
    return "\n".join(visible(line) for line in (found.text, *hint, *see, f"at {place}{key}"))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def harmless(line: str) -> str:
    """A line that the runner takes for no command: neither `::name::` at its beginning nor `##[name]` anywhere."""
    shown = line.replace("##[", "##\\[")
    return f"\\{shown}" if shown.lstrip().startswith("::") else shown


def _closing(totals: Totals) -> Iterator[str]:
    if totals.left_out:
        yield totals.left_out
    hidden = [f"{count(ANNOTATIONS, each.value)}" for each in Severity if totals.counts[each] > ANNOTATIONS]
    more = f"; of a step GitHub annotates no more than {' and '.join(hidden)}: the job's summary lists them all"
    yield totals.verdict + (more if hidden else "")


# -- the summary of the job ------------------------------------------------------------------------------------------


def summary(checks: Sequence[Checked], frame: Frame, room: int = SUMMARY) -> str:
    """The findings as a Markdown table of at most `room` bytes; what does not fit is counted."""
    totals = Totals.of(checks)
    lines = [f"### bulkmsg validate: {_markdown(totals.verdict)}", ""]
    if totals.left_out:
        lines += [_markdown(totals.left_out), ""]
    found = _worst_first(checks)
    if found:
        lines += ["| severity | place | rule | finding | what to do |", "|---|---|---|---|---|"]
    left = room - _TAIL - sum(_size(line) for line in lines)
    listed = 0
    for row in (_row(each, frame.path_of) for each in found):
        left -= _size(row)
        if left < 0:
            break
        lines.append(row)
        listed += 1
    if listed < len(found):
        rest = count(len(found) - listed, "more finding")
        lines += ["", f"{rest} not listed here: GitHub takes 1 MiB of a step. The step's log lists them all."]
    text = "".join(f"{line}\n" for line in lines)
    return text if _size(text) <= room else ""


def _size(line: str) -> int:
    return len(line.encode("utf-8", "backslashreplace")) + 1


def _row(found: Diagnostic, path_of: PathOf) -> str:
    path = path_of(found.file)
    place = f"{path}:{found.line}:{found.column}" if found.line else path
    cells = (found.severity.value, place, found.rule, found.text, found.hint)
    return f"| {' | '.join(_markdown(cell) for cell in cells)} |"


def _markdown(text: str) -> str:
    """A text that Markdown shows as it is: every ASCII punctuation mark may be escaped so (GFM, 2.4)."""
    return _MARKUP.sub(r"\\\g<0>", visible(text))
