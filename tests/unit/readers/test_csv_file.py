"""CSV: rows and their places, and what is refused where."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from bulkmsg.readers.csv_file import Columns
from bulkmsg.source import Row

Findings = list[tuple[str, int, int]]

WRONG: dict[str, tuple[str, Findings]] = {
    "empty file": ("", [("BM111", 1, 1)]),
    "blank lines only": ("\n\n", [("BM111", 1, 1)]),
    "column without a name": ("a,,c\n1,2,3\n", [("BM111", 1, 3)]),
    "last column without a name": ("a,b,\n", [("BM111", 1, 5)]),
    "doubled column": ("a,b,a\n1,2,3\n", [("BM111", 1, 5)]),
    "doubled column, lower in the header": ('a,"b\nc",a\n', [("BM111", 2, 4)]),
    "Excel's sep line": ("sep=;\na;b\n", [("BM111", 1, 1)]),
    "short row": ("a,b\n1\n", [("BM112", 2, 1)]),
    "long row": ("a,b\n1,2\n1,2,3\n", [("BM112", 3, 1)]),
    "short row after a cell of two lines": ('a,b\n"x\ny",2\n1\n', [("BM112", 4, 1)]),
    "unclosed quote": ('a,b\n1,2\n3,"x\n4,5\n', [("BM117", 3, 3)]),
    "unclosed quote on a later line": ('a,b\n"x\ny","z\n', [("BM117", 3, 4)]),
    "unclosed quote that the next row closes": ('a,b\n1,"x\n2,"y",3\n4,5\n', [("BM117", 2, 3)]),
    "text after a quote": ('a,b\n1,"x"y\n3,4\n', [("BM117", 2, 3)]),
    "unclosed quote in the header": ('a,"b\n1,2\n', [("BM117", 1, 3)]),
    "semicolons": ("a;b;c\n1;2;3\n", [("BM118", 1, 1)]),
    "tabs": ("a\tb\n1\t2\n", [("BM118", 1, 1)]),
    "bars": ("a|b\n1|2\n", [("BM118", 1, 1)]),
    "NUL": ("a,b\n1,x\0\n", [("BM102", 2, 4)]),
    "blank rows": ("a,b\n\n1,2\n,\n", [("BM119", 2, 1)]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place(name: str, read_csv: Any, told: Any) -> None:
    text, expected = WRONG[name]
    assert told(read_csv(text)) == expected
    assert told(read_csv("\ufeff" + text.replace("\n", "\r\n"))) == expected


def rows(found: list[Any]) -> list[tuple[int, int, list[str]]]:
    return [(item.number, item.place.line, item.cells) for item in found if isinstance(item, Row)]


def test_the_header_comes_first_and_then_the_rows(read_csv: Any) -> None:
    found = read_csv("type,body\nincoming, hi \noutgoing,\n")
    assert isinstance(found[0], Columns)
    assert found[0].names == ["type", "body"]
    assert rows(found) == [(1, 2, ["incoming", " hi "]), (2, 3, ["outgoing", ""])]


def test_reading_goes_on_after_rows_that_do_not_fit(read_csv: Any, told: Any) -> None:
    found = read_csv('a,b\n1\n"x"y,1\n1,2\n1,2,3\n')
    assert told(found) == [("BM112", 2, 1), ("BM117", 3, 1), ("BM112", 5, 1)]
    assert rows(found) == [(3, 4, ["1", "2"])]
    assert found[1].text == "row 1: the row has 1 cell, the header has 2"
    assert found[-1].text == "row 4: the row has 3 cells, the header has 2"


def test_blank_rows_keep_their_numbers_and_are_counted_once(read_csv: Any) -> None:
    found = read_csv('a,b\n\n,\n1,2\n"",""\n3,4\n')
    assert rows(found) == [(3, 4, ["1", "2"]), (5, 6, ["3", "4"])]
    assert found[-1].message == "3 blank rows were skipped"
    assert found[-1].severity == "note"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_very_many_blank_lines_keep_all_numbers(end: str, read_csv: Any, told: Any) -> None:
    blanks = end * 200_000
    found = read_csv(f'a,b{end}1,2{end}{blanks}"{end}",4{end}{blanks}5{end}"x"y,{end}"{blanks}",6{end}7,8')
    assert rows(found) == [
        (1, 2, ["1", "2"]),
        (200_002, 200_003, [end, "4"]),
        (400_005, 400_007, [blanks, "6"]),
        (400_006, 600_008, ["7", "8"]),
    ]
    assert told(found) == [("BM112", 400_005, 1), ("BM117", 400_006, 1), ("BM119", 3, 1)]
    assert found[-1].message == "400,000 blank rows were skipped"


def test_blank_lines_before_the_header_are_passed_over(read_csv: Any) -> None:
    found = read_csv("\n\r\na,b\n1,2\n")
    assert found[0].place.line == 3
    assert rows(found) == [(1, 4, ["1", "2"])]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_of_several_lines_have_row_line_and_column(end: str, read_csv: Any) -> None:
    text = 'a,b,c\n1,"x, ""é""\n\ny",  z\n"""",,q\n'.replace("\n", end)
    found = read_csv(text)
    assert rows(found) == [(1, 2, ["1", f'x, "é"{end}{end}y', "  z"]), (2, 5, ['"', "", "q"])]
    first, second = found[1].place, found[2].place
    assert [(first.at((name,)).line, first.at((name,)).column) for name in "abc"] == [(2, 1), (2, 3), (4, 4)]
    assert [(second.at((name,)).line, second.at((name,)).column) for name in "abc"] == [(5, 1), (5, 6), (5, 7)]
    assert (first.at(("nowhere",)).line, first.at(()).column) == (2, 1)
    assert found[0].place.at(("c",)).column == 5
    assert first.file == "batch"


def test_other_delimiters_are_taken_and_bad_ones_refused(read_csv: Any, told: Any) -> None:
    assert rows(read_csv("a;b\n1,0;2\n", delimiter=";")) == [(1, 2, ["1,0", "2"])]
    found = read_csv("a\tb\n1\t2\n", delimiter="\t")
    assert found[1].place.at(("b",)).column == 3
    for delimiter in ("", ";;", '"', "\n"):
        assert told(read_csv("a,b\n", delimiter=delimiter)) == [("BM118", 0, 0)]


def test_a_wrong_delimiter_is_named_with_the_way_out(read_csv: Any) -> None:
    [found] = read_csv("a;b|c;d\n")
    assert "';'" in found.message
    assert 'delimiter: ";"' in found.hint
    assert "--delimiter ';'" in found.hint
    [found] = read_csv("a,b\n", delimiter=";")
    assert "','" in found.message


def test_a_table_of_one_column_is_fine(read_csv: Any) -> None:
    assert rows(read_csv("email\nx;y\n\nz")) == [(1, 2, ["x;y"]), (3, 4, ["z"])]


def test_only_line_ends_end_lines(read_csv: Any) -> None:
    text = "a,b\nx\u2028y\x0bz\x85,\x1c\n3,4\n"
    assert rows(read_csv(text)) == [(1, 2, ["x\u2028y\x0bz\x85", "\x1c"]), (2, 3, ["3", "4"])]


def test_huge_cells_are_read_and_endless_ones_refused(read_csv: Any, told: Any) -> None:
    limit = csv.field_size_limit()
    big = "x" * 500_000
    assert rows(read_csv(f'a,b\n1,"{big}"\n')) == [(1, 2, ["1", big])]
    found = read_csv('a,b\n1,2\n3,"' + "4,5\n" * 800_000)
    assert told(found) == [("BM117", 3, 3)]
    assert csv.field_size_limit() == limit


def test_the_limit_of_the_csv_module_is_put_back_by_the_last_reader(tmp_path: Any) -> None:
    from bulkmsg.diagnostic import Diagnostic
    from bulkmsg.readers.csv_file import MAX_CELL, rows
    from bulkmsg.readers.files import open_input

    limit = csv.field_size_limit()
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    one, two = open_input(tmp_path / "x.csv", "x"), open_input(tmp_path / "x.csv", "x")
    assert not isinstance(one, Diagnostic)
    assert not isinstance(two, Diagnostic)
    first, second = rows(one), rows(two)
    next(first), next(second)
    list(first)
    assert csv.field_size_limit() == MAX_CELL
    list(second)
    assert csv.field_size_limit() == limit


def test_rows_survive_the_pieces_the_file_is_read_in(read_csv: Any) -> None:
    body = "".join(f'{i},"é{"x" * (i % 97)}\r\n{i}"\r\n' for i in range(5000))
    found = read_csv("a,b\r\n" + body)
    assert rows(found) == [(i + 1, 2 + 2 * i, [str(i), f"é{'x' * (i % 97)}\r\n{i}"]) for i in range(5000)]
    assert all(item.place.at(("b",)).column == len(str(i)) + 2 for i, item in enumerate(found[1:]))


def test_encodings(read_csv: Any, told: Any) -> None:
    assert rows(read_csv("a,b\né,2\n".encode("cp1252"), encoding="cp1252")) == [(1, 2, ["é", "2"])]
    assert rows(read_csv("a,b\né,2\n".encode("utf-16"), encoding="utf-16")) == [(1, 2, ["é", "2"])]
    assert told(read_csv("a,b\n1,2\n".encode("utf-16"))) == [("BM102", 1, 1)]
    found = read_csv("\ufeffa,b\nx,é".encode() + b"\xe9\n")
    assert told(found) == [("BM102", 2, 4)]
    assert "byte offset 11" in found[0].message
    assert told(read_csv("a,b\n", encoding="nonsense")) == [("BM102", 0, 0)]


def test_names_are_shown_safely(read_csv: Any) -> None:
    [found] = read_csv("\x1b[2J\u202e,\x1b[2J\u202e\n")
    assert "`\\x1b[2J\\u202e`" in found.message
