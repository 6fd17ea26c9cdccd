"""The page of each rule: docs/rules.md taken apart. It ships beside the package, and it alone says what a rule means.

A group is a heading with two signs; a rule's section is one with three, and holds, in this order: `severity: title`,
the paragraphs **What.**, **Why.** and **Way out.**, then a wrong and a right example, each a block after its mark
(`<!-- wrong -->`, `<!-- right -->`), or the paragraph **No example.** with the reason. What a section says is checked
against `diagnostic.RULES` by tests/test_docs.py, which also runs the examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_SECTION = re.compile(r"^(##|###) (.+)$", re.MULTILINE)
_PART = re.compile(r"^\*\*(What|Why|Way out|No example)\.\*\* (.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^<!-- (wrong|right) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """A batch, or the list under its `messages:`, as it stands in the page."""

    language: str  # yaml, csv or jsonl
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to say about one rule. Texts are Markdown, each one line; a part that is not there is empty."""

    rule: str
    group: str  # the heading that it stands under
    severity: str
    title: str
    what: str
    why: str
    way_out: str
    wrong: tuple[Example, ...]
    right: tuple[Example, ...]
    no_example: str  # why there is none


def text() -> str:
    """docs/rules.md as it is: in the wheel inside the package, in a checkout beside it."""
    package = files("bulkmsg")
    inside = package / "docs" / "rules.md"
    return (inside if inside.is_file() else package / ".." / "docs" / "rules.md").read_text("utf-8")


@cache
def pages() -> dict[str, Page]:
    """All pages by the rule's id, in the order of the document. Shared: do not change it."""
    return {page.rule: page for page in parse(text())}


def parse(document: str) -> Iterator[Page]:
    """The pages of a document, as they follow each other."""
    pieces = _SECTION.split(document)[1:]
    group = ""
    for signs, heading, body in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        if signs == "##":
            group = heading
        else:
            yield _page(heading, group, body)


def _page(rule: str, group: str, body: str) -> Page:
    severity, _, title = body.strip().partition("\n")[0].partition(": ")
    parts = {name: " ".join(words.splitlines()).rstrip() for name, words in _PART.findall(body)}
    return Page(
        rule=rule,
        group=group,
        severity=severity,
        title=title,
        what=parts.get("What", ""),
        why=parts.get("Why", ""),
        way_out=parts.get("Way out", ""),
        wrong=_examples(body, "wrong"),
        right=_examples(body, "right"),
        no_example=parts.get("No example", ""),
    )


def _examples(body: str, kind: str) -> tuple[Example, ...]:
    return tuple(Example(language, block) for mark, language, block in _EXAMPLE.findall(body) if mark == kind)
