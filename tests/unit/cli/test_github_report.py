"""The format for GitHub Actions: nothing from a file becomes a command, markup, or more than GitHub takes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from bulkmsg.diagnostic import Diagnostic, Severity
from bulkmsg.reports.checks import Checked, Frame, below
from bulkmsg.reports.findings import in_order
from bulkmsg.reports.github import harmless, report, summary
from bulkmsg.reports.words import visible
from tests.contracts.test_validate_formats import HOSTILE, checked, found
from tests.read_back import command


def lines(*checks: Checked, frame: Frame | None = None) -> list[str]:
    return "".join(report(list(checks), frame or Frame())).splitlines()


def many(number: int, severity: Severity = Severity.ERROR, file: str = "a.yaml") -> list[Diagnostic]:
    return [found(file=file, line=line, severity=severity) for line in range(1, number + 1)]


def test_errors_of_all_files_come_before_any_warning() -> None:
    """GitHub shows the first ten of each level; the log is read from its top."""
    first = checked([*many(2, Severity.WARNING), *many(1, Severity.NOTE)])
    said = lines(first, checked(many(2, file="b.yaml"), name="b.yaml"))
    commands = [told for line in said if (told := command(line))]
    assert [(each.name, each.properties["file"]) for each in commands] == [
        ("error", "b.yaml"),
        ("error", "b.yaml"),
        ("warning", "a.yaml"),
        ("warning", "a.yaml"),
        ("notice", "a.yaml"),
    ]


def test_each_finding_is_one_command_and_the_closing_line_is_none() -> None:
    said = lines(checked(HOSTILE, name="::error::x ##[add-mask]y", more=1))
    assert [command(line) is not None for line in said] == [True] * len(HOSTILE) + [False] * 2


@pytest.mark.parametrize("line", ["::error::x", "  ::add-mask::x", "see ##[stop-commands]x", "::group::##[error]"])
def test_a_line_that_looks_like_a_command_is_made_harmless(line: str) -> None:
    assert command(line) is not None
    assert command(harmless(line)) is None


def test_the_closing_line_says_what_github_will_not_annotate() -> None:
    assert lines(checked(many(10)))[-1] == "10 errors in batch.yaml: 7 messages"
    assert "no more than 10 errors: the job's summary lists them all" in lines(checked(many(11)))[-1]
    both = checked([*many(11), *many(12, Severity.WARNING)])
    assert "no more than 10 errors and 10 warnings" in lines(both)[-1]


def test_an_annotation_names_the_file_from_the_root_of_the_repository() -> None:
    frame = Frame(path_of=below("/repo", "/repo/migration"))
    (told, outside, _) = lines(checked([found(), found(file="/tmp/x.yaml")]), frame=frame)
    assert command(told).properties["file"] == "migration/a.yaml"  # type: ignore[union-attr]
    assert command(outside).properties["file"] == "/tmp/x.yaml"  # type: ignore[union-attr]


# -- the summary -----------------------------------------------------------------------------------------------------


def test_the_summary_lists_all_findings_and_says_what_was_not_shown() -> None:
    text = summary([checked([found(), *many(2, Severity.WARNING)], more=4)], Frame())
    assert len(re.findall(r"^\| (?:error|warning) \|", text, re.MULTILINE)) == 3
    assert "3 of 7 findings are shown" in text.replace("\\", "")


def test_nothing_in_the_summary_is_markup_or_ends_its_row() -> None:
    name = "<img src=x>`|**.yaml"
    text = summary([checked(HOSTILE, name=name)], Frame())
    page = ElementTree.fromstring(f"<body>{MarkdownIt('commonmark').enable('table').render(text)}</body>")
    (heading,) = page.iter("h3")
    assert name in (heading.text or "")
    rows = [[cell.text for cell in row.iter("td")] for row in page.iter("tr")][1:]
    assert rows == [
        [each.severity, place(each), each.rule, visible(each.text), visible(each.hint)] for each in in_order(HOSTILE)
    ]
    assert {each.tag for each in page.iter()} == {"body", "h3", "table", "thead", "tbody", "tr", "th", "td"}


def place(each: Diagnostic) -> str:
    return visible(f"{each.file}:{each.line}:{each.column}" if each.line else each.file)


@pytest.mark.parametrize("room", [1 << 20, 5000, 700, 50])
def test_the_summary_keeps_to_the_room_there_is(room: int) -> None:
    text = summary([checked(many(20_000))], Frame(), room)
    assert len(text.encode()) <= room
    assert text or room < 100
    if text:
        shown = len(re.findall(r"^\| error \|", text, re.MULTILINE))
        assert f"{20_000 - shown:,} more findings not listed here" in text


def test_the_summary_of_sound_batches_says_so() -> None:
    assert summary([checked([]), checked([])], Frame()).replace("\\", "") == (
        "### bulkmsg validate: no errors in 2 files: 14 messages\n\n"
    )
