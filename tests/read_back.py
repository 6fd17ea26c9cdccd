"""Reads the formats of `validate` as those do for whom they are made, so that tests can compare what arrives there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from bulkmsg.diagnostic import RULES, Diagnostic, Related, Severity
from bulkmsg.reports.words import visible


class Seen(NamedTuple):
    """A finding as somebody sees it. Line and column are 0 where it is about a whole file."""

    rule: str
    severity: str
    file: str
    line: int
    column: int
    message: str


def from_diagnostic(found: Diagnostic) -> Seen:
    return Seen(found.rule, found.severity.value, found.file, found.line, found.column, visible(found.text))


_TEXT = re.compile(r"(?P<file>.*?)(?::(?P<line>\d+):(?P<column>\d+))?: (?P<severity>error|warning|note): (?P<more>.*)")


def text(answer: str) -> Iterator[Seen]:
    """The first line of each block."""
    for line in answer.splitlines():
        match = _TEXT.fullmatch(line)
        if match and not line.startswith(" "):
            message, rule = match["more"].removesuffix("]").rsplit(" [", 1)
            place = int(match["line"] or 0), int(match["column"] or 0)
            yield Seen(rule, match["severity"], match["file"], *place, message)


def json_answer(answer: str) -> Iterator[Seen]:
    for each in json.loads(answer)["diagnostics"]:
        fields: dict[str, Any] = {
            **each,
            "severity": Severity(each["severity"]),
            "line": each["line"] or 0,
            "column": each["column"] or 0,
            "related": tuple(Related(**place) for place in each["related"]),
        }
        yield from_diagnostic(Diagnostic(**fields))


class Command(NamedTuple):
    """A line that the runner of GitHub Actions takes for a command."""

    name: str
    properties: dict[str, str]
    data: str


_DATA = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
_REGISTERED = {"error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "stop-commands", "set-env"}


def command(line: str) -> Command | None:
    """What the runner makes of a line: TryParseV2, then TryParse, of actions/runner, ActionCommand.cs."""
    rest = line.lstrip()
    if rest.startswith("::") and (end := rest.find("::", 2)) >= 0:
        name, _, given = rest[2:end].partition(" ")
        if name in _REGISTERED:
            pairs = (pair.split("=", 1) for pair in given.strip().split(",") if pair)
            properties = {pair[0]: _unescaped(pair[1], _PROPERTY) for pair in pairs if len(pair) == 2 and pair[1]}
            return Command(name, properties, _unescaped(rest[end + 2 :], _DATA))
    start = line.find("##[")
    if start >= 0 and (end := line.find("]", start)) >= 0:
        name = line[start + 3 : end].partition(" ")[0]
        if name in _REGISTERED:
            return Command(name, {}, line[end + 1 :])
    return None


def _unescaped(value: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for escaped, plain in pairs:
        value = value.replace(escaped, plain)
    return value


def github(answer: str) -> Iterator[Seen]:
    for line in answer.splitlines():
        found = command(line)
        if found:
            given = found.properties
            rule, _, title = given["title"].partition(" ")
            assert title == RULES[rule].title
            level = {"notice": "note"}.get(found.name, found.name)
            place = int(given.get("line", 0)), int(given.get("col", 0))
            yield Seen(rule, level, given["file"], *place, found.data.splitlines()[0])


def sarif_message(message: dict[str, str]) -> str:
    """A plain text message as a viewer shows it (SARIF 2.1.0, 3.11)."""
    assert not set("{}") & set(message["text"].replace("{{", "").replace("}}", "")), "a brace alone is a placeholder's"
    return message["text"].replace("\\](", "](").replace("{{", "{").replace("}}", "}")


def sarif(answer: str) -> Iterator[Seen]:
    (run,) = json.loads(answer)["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place: dict[str, Any] = result["locations"][0]["physicalLocation"]
        region = place.get("region", {"startLine": 0, "startColumn": 0})
        file = unquote(place["artifactLocation"]["uri"])
        message = sarif_message(result["message"]).partition("\nhint: ")[0]
        yield Seen(result["ruleId"], result["level"], file, region["startLine"], region["startColumn"], message)


def junit(answer: str) -> Iterator[Seen]:
    """What stands in the cases, as `text` has it: GitLab and Jenkins show that."""
    for case in ElementTree.fromstring(answer).iter("testcase"):
        for ending in case:
            if ending.tag != "skipped":
                (seen,) = list(text((ending.text or "").splitlines()[0]))
                assert ending.get("message", seen.message) == seen.message
                assert ending.get("type", seen.rule) == seen.rule
                assert case.get("file") == case.get("classname") == seen.file
                yield seen


READERS = {"text": text, "json": json_answer, "github": github, "sarif": sarif, "junit": junit}
