"""`validate --format sarif`: SARIF 2.1.0, for code scanning and for editors.

Built from the OASIS Standard with errata 01; what GitHub takes of it stands in docs.github.com, "SARIF support for
code scanning": it refuses a run of more than 25,000 results and keeps 5,000 of them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from bulkmsg import __version__
from bulkmsg.diagnostic import RULES, Diagnostic, Related, Rule
from bulkmsg.reports.checks import Checked, Frame, PathOf, Totals
from bulkmsg.reports.findings import in_order
from bulkmsg.reports.json import dump
from bulkmsg.reports.words import visible
from bulkmsg.rule_pages import Page
from bulkmsg.source import Json

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "bulkmsgFinding/v1"
GITHUB_TAKES = 25_000

_ROOT = "%SRCROOT%"
_RULE_INDEX = {rule: index for index, rule in enumerate(RULES)}
_NUMBERS = re.compile(r"\d+")
_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")


def report(checks: Iterable[Checked], frame: Frame) -> Iterator[str]:
    """One run with all batches in it."""
    yield dump({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(list(checks), frame)]}, indent=2) + "\n"


def _run(checks: Sequence[Checked], frame: Frame) -> dict[str, Json]:
    totals = Totals.of(checks)
    return {
        "tool": {
            "driver": {
                "name": "bulkmsg",
                "version": __version__,
                "rules": [_rule(each, frame.pages.get(each.id)) for each in RULES.values()],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {
            _ROOT: {"description": _message("The repository's root, or else the folder in which validate ran.")}
        },
        "invocations": [_invocation(checks, totals, frame)],
        "results": list(_results(checks, frame.path_of)),
        "properties": {"messages": totals.messages, "findings": totals.findings, "shown": totals.shown},
    }


def _rule(rule: Rule, page: Page | None) -> dict[str, Json]:
    title = f"{rule.title[0].upper()}{rule.title[1:]}."
    parts = {"What": page.what, "Why": page.why, "Way out": page.way_out} if page else {}
    told = {name: _LINK.sub(r"\1", text) for name, text in parts.items()}
    more = f"`bulkmsg explain {rule.id}` shows examples."
    markdown = "\n\n".join([*(f"**{name}.** {text}" for name, text in told.items()), more])
    return {
        "id": rule.id,
        "shortDescription": _message(title),
        "fullDescription": _message(told.get("What", title)),
        "help": {**_message(*told.values(), more), "markdown": _braced(markdown)},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _message(*lines: str) -> dict[str, Json]:
    """A plain text message, in which `[text](place)` would be a link (3.11.6)."""
    return {"text": _braced("\n".join(map(visible, lines))).replace("](", "\\](")}


def _braced(text: str) -> str:
    """In every message a brace alone stands for a placeholder (3.11.5)."""
    return text.replace("{", "{{").replace("}", "}}")


def _invocation(checks: Sequence[Checked], totals: Totals, frame: Frame) -> dict[str, Json]:
    unread = [found for checked in checks if checked.unread for found in checked.shown if found.rule == "BM101"]
    told = [
        {"level": "error", "message": _message(found.text), "locations": [_location(found, frame.path_of)]}
        for found in unread
    ]
    told += [
        {"level": "warning", "message": _message(f"{each.name}: {each.left_out}")} for each in checks if each.left_out
    ]
    if totals.shown > GITHUB_TAKES:
        said = f"GitHub refuses a run of more than {GITHUB_TAKES:,} results, and this one has {totals.shown:,}"
        told.append({"level": "warning", "message": _message(said)})
    return {
        "executionSuccessful": not any(checked.unread for checked in checks),
        "toolExecutionNotifications": told,
    }


def _results(checks: Sequence[Checked], path_of: PathOf) -> Iterator[dict[str, Json]]:
    seen: Counter[str] = Counter()
    for found in in_order(each for checked in checks for each in checked.shown):
        identity = _identity(found, path_of)
        seen[identity] += 1
        yield _result(found, f"{identity}:{seen[identity]}", path_of)


def _result(found: Diagnostic, fingerprint: str, path_of: PathOf) -> dict[str, Json]:
    related = [_related(number, place, path_of) for number, place in enumerate(found.related, 1)]
    more = {"key": found.key, "row": found.row, "columnName": found.column_name}
    return {
        "ruleId": found.rule,
        "ruleIndex": _RULE_INDEX[found.rule],
        "level": found.severity.value,
        "message": _message(found.text, *([f"hint: {found.hint}"] if found.hint else [])),
        "locations": [_location(found, path_of)],
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "properties": {name: value for name, value in more.items() if value is not None},
    }


def _location(found: Diagnostic, path_of: PathOf) -> dict[str, Json]:
    place = {"physicalLocation": _place(found.file, found.line, found.column, path_of)}
    logical = [{"fullyQualifiedName": visible(found.path), "kind": "value"}]
    return {**place, "logicalLocations": logical} if found.path else place


def _related(number: int, place: Related, path_of: PathOf) -> dict[str, Json]:
    at = _place(place.file, place.line, place.column, path_of)
    return {"id": number, "physicalLocation": at, "message": _message(place.message)}


def _place(file: str, line: int, column: int, path_of: PathOf) -> dict[str, Json]:
    region = {"region": {"startLine": line, "startColumn": column}} if line else {}
    return {"artifactLocation": _artifact(path_of(file)), **region}


def _artifact(path: str) -> dict[str, Json]:
    """Percent-encoded by its bytes, since a name need not be text; what can be no file's name, as it is told."""
    try:
        uri = quote(os.fsencode(path))
    except UnicodeEncodeError:
        uri = quote(visible(path))
    return {"uri": f"file://{uri}"} if path.startswith("/") else {"uri": uri, "uriBaseId": _ROOT}


def _identity(found: Diagnostic, path_of: PathOf) -> str:
    """The same for the same finding after lines and entries were put in or taken out elsewhere."""
    parts = (
        found.rule,
        path_of(found.file),
        _NUMBERS.sub("#", found.path),
        found.key or "",
        _NUMBERS.sub("#", found.message),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
