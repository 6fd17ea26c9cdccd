"""Explanations for programs: the shape of `$defs/explain` in `schemas/report.schema.json`."""

from __future__ import annotations

from collections.abc import Iterable

from bulkmsg.fields import Told
from bulkmsg.rule_pages import Example, Page
from bulkmsg.source import Json


def explanations(found: Iterable[Page | Told]) -> dict[str, Json]:
    """The answer of `explain`."""
    listed = list(found)
    return {
        "rules": [_page(each) for each in listed if isinstance(each, Page)],
        "fields": [_field(each) for each in listed if isinstance(each, Told)],
    }


def _page(page: Page) -> dict[str, Json]:
    return {
        "rule": page.rule,
        "group": page.group,
        "severity": page.severity,
        "title": page.title,
        "what": page.what,
        "why": page.why,
        "way_out": page.way_out,
        "wrong": _examples(page.wrong),
        "right": _examples(page.right),
    }


def _examples(examples: Iterable[Example]) -> list[Json]:
    return [{"language": each.language, "text": each.text} for each in examples]


def _field(told: Told) -> dict[str, Json]:
    return {
        "paths": list(told.names),
        "title": told.field.title,
        "description": told.field.description,
        "value": told.field.kind,
        "allowed": list(told.field.allowed),
        "example_values": list(told.field.examples),
        "demands": list(told.field.demands),
        "rules": list(told.rules),
        "fields": [each.name for each in told.field.below],
    }
