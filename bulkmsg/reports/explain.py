"""Explanations for people: pages of rules and fields as plain text, wrapped to a width. Code is never wrapped."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bulkmsg.diagnostic import Diagnostic, Severity
from bulkmsg.fields import Below, Field, Told
from bulkmsg.rule_pages import Example, Page
from bulkmsg.source import Json

_MARGIN = 9  # what the names of paragraphs take, such as `Way out`
_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
_CODE = re.compile(r"`[^`]+`")
_GLUE = "\x1f"  # stands for a blank that no line may be broken at
_PLAIN = re.compile(r"[A-Za-z][\w @.,/!?+-]*[\w.!?]|[A-Za-z]|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+(?:Z|\+[0-9:]+)")
_WORDS = frozenset({"true", "false", "null"})
_LISTED_AT_MOST = 3


def tells_more(findings: Iterable[Diagnostic]) -> str:
    """`bulkmsg explain BM301 BM405 tells more`: the command that explains these findings, errors first; or nothing."""
    ranks = list(Severity)
    ordered = sorted(findings, key=lambda found: ranks.index(found.severity))
    rules = list(dict.fromkeys(found.rule for found in ordered))[:_LISTED_AT_MOST]
    return f"bulkmsg explain {' '.join(rules)} tells more" if rules else ""


# -- rules ---------------------------------------------------------------------------------------------------------


def overview(pages: Sequence[Page], width: int) -> Iterator[str]:
    """All rules in their groups, a line each."""
    room = max(len(page.severity) for page in pages) + 2
    group = ""
    for page in pages:
        if page.group != group:
            yield from (["", page.group] if group else [page.group])
            group = page.group
        yield from _hung(f"  {page.rule}  {page.severity:<{room}}", page.title, width)


def rule(page: Page, width: int) -> Iterator[str]:
    """A rule's page."""
    yield from _hung(f"{page.rule}  ", f"{page.severity}: {page.title}", width)
    parts = {"What": page.what, "Why": page.why, "Way out": page.way_out, "Example": page.no_example}
    for name, text in parts.items():
        if text:
            yield ""
            yield from _hung(f"{name:<{_MARGIN}}", text, width)
    yield from _examples("Wrong", page.wrong)
    yield from _examples("Right", page.right)


def _examples(name: str, examples: Sequence[Example]) -> Iterator[str]:
    for example in examples:
        yield ""
        yield f"{name}:"
        yield ""
        yield from (f"    {line}".rstrip() for line in example.text.splitlines())


# -- fields --------------------------------------------------------------------------------------------------------


def field(told: Told, width: int) -> Iterator[str]:
    """A field, or several that are alike: what it is, what it may hold, where it is needed, what stands below it."""
    found = told.field
    yield from _wrapped(", ".join(told.names), width)
    yield ""
    yield from _wrapped(f"{found.title}: {found.description}", width)
    for name, text in _facts(found, told.rules):
        yield ""
        yield from _hung(f"{name:<{_MARGIN}}", text, width)
    yield from _shown(found)
    if found.below:
        yield from ("", "Fields:")
        yield from _fields(found.below, width)


def _shown(found: Field) -> Iterator[str]:
    """The examples, of which long ones stand apart."""
    examples = [list(yaml_lines({found.name: each})) for each in found.examples[:_LISTED_AT_MOST]]
    if examples:
        yield from ("", "Example:" if len(examples) == 1 else "Examples:", "")
    for number, lines in enumerate(examples):
        yield from [""] if number and len(lines) > 1 else []
        yield from (f"    {line}" for line in lines)


def _facts(found: Field, rules: Sequence[str]) -> Iterator[tuple[str, str]]:
    if found.kind:
        yield "Value", found.kind
    if found.allowed:
        yield "Allowed", ", ".join(found.allowed)
    if len(found.examples) > _LISTED_AT_MOST and all(isinstance(each, str) for each in found.examples):
        yield "Known", ", ".join(map(str, found.examples))
    for demand in found.demands:
        yield "Rule", demand
    if rules:
        yield "See also", f"bulkmsg explain {' '.join(rules)}"


def _fields(below: Sequence[Below], width: int) -> Iterator[str]:
    """One line each; what does not fit is cut, since the field itself can be asked for."""
    room = max(len(each.name) for each in below) + 2
    for each in below:
        text = f"{'required. ' if each.required else ''}{each.description.partition('. ')[0].removesuffix('.')}"
        line = f"  {each.name:<{room}}{text}"
        yield line if len(line) <= width else line[: width - 1].rstrip() + "…"


def yaml_lines(value: Json) -> Iterator[str]:
    """A value as YAML in block style."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _entry(f"{_scalar(str(name))}:", inner)
    elif isinstance(value, list) and value:
        for inner in value:
            first, *rest = yaml_lines(inner)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(name: str, inner: Json) -> Iterator[str]:
    lines = list(yaml_lines(inner))
    if isinstance(inner, (dict, list)) and inner:
        yield name
        yield from (f"  {line}" for line in lines)
    else:
        yield f"{name} {lines[0]}"


def _scalar(value: Json) -> str:
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


# -- lines ---------------------------------------------------------------------------------------------------------


def _hung(head: str, text: str, width: int) -> Iterator[str]:
    """Text behind a head, its further lines below its first; a little in where there is no room for that."""
    indent = " " * (len(head) if width - len(head) >= 24 else _MARGIN)
    return _wrapped(head + text, width, indent)


def _wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    """Wrapped at blanks alone: no address, path or piece of code is broken, even if it is longer than the line."""
    glued = _CODE.sub(lambda match: match[0].replace(" ", _GLUE), _LINK.sub(r"\1", text).replace("\n", " "))
    wrapped = textwrap.wrap(
        glued, max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return (line.replace(_GLUE, " ") for line in wrapped)
