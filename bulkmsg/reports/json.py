"""The answers that programs read: the shapes of `schemas/report.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from bulkmsg.diagnostic import Diagnostic, Severity
from bulkmsg.plan import Plan
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


def validation(
    messages: int, counts: Mapping[Severity, int], findings: Iterable[Diagnostic], *, valid: bool
) -> dict[str, Json]:
    """The answer of `validate`."""
    return {
        "valid": valid,
        "messages": messages,
        "counts": {severity.value: counts.get(severity, 0) for severity in Severity},
        "diagnostics": [diagnostic(found) for found in findings],
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
    }
