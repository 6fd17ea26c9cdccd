"""Every format of `validate` tells the same findings, in a form that those for whom it is made can read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema

from bulkmsg import schema
from bulkmsg.cli.findings import lines_of
from bulkmsg.cli.validate import command
from bulkmsg.diagnostic import Diagnostic, Severity, file_finding
from bulkmsg.reports.checks import Checked, Frame, below
from bulkmsg.reports.findings import LineOf, in_order
from bulkmsg.reports.formats import FORMATS
from bulkmsg.reports.words import visible
from bulkmsg.rule_pages import pages
from bulkmsg.validation.survey import survey
from tests import read_back
from tests.cases.test_cases import NOW, batch_of, cases

DATA = Path(__file__).resolve().parents[1] / "data"
REPORTS = Path(__file__).resolve().parents[2] / "bulkmsg" / "reports"


def checked(
    shown: Sequence[Diagnostic],
    *,
    name: str = "batch.yaml",
    more: int = 0,
    unread: bool = False,
    at_least: bool = False,
) -> Checked:
    counts = {each: sum(found.severity is each for found in shown) for each in Severity}
    counts[Severity.ERROR] += more
    return Checked(name, 7, counts, shown, no_lines, at_least=at_least, unread=unread)


def no_lines(shown: Sequence[Diagnostic]) -> LineOf:
    return lambda found: None


def written(output: str, *checks: Checked, frame: Frame | None = None) -> str:
    return "".join(FORMATS[output].render(list(checks), frame or Frame()))


def found(
    rule: str = "BM301", message: str = "what is wrong", file: str = "a.yaml", line: int = 3, **more: Any
) -> Diagnostic:
    severity = more.pop("severity", Severity.ERROR)
    return Diagnostic(
        rule, severity, message, more.pop("hint", "what to do"), file, line, more.pop("column", 5), **more
    )


HOSTILE = [
    found(message="100% wrong, a: b; `x`\x1b[31m\u202e \ud800 \x00\x0b\ufffe ]]> <b>&amp;"),
    found(file="a,b:c%0A::error file=x::y\n::stop-commands::z.yaml", message="::error::x\n##[add-mask]y"),
    found(file="##[stop-commands]x].yaml", message="{0} {{name}} [click](https://evil.example/) \\[a\\](1)"),
    found(file="Grüße 日本 #1?.yaml", message="😀 e\u0301", key="k\n::error::", path="messages[3].source"),
    found(message="| a | <script>alert(1)</script> ![x](y) @team #1 www.example.org", hint="*b* _i_ `c` ~~d~~"),
    file_finding("BM101", "it does not exist", "look", "none.yaml"),
    found(file="\ud800 \udcff.yaml", key="\ud800", path="\ud800"),
    found("BM407", "unknown", severity=Severity.WARNING),
    found("BM305", "left out", severity=Severity.NOTE),
]


# -- the family ------------------------------------------------------------------------------------------------------


def test_the_registry_holds_every_format_and_no_other() -> None:
    members = {path.stem for path in REPORTS.glob("*.py") if "checks: Iterable[Checked], frame" in path.read_text()}
    assert {each.render.__module__.rpartition(".")[2] for each in FORMATS.values()} == members
    (flag,) = [param for param in command.params if param.name == "format"]
    assert set(getattr(flag.type, "choices")) == set(FORMATS) == set(read_back.READERS)  # noqa: B009


# -- the same findings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases("invalid"))
def test_all_formats_tell_the_same_findings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of("invalid", name, monkeypatch)
    kept = survey(batch, now=NOW).findings.kept
    one = replace(checked(in_order(kept), name=name), lines=lambda shown: lines_of(shown, batch.options.encoding))
    expected = [read_back.from_diagnostic(each) for each in in_order(kept)]
    assert expected
    for output, read in read_back.READERS.items():
        assert list(read(written(output, one))) == expected, output


@pytest.mark.parametrize("output", sorted(set(FORMATS) - {"text"}))
def test_programs_are_told_the_same_however_hostile_the_texts_are(output: str) -> None:
    """Names of files come back as they show; in text a hostile name may look like a place, which people can bear."""
    seen = read_back.READERS[output](written(output, checked(in_order(HOSTILE))))
    expected = [read_back.from_diagnostic(each) for each in in_order(HOSTILE)]
    names = [each._replace(file=visible(each.file)) for each in expected]
    assert [each._replace(file=visible(each.file)) for each in seen] == names


@pytest.mark.parametrize("output", sorted(FORMATS))
def test_a_cap_is_announced(output: str) -> None:
    for at_least, said in ((False, "1 of 1,200 findings are shown"), (True, "1 of at least 1,200 findings are shown")):
        answer = written(output, checked([found()], more=1199, at_least=at_least))
        if output == "json":
            told = json.loads(answer)
            assert (told["left_out"], told["at_least"], len(told["diagnostics"])) == (1199, at_least, 1)
        else:
            assert said in answer
    assert "are shown" not in written(output, checked([found()]))


@pytest.mark.parametrize("output", sorted(FORMATS))
def test_a_batch_without_findings_is_told_too(output: str) -> None:
    answer = written(output, checked([]))
    assert list(read_back.READERS[output](answer)) == []
    assert output in ("json", "sarif") or "no errors in batch.yaml: 7 messages" in answer


@pytest.mark.parametrize("output", sorted(FORMATS))
def test_errors_of_all_batches_are_told(output: str) -> None:
    both = checked([found()]), checked([found("BM201", file="b.yaml")], name="b.yaml")
    assert [each.file for each in read_back.READERS[output](written(output, *both))] == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize("output", ["text", "junit"])
def test_a_format_that_streams_tells_a_batch_before_the_next_is_looked_at(output: str) -> None:
    looked = []

    def checks() -> Iterator[Checked]:
        for name in ("a.yaml", "b.yaml"):
            looked.append(name)
            yield checked([found(file=name)], name=name)

    told = ""
    for piece in FORMATS[output].render(checks(), Frame()):
        told += piece
        if "BM301" in told:
            break
    assert looked == ["a.yaml"]


# -- json ------------------------------------------------------------------------------------------------------------


def test_the_json_answer_keeps_its_schema() -> None:
    for checks in ([], [checked([])], [checked(HOSTILE[4:], more=3)]):
        assert schema.checker("report#validate").violations(json.loads(written("json", *checks))) == []


# -- sarif -----------------------------------------------------------------------------------------------------------


@cache
def sarif_schema() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(
        json.loads((DATA / "sarif-schema-2.1.0.json").read_text()), format_checker=jsonschema.FormatChecker()
    )


def sarif_run(*checks: Checked, frame: Frame | None = None) -> dict[str, Any]:
    answer = json.loads(written("sarif", *checks, frame=frame))
    assert [error.message for error in sarif_schema().iter_errors(answer)] == []
    (run,) = answer["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize("name", cases("invalid"))
def test_sarif_of_each_case_is_what_the_official_schema_asks_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = survey(batch_of("invalid", name, monkeypatch), now=NOW).findings.kept
    run = sarif_run(checked(kept, name=name))
    assert run["invocations"][0]["executionSuccessful"]
    assert all(result["message"]["text"] for result in run["results"])


def test_sarif_of_hostile_texts_is_what_the_official_schema_asks_for() -> None:
    run = sarif_run(checked(HOSTILE, more=5, unread=True), checked([]))
    assert "\\](https://evil.example/)" in str(run["results"]), "a text must not become a link"
    for result in run["results"]:
        assert "{0}" not in result["message"]["text"].replace("{{", "").replace("}}", "")


def test_sarif_takes_the_page_of_each_rule_along() -> None:
    rules = sarif_run(checked([found()]), frame=Frame(pages=pages()))["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == list(pages())
    for each in rules:
        page, told = pages()[each["id"]], read_back.sarif_message(each["help"])
        assert each["shortDescription"]["text"].lower() == f"{page.title}.".lower()
        assert all(part.partition("[")[0] in told for part in (page.what, page.why, page.way_out))
        assert each["help"]["markdown"].startswith("**What.** ") and "](" not in each["help"]["markdown"]
    assert sarif_run(checked([found()]))["tool"]["driver"]["rules"][0]["help"]["text"], "also without pages"


def test_sarif_says_when_a_file_could_not_be_looked_at_and_that_findings_are_left_out() -> None:
    lost = file_finding("BM101", "it does not exist", "look", "none.yaml")
    (invocation,) = sarif_run(checked([lost], name="none.yaml", unread=True), checked([found()], more=5))["invocations"]
    assert not invocation["executionSuccessful"]
    assert [each["level"] for each in invocation["toolExecutionNotifications"]] == ["error", "warning"]
    assert invocation["toolExecutionNotifications"][1]["message"]["text"].startswith("batch.yaml: 1 of 6 findings")


def test_sarif_names_files_from_the_root_and_percent_encodes_their_bytes() -> None:
    frame = Frame(path_of=below("/repo", "/repo/batches"))
    names = ["Grüße 1%.yaml", "../top.yaml", "../../else.yaml", "\udcff.yaml"]
    run = sarif_run(checked([found(file=name) for name in names]), frame=frame)
    places = [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in run["results"]]
    assert [place["uri"] for place in places] == [
        "batches/Gr%C3%BC%C3%9Fe%201%25.yaml",
        "top.yaml",
        "file:///else.yaml",
        "batches/%FF.yaml",
    ]
    assert [place.get("uriBaseId") for place in places] == ["%SRCROOT%", "%SRCROOT%", None, "%SRCROOT%"]


def test_a_fingerprint_stays_when_lines_and_entries_move_and_differs_between_findings() -> None:
    def prints(*findings: Diagnostic) -> list[str]:
        results = sarif_run(checked(findings))["results"]
        return [result["partialFingerprints"]["bulkmsgFinding/v1"] for result in results]

    here = found(path="messages[3].sender", line=12), found(path="messages[9].sender", line=40), found("BM201", key="k")
    moved = (
        found(path="messages[4].sender", line=17),
        found(path="messages[10].sender", line=45),
        found("BM201", key="k"),
    )
    assert prints(*here) == prints(*moved)
    assert len(set(prints(*here, found("BM201", key="other"), found("BM201", file="b.yaml", key="k")))) == 5
    assert prints(found(key="other"), found(key="k"))[1:] == prints(found(key="k")), "also after the other was mended"


def test_a_column_of_sarif_counts_characters_as_ours_do() -> None:
    run = sarif_run(checked([found(column=7)]))
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 7}


# -- junit -----------------------------------------------------------------------------------------------------------


@cache
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(DATA / "junit-10.xsd")


def junit_suites(*checks: Checked, strict: bool = False) -> list[ElementTree.Element]:
    """The suites, after a look whether the whole is a JUnit report.

    The schema is that of Jenkins' xUnit plugin, which knows no `file` at a case. GitLab shows it, and Jenkins' own
    `junit` step passes over it.
    """
    root = ElementTree.fromstring(written("junit", *checks, frame=Frame(strict=strict)))
    suites = list(root)
    plain = ElementTree.fromstring(ElementTree.tostring(root))
    for case in plain.iter("testcase"):
        del case.attrib["file"]
    junit_schema().validate(plain)
    for suite in suites:
        cases_of = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases_of)
        for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == sum(case.find(tag) is not None for case in cases_of)
    return suites


@pytest.mark.parametrize("name", cases("invalid"))
def test_junit_of_each_case_is_what_the_schema_asks_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = survey(batch_of("invalid", name, monkeypatch), now=NOW).findings.kept
    (suite,) = junit_suites(checked(kept, name=name))
    assert int(suite.attrib["failures"]) == sum(each.is_error for each in kept)


def test_junit_of_hostile_texts_is_xml() -> None:
    junit_suites(checked(HOSTILE, name="\x00\ud800\ufffe<&>\"'.yaml", more=5))


def test_no_two_cases_of_junit_are_called_the_same() -> None:
    """GitLab passes over the second of two that are."""
    (suite,) = junit_suites(checked([found(), found(), found(file="b.yaml"), found(line=4)]))
    names = [(case.attrib["classname"], case.attrib["name"]) for case in suite.findall("testcase")]
    assert len(set(names)) == 4
    assert {("a.yaml", "3:5 BM301 what is wrong"), ("a.yaml", "3:5 BM301 what is wrong (2)")} <= set(names)


def test_findings_that_are_left_out_are_a_skipped_case() -> None:
    (suite,) = junit_suites(checked([found()], more=5))
    assert (suite.attrib["tests"], suite.attrib["skipped"]) == ("2", "1")


def test_a_warning_fails_its_case_only_if_it_counts() -> None:
    (warning, note) = found("BM407", severity=Severity.WARNING), found("BM305", severity=Severity.NOTE)
    for strict, failures in ((False, "0"), (True, "1")):
        (suite,) = junit_suites(checked([warning, note]), strict=strict)
        assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", failures)
        assert "BM407" in ElementTree.tostring(suite, "unicode")


def test_a_file_that_could_not_be_looked_at_is_an_error_and_no_failure() -> None:
    lost = file_finding("BM101", "it does not exist", "look", "none.yaml")
    (suite,) = junit_suites(checked([lost], name="none.yaml", unread=True))
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "0")
