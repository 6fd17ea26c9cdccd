"""Cells and columns: nothing trimmed, nothing guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bulkmsg.validation.cells import (
    CellError,
    CellForm,
    CellTrouble,
    SheetPlan,
    forms,
    read_addresses,
    read_boolean,
    read_integer,
    read_json,
    read_rendered,
)


def row(names: str, *cells: str, key: str | None = None) -> tuple[dict[str, Any], list[CellTrouble]]:
    columns = tuple(names.split(","))
    plan = SheetPlan(columns, columns, key)
    assert plan.troubles == []
    troubles: list[CellTrouble] = []
    return plan.values(list(cells), troubles), troubles


@pytest.mark.parametrize(("cell", "number"), [("0", 0), ("7", 7), ("348149927", 348149927), (str(2**53), 2**53)])
def test_integers(cell: str, number: int) -> None:
    assert read_integer(cell) == number


@pytest.mark.parametrize(
    "cell", ["-1", "+1", "007", "00", "1.0", "1e5", "1E+05", " 1", "1 ", "1,000", "٣", "²", str(2**53 + 1)]
)
def test_what_is_no_integer(cell: str) -> None:
    with pytest.raises(CellError):
        read_integer(cell)


def test_booleans_in_any_case_and_nothing_else() -> None:
    assert [read_boolean(cell) for cell in ("true", "TRUE", "False")] == [True, True, False]
    for cell in ("yes", "1", " true", "wahr"):
        with pytest.raises(CellError):
            read_boolean(cell)


def test_addresses_are_parted_by_semicolons() -> None:
    assert read_addresses("a@b") == [{"address": "a@b"}]
    assert read_addresses("a@b;c@d; e@f;") == [{"address": "a@b"}, {"address": "c@d"}, {"address": "e@f"}]
    assert read_addresses(" a@b") == [{"address": " a@b"}]
    assert read_addresses('[{"address": "a@b", "name": "A; B"}]') == [{"address": "a@b", "name": "A; B"}]


@pytest.mark.parametrize(
    "cell",
    [
        "vip",
        "{",
        "{'a': 1}",
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": 1e400}',
        str(2**64),
        '"\\u0000"',
        '"\\ud800"',
        "[" * 65 + "]" * 65,
        "[" * 100000,
    ],
)
def test_json_is_read_as_strictly_as_a_line_of_a_file(cell: str) -> None:
    with pytest.raises(CellError, match="written as JSON"):
        read_json(cell)


def test_forms_come_from_the_schemas() -> None:
    found = forms()
    assert found["ticket_id"] is CellForm.INTEGER
    assert found["sender.id"] is CellForm.INTEGER
    assert found["public"] is found["from_agent"] is CellForm.BOOLEAN
    assert found["source.from"] is CellForm.ADDRESS
    assert found["source.to"] is found["source.cc"] is found["source.bcc"] is CellForm.ADDRESSES
    assert found["body_text"] is found["ticket.subject"] is found["key"] is found["type"] is CellForm.TEXT
    assert found["attachments"] is found["ticket.tags"] is found["meta"] is CellForm.JSON
    assert found["ticket.assignee_user.id"] is CellForm.INTEGER
    assert "ticket.messages" not in found
    assert "ticket" not in found


def test_a_row_becomes_nested_fields_without_its_empty_cells() -> None:
    fields, troubles = row(
        "type,ticket_id,sender.email,source.from,source.to,subject", "incoming", "5", "a@b", "", "c@d", " "
    )
    assert fields == {
        "type": "incoming",
        "ticket_id": 5,
        "sender": {"email": "a@b"},
        "source": {"to": [{"address": "c@d"}]},
        "subject": " ",
    }
    assert troubles == []


def test_free_data_takes_any_name_below_it_as_text() -> None:
    fields, _ = row("meta.order,headers.In-Reply-To,ticket.meta.x", "0017", "<a@b>", "1")
    assert fields == {"meta": {"order": "0017"}, "headers": {"In-Reply-To": "<a@b>"}, "ticket": {"meta": {"x": "1"}}}


@pytest.mark.parametrize(
    ("names", "cells", "result"),
    [
        ("meta,meta.a", ('{"b": 1}', "x"), {"meta": {"b": 1, "a": "x"}}),
        ("meta.a,meta", ("x", '{"b": 1}'), {"meta": {"b": 1, "a": "x"}}),
        ("source.from,source.from.name", ("a@b", "A"), {"source": {"from": {"address": "a@b", "name": "A"}}}),
        ("meta,meta.a.b", ('{"a": {"c": 1}}', "x"), {"meta": {"a": {"c": 1, "b": "x"}}}),
        ("meta,meta.a", ("", "x"), {"meta": {"a": "x"}}),
    ],
)
def test_a_whole_and_its_parts_go_together(names: str, cells: tuple[str, ...], result: dict[str, Any]) -> None:
    assert row(names, *cells) == (result, [])


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        ("meta,meta.a", ("[1]", "x")),
        ("meta,meta.a.b", ("[1]", "x")),
        ("meta,meta.a.b.c", ("[1]", "x")),
        ("meta,meta.a.b", ('{"a": "y"}', "x")),
        ("meta.a,meta.a.b", ("y", "x")),
        ("meta.a,meta.a.b.c", ("y", "x")),
    ],
)
def test_a_whole_that_has_no_room_for_its_parts_is_told_at_the_parts_column(names: str, cells: tuple[str, ...]) -> None:
    [trouble] = row(names, *cells)[1]
    assert (trouble.rule, trouble.column) == ("BM113", names.split(",")[-1])


def test_a_cell_that_cannot_be_read_is_told_with_its_column_and_left_out() -> None:
    fields, [trouble] = row("type,ticket_id", "incoming", "x")
    assert fields == {"type": "incoming"}
    assert (trouble.rule, trouble.column) == ("BM113", "ticket_id")
    assert "digits only" in trouble.message


def test_unknown_columns_are_told_once_with_the_likely_one() -> None:
    plan = SheetPlan(("sender_email", "zzz", "id"), ("sender_email", "zzz", "id"), "id")
    assert [(trouble.rule, trouble.column) for trouble in plan.troubles] == [
        ("BM114", "sender_email"),
        ("BM114", "zzz"),
    ]
    assert plan.troubles[0].hint == "did you mean `sender.email`?"


def test_a_value_finds_its_column_again() -> None:
    plan = SheetPlan(("Ticket", "From", "To"), ("ticket_id", "source.from", "source.to"), None)
    assert plan.column_of(("ticket_id",)) == "Ticket"
    assert plan.column_of(("source", "to", 1, "address")) == "To"
    assert plan.column_of(("source",)) == "From"
    assert plan.column_of(("subject",)) is None


Fields = dict[str, Any]


@pytest.mark.parametrize(
    ("fields", "in_ticket", "read"),
    [
        ({"ticket_id": "5", "subject": "5"}, False, {"ticket_id": 5, "subject": "5"}),
        ({"sender": {"id": "8"}, "public": "TRUE"}, False, {"sender": {"id": 8}, "public": True}),
        ({"ticket_id": ""}, False, {}),
        ({"ticket_id": 5}, False, {"ticket_id": 5}),
        ({"assignee_user": {"id": "3"}, "messages": [{"sender": {"id": "4"}}]}, True, None),
    ],
)
def test_a_filled_in_template_reads_numbers_like_cells(fields: Fields, in_ticket: bool, read: Fields | None) -> None:
    expected = read if read is not None else {"assignee_user": {"id": 3}, "messages": [{"sender": {"id": 4}}]}
    assert read_rendered(fields, in_ticket=in_ticket) == (expected, [])


def test_a_filled_in_number_that_is_none_is_told_with_its_path() -> None:
    fields, [(path, expected)] = read_rendered({"messages": [{"sender": {"id": "007"}}]}, in_ticket=True)
    assert fields == {"messages": [{"sender": {}}]}
    assert path == ("messages", 0, "sender", "id")
    assert "digits only" in expected


def test_readers_of_cells_are_all_strict_about_blanks() -> None:
    readers: list[Callable[[str], Any]] = [read_integer, read_boolean, read_json]
    for read in readers:
        with pytest.raises(CellError):
            read(" ")
