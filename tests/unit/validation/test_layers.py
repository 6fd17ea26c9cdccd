"""Layers: later wins, maps merge, lists replace, null removes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bulkmsg import schema
from bulkmsg.message import Kind
from bulkmsg.validation.layers import base_for, merge


@pytest.mark.parametrize(
    ("below", "above", "merged"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": None}, {}),
        ({}, {"a": None}, {}),
        ({"a": {"x": 1}}, {"a": {"x": None}}, {"a": {}}),
        ({"a": 1}, {"a": {"x": 1, "y": None}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": 1}, {"a": 1}),
        ({"a": {"x": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": 0}, {"a": False}, {"a": False}),
    ],
)
def test_merge(below: dict[str, Any], above: dict[str, Any], merged: dict[str, Any]) -> None:
    before = copy.deepcopy((below, above))
    assert merge(below, above) == merged
    assert (below, above) == before


def test_merging_in_steps_is_merging_at_once_unless_null_stands_between() -> None:
    one, two, three = {"a": {"x": 1}, "b": 1}, {"a": {"y": 2}}, {"a": {"x": 3}, "b": 2}
    assert merge(merge(one, two), three) == merge(one, merge(two, three)) == {"a": {"x": 3, "y": 2}, "b": 2}


def base(kind: Kind, defaults: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    return base_for(
        kind, defaults, frozenset(schema.load(kind.value)["$defs"]["entry"]["properties"]) - {"type", "key"}
    )


def test_the_section_of_a_type_lies_over_the_general_defaults() -> None:
    defaults = {"via": "email", "meta": {"a": 1, "b": 1}, "outgoing": {"via": None, "meta": {"b": 2}}}
    assert base(Kind.OUTGOING, defaults) == ({"meta": {"a": 1, "b": 2}}, [])
    assert base(Kind.INCOMING, defaults) == ({"via": "email", "meta": {"a": 1, "b": 1}}, [])


@pytest.mark.parametrize(
    ("kind", "dropped"),
    [
        (Kind.INCOMING, ["from_agent", "mention_ids", "receiver"]),
        (Kind.OUTGOING, ["mention_ids"]),
        (Kind.INTERNAL_NOTE, ["channel", "public", "receiver", "source"]),
    ],
)
def test_general_defaults_that_a_type_forbids_are_left_out(kind: Kind, dropped: list[str]) -> None:
    defaults = {
        "from_agent": True,
        "public": True,
        "channel": "email",
        "receiver": {"id": 1},
        "mention_ids": [1],
        "source": {"to": []},
        "via": "api",
    }
    found, left_out = base(kind, defaults)
    assert left_out == dropped
    assert found == {name: value for name, value in defaults.items() if name not in dropped}


def test_the_types_own_section_is_never_left_out() -> None:
    assert base(Kind.INTERNAL_NOTE, {"internal-note": {"channel": "chat"}}) == ({"channel": "chat"}, [])


def test_type_and_the_section_for_tickets_do_not_lie_below_entries() -> None:
    assert base(Kind.INCOMING, {"type": "incoming", "ticket": {"status": "closed"}}) == ({}, [])
