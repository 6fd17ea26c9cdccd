"""`validate --format junit`: JUnit XML, for GitLab's test reports and for Jenkins.

A suite for each batch, a case for each finding, so that a list of failed tests is the list of findings. GitLab keeps
one case of each classname and name (docs.gitlab.com, "Unit test reports"), so the place is part of the name. It shows
`classname`, `name`, `file` and the text of a failure; Jenkins shows the failure's `message` as well. A batch in which
nothing is wrong is one passed case: a report without cases counts as empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from bulkmsg.diagnostic import Diagnostic, Severity
from bulkmsg.reports.checks import Checked, Frame
from bulkmsg.reports.words import visible


def report(checks: Iterable[Checked], frame: Frame) -> Iterator[str]:
    """Streams: a batch's suite is told before the next batch is looked at."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="bulkmsg validate">\n'
    for checked in checks:
        suite = _suite(checked, frame)
        indent(suite, level=1)
        yield f"  {tostring(suite, encoding='unicode')}\n"
    yield "</testsuites>\n"


def _suite(checked: Checked, frame: Frame) -> Element:
    cases = list(_cases(checked, frame))
    ended = Counter(case[0].tag if len(case) else "passed" for case in cases)
    numbers = {"tests": len(cases), "failures": ended["failure"], "errors": ended["error"], "skipped": ended["skipped"]}
    suite = Element("testsuite", {"name": visible(checked.name), **{name: str(each) for name, each in numbers.items()}})
    _add_properties(suite, checked)
    suite.extend(cases)
    return suite


def _add_properties(suite: Element, checked: Checked) -> None:
    counted = {each.value: checked.counts.get(each, 0) for each in Severity}
    properties = SubElement(suite, "properties")
    for name, value in {"messages": checked.messages, **counted, "shown": len(checked.shown)}.items():
        SubElement(properties, "property", {"name": name, "value": str(value)})


def _cases(checked: Checked, frame: Frame) -> Iterator[Element]:
    names: Counter[str] = Counter()
    for found in checked.shown:
        case = _case(_name(found, names), found.file, frame)
        case.append(_ending(found, checked, frame))
        yield case
    if checked.left_out:
        case = _case(checked.left_out, checked.name, frame)
        SubElement(case, "skipped", {"message": checked.left_out})
        yield case
    elif not checked.shown:
        yield _case(checked.verdict, checked.name, frame)


def _case(name: str, file: str, frame: Frame) -> Element:
    path = visible(frame.path_of(file))
    return Element("testcase", {"classname": path, "name": visible(name), "file": path})


def _name(found: Diagnostic, names: Counter[str]) -> str:
    """`12:5 BM301 ...`; one that would stand there twice is numbered."""
    place = f"{found.line}:{found.column} " if found.line else ""
    name = f"{place}{found.rule} {found.text}"
    names[f"{found.file}\0{name}"] += 1
    again = names[f"{found.file}\0{name}"]
    return f"{name} ({again})" if again > 1 else name


def _ending(found: Diagnostic, checked: Checked, frame: Frame) -> Element:
    """A warning that does not fail the check leaves its case passed, and stands in its output."""
    fails = found.is_error or (frame.strict and found.severity is Severity.WARNING)
    if not fails:
        ending = Element("system-out")
    else:
        unread = checked.unread and found.rule == "BM101"
        ending = Element("error" if unread else "failure", {"type": found.rule, "message": visible(found.text)})
    ending.text = "\n".join(visible(line) for line in _told(found))
    return ending


def _told(found: Diagnostic) -> Iterator[str]:
    place = f"{found.file}:{found.line}:{found.column}" if found.line else found.file
    yield f"{place}: {found.severity.value}: {found.text} [{found.rule}]"
    if found.path:
        yield f"path: {found.path}"
    if found.key is not None:
        yield f"key: {found.key}"
    for other in found.related:
        yield f"see {other.file}:{other.line}:{other.column}: {other.message}"
    if found.hint:
        yield f"hint: {found.hint}"
