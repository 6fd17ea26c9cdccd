"""JSON Lines: one value a line, and what is refused where."""

from __future__ import annotations

from typing import Any

import pytest

from bulkmsg.readers import jsonl_file

WRONG: dict[str, tuple[str, list[tuple[str, int, int]]]] = {
    "no JSON": ('{"a": 1}\n{"a": }\n', [("BM115", 2, 7)]),
    "no JSON behind accents": ('{"é": 1 x}\n', [("BM115", 1, 9)]),
    "cut short": ('{"a": 1', [("BM115", 1, 8)]),
    "two values": ('{"a": 1} {"b": 1}\n', [("BM115", 1, 10)]),
    "single quotes": ("{'a': 1}\n", [("BM115", 1, 2)]),
    "trailing comma": ('{"a": 1,}\n', [("BM115", 1, 8)]),
    "pretty-printed": ('{\n  "a": 1\n}\n', [("BM115", 1, 2)]),
    "NaN": ('{"a": NaN}\n', [("BM115", 1, 7)]),
    "infinity": ('{"a": -Infinity}\n', [("BM115", 1, 8)]),
    "raw control character": ('{"a": "x\ty"}\n', [("BM115", 1, 9)]),
    "lone surrogate": ('{"a": "\\ud83d"}\n', [("BM115", 1, 8)]),
    "doubled key": ('{"a": 1, "b": 2, "a": 3}\n', [("BM104", 1, 18)]),
    "doubled key, nested": ('{"a": [{"b": 1}, {"b": 1, "c": 1, "b": 1}]}\n', [("BM104", 1, 35)]),
    "doubled key behind blanks": ('{"a" \t: 1, "a":2}\n', [("BM104", 1, 12)]),
    "doubled key behind an escape": ('{"\\u0061": 1, "a": "\\u003a"}\n', [("BM104", 1, 15)]),
    "beyond 2^53": ('{"x": "9007199254740993", "a": 9007199254740993}\n', [("BM106", 1, 32)]),
    "beyond 2^64": ('{"a": -123456789012345678901234567890}\n', [("BM106", 1, 7)]),
    "1e400": ('{"a": 1e400}\n', [("BM106", 1, 7)]),
    "1e17": ("[1, 1e17]\n", [("BM106", 1, 5)]),
    "NUL": ('{"a": "x\0"}\n', [("BM102", 1, 9)]),
    "escaped NUL": ('{"a": "x", "b": ["\\u0000"]}\n', [("BM102", 1, 18)]),
    "escaped NUL in a name": ('{"\\u0000": 1}\n', [("BM102", 1, 12)]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place(name: str, read_jsonl: Any, told: Any) -> None:
    text, expected = WRONG[name]
    found = read_jsonl(text)
    assert told(found)[0][0] == expected[0][0]
    assert told(found) == expected
    assert told(read_jsonl("\ufeff" + text.replace("\n", "\r\n"))) == expected


def test_each_line_is_a_node_and_blank_lines_are_passed_over(read_jsonl: Any, values: Any) -> None:
    found = read_jsonl('{"a": 1}\n\n \t\n[2]\r\n"x"\n3.5')
    assert values(found) == [((0,), {"a": 1}), ((1,), [2]), ((2,), "x"), ((3,), 3.5)]
    assert [item.place.line for item in found] == [1, 4, 5, 6]


def test_a_broken_line_costs_only_itself(read_jsonl: Any, told: Any, values: Any) -> None:
    found = read_jsonl('{"a": 1}\n{"a": 1, "a": 2}\nnonsense\n{"a": 4}\n')
    assert values(found) == [((0,), {"a": 1}), ((3,), {"a": 4})]
    assert told(found) == [("BM104", 2, 10), ("BM115", 3, 1)]


@pytest.mark.parametrize(
    "line",
    [
        '{"a": "x\\":y\\":", "b": {"a": ":"}}',
        '{"a" : 1, "b"\t: "Bonjour : vous"}',
        '{"a": "\\\\u0000"}',
        '{"a": "\\u003a", "b": "\\u003A"}',
        '{"a": 9007199254740992}',
        '{"a:": {"a:": 1}}',
        "[" * 64 + "]" * 64,
        "{}",
        "[]",
    ],
)
def test_what_looks_suspicious_and_is_fine(line: str, read_jsonl: Any, told: Any, values: Any) -> None:
    import json

    found = read_jsonl(line)
    assert told(found) == []
    assert values(found) == [((0,), json.loads(line))]


@pytest.mark.parametrize("levels", [65, 300, 1000, 100_000])
def test_deep_nesting_is_refused(levels: int, read_jsonl: Any, told: Any) -> None:
    for text in ("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels, "[" * levels):
        [(rule, line, _)] = told(read_jsonl(text))
        assert (rule, line) in {("BM107", 1), ("BM115", 1)}


def test_a_line_may_not_be_endless(read_jsonl: Any, told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_file, "MAX_LINE", 100_000)
    assert told(read_jsonl('1\n"' + "x" * 200_000 + '"\n')) == [("BM107", 2, 1)]


LINE = ' {"a" : "x\\"y", "b":{"é" : ["}]",  2], "c"  :3}}'


@pytest.mark.parametrize(
    ("path", "name", "there"),
    [
        ((), False, "{"),
        (("a",), False, '"x'),
        (("a",), True, '"a"'),
        (("b", "é", 1), False, "2]"),
        (("b", "é"), True, '"é"'),
        (("b", "c"), False, "3}"),
        (("b", "c"), True, '"c"'),
        (("z",), False, "{"),
        (("b", "é", 9), False, '["}'),
        (("a", "x"), True, '"a"'),
    ],
)
def test_positions_inside_a_line(path: tuple[Any, ...], name: bool, there: str, read_jsonl: Any) -> None:
    position = read_jsonl("\n" + LINE)[0].place.at(path, name=name)
    assert (position.line, position.column) == (2, LINE.index(there) + 1)


def test_encodings(read_jsonl: Any, told: Any, values: Any) -> None:
    assert values(read_jsonl('"é"\n'.encode("cp1252"), encoding="cp1252")) == [((0,), "é")]
    assert values(read_jsonl('"é"\n"b"'.encode("utf-16"), encoding="utf-16")) == [((0,), "é"), ((1,), "b")]
    assert told(read_jsonl('"abc"\n'.encode("utf-16-le"))) == [("BM102", 1, 1)]
    found = read_jsonl('{"é": 1}\n"é'.encode() + b'\xe9"\n1\n')
    assert told(found) == [("BM102", 2, 3)]
    assert "byte offset 13" in found[1].message


def test_values_are_never_quoted(read_jsonl: Any) -> None:
    for text in ('{"a": "Dear" "Jane"}', '{"a": "Dear\\u0000 Jane"}', '{"a": 12345678901234567890123}', "Dear Jane"):
        [found] = read_jsonl(text)
        assert not any(word in found.message + found.hint for word in ("Dear", "Jane", "12345678901234567890123"))
