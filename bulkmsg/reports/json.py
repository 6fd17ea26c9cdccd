"""The answers that programs read: the shapes of `schemas/report.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from bulkmsg.diagnostic import Diagnostic, Severity
from bulkmsg.plan import Plan
from bulkmsg.reports.checks import Checked, Frame, Totals
from bulkmsg.source import Json


def dump(value: Json, *, indent: int | None = None) -> str:
    """A value as JSON in which every character shows: what would not is escaped, and reads back the same."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def report(checks: Iterable[Checked], frame: Frame) -> Iterator[str]:
    """`validate --format json`."""
    yield dump(validation(list(checks)), indent=2) + "\n"


def validation(checks: list[Checked]) -> dict[str, Json]:
    """The answer of `validate`."""
    totals = Totals.of(checks)
    return {
        "valid": not totals.counts[Severity.ERROR],
        "messages": totals.messages,
        "counts": {severity.value: totals.counts[severity] for severity in Severity},
        "at_least": totals.at_least,
        "left_out": totals.findings - totals.shown,
        "diagnostics": [diagnostic(found) for checked in checks for found in checked.shown],
    }


def diagnostic(found: Diagnostic) -> dict[str, Json]:
    """One finding. What a finding about a whole file has not, a line and a column, is null."""
    return {
        "rule": found.rule,
        "severity": found.severity.value,
        "message": found.message,
        "hint": found.hint,
        "file": found.file,
        "line": found.line or None,
        "column": found.column or None,
        "path": found.path,
        "key": found.key,
        "row": found.row,
        "column_name": found.column_name,
        "related": [
            {
                "message": place.message,
                "file": place.file,
                "line": place.line,
                "column": place.column,
                "key": place.key,
            }
            for place in found.related
        ],
    }


def plan(planned: Plan) -> dict[str, Json]:
    """The answer of `plan`."""
    return {
        "batch": planned.batch,
        "mode": planned.mode,
        "messages": planned.messages,
        "by_type": planned.by_type,
        "tickets": planned.tickets,
        "new_tickets": planned.new_tickets,
        "requests": planned.requests,
        "recipients": planned.recipients,
        "sends": planned.sends,
        "seconds": round(planned.seconds, 3),
        "rate": str(planned.rate),
        "to_do": planned.to_do,
        "costs": dict(planned.costs.parts),
        "faster": [
            {"how": how, "rate": str(rate), "seconds": round(seconds, 3)} for how, rate, seconds in planned.faster()
        ],
    }
