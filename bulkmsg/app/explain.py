"""Explaining what findings speak of: a rule by its id, a field by its path, be it that of a finding or of a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from bulkmsg import rule_pages
from bulkmsg.errors import UsageError
from bulkmsg.fields import MESSAGE_TYPES, Field, Told, alike, field, paths, refused
from bulkmsg.rule_pages import Page

_RULE = re.compile(r"bm[0-9]{1,9}", re.IGNORECASE)
_INDEX = re.compile(r"\[[0-9]*\]|\.[0-9]+(?=\.|$)")
_CODE = re.compile(r"`([^`]+)`")
# A name alone is looked for here, in this order; only then where programs look.
_OF_ENTRIES = (*MESSAGE_TYPES, "ticket")
_OF_HEADERS = ("batch", "batch.messages", "batch.tickets", "batch.defaults")
_OF_PROGRAMS = ("progress-log", "event", "report", "mapping")
_AROUND = frozenset({"batch", "messages", "tickets", "template"})  # what leads to an entry in the path of a finding

Explained = Page | Told


def explain(wanted: Sequence[str]) -> list[Explained]:
    """The page of each rule and the text of each field, in the order in which they were asked for.

    Raises:
        UsageError: there is no such rule or field.
    """
    found: list[Explained] = []
    for name in wanted:
        found += [each for each in _explain(name.strip()) if each not in found]
    return found


def all_rules() -> list[Page]:
    """Every rule, in the order of the document."""
    return list(rule_pages.pages().values())


def _explain(name: str) -> Iterable[Explained]:
    if _RULE.fullmatch(name):
        page = rule_pages.pages().get(name.upper())
        if page is None:
            raise UsageError(f"there is no rule {name.upper()}", _nearest_rules(int(name[2:])))
        return [page]
    path = _INDEX.sub("", name.removeprefix("$.")).lower()
    found = list(_fields(path))
    if not found:
        raise _unknown(name, path)
    return [_told(group) for group in alike(found)]


def _fields(path: str) -> Iterator[Field]:
    """The fields that a path means: one by its whole path, else one in each type that has it."""
    whole = field(path)
    if whole is not None:
        yield whole
        return
    path = path.rpartition(".template.")[2]  # a finding in a template is about a field of an entry
    for roots in (_OF_ENTRIES, _OF_HEADERS, _OF_PROGRAMS):
        found = [each for root in roots if (each := field(f"{root}.{path}"))]
        if found:
            yield from found
            return
    first, _, rest = path.partition(".")
    if rest and first in _AROUND:  # `messages[3].sender` of a finding
        yield from _fields(rest)


def _told(group: list[Field]) -> Told:
    return Told(tuple(each.path for each in group), group[0], tuple(_rules_about(group)))


def _rules_about(group: Iterable[Field]) -> Iterator[str]:
    """The rules whose pages name the field as `code`, by its path in an entry or in the header."""
    names = {each.path.partition(".")[2] for each in group} - {""}
    for page in rule_pages.pages().values():
        text = " ".join((page.title, page.what, page.why, page.way_out))
        spans = (span.partition(":")[0].partition(" ")[0] for span in _CODE.findall(text))
        if not names.isdisjoint(spans):
            yield page.rule


def _unknown(name: str, path: str) -> UsageError:
    reasons = {root: reason for root in _OF_ENTRIES if (reason := _refused(root, path))}
    if reasons:
        return UsageError(f"{name} is a field that batches may not have", next(iter(reasons.values())))
    return UsageError(f"there is no rule or field {name!r}", _close(path, _names()))


def _refused(root: str, path: str) -> str:
    return refused(path if path.startswith(f"{root}.") else f"{root}.{path}")


def _names() -> list[str]:
    """All that can be asked for, with fields of entries as they are named inside them, which is shortest, first."""
    short = [path.partition(".")[2] for path in paths() if path.partition(".")[0] in _OF_ENTRIES]
    return list(dict.fromkeys([*filter(None, short), *paths()]))


def _nearest_rules(number: int) -> str:
    near = sorted(rule_pages.pages(), key=lambda rule: abs(int(rule[2:]) - number))[:3]
    return f"the nearest are {', '.join(sorted(near))}; `bulkmsg explain` lists all"


def _close(name: str, known: Sequence[str]) -> str:
    last = name.rpartition(".")[2]
    ending = sorted((each for each in known if last and each.endswith(f".{last}")), key=len)[:3]
    close = get_close_matches(name, known, 1, 0.8) or ending or get_close_matches(name, known, 1, 0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return "`bulkmsg explain` lists the rules, `bulkmsg explain outgoing` the fields of a type"
