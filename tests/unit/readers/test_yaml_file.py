"""YAML: what it yields, what it refuses and where, and the positions inside an entry."""

from __future__ import annotations

from typing import Any

import pytest

from bulkmsg.readers import yaml_file

# What is wrong, and the findings expected: rule, line, column.
WRONG: dict[str, tuple[str, list[tuple[str, int, int]]]] = {
    "empty file": ("", [("BM109", 1, 1)]),
    "comments only": ("# nothing\n", [("BM109", 1, 1)]),
    "empty document": ("---\n", [("BM109", 2, 1)]),
    "top-level scalar": ("hello\n", [("BM109", 1, 1)]),
    "several documents": ("a: 1\n---\nb: 2\n", [("BM108", 2, 1)]),
    "doubled key": ("m:\n  a: 1\n  b: 2\n  a: 3\n", [("BM104", 4, 3)]),
    "doubled key, flow": ("m: {a: 1, b: {c: 1, c: 2}}\n", [("BM104", 1, 21)]),
    "doubled key, quoted differently": ("m:\n  a: 1\n  'a': 2\n", [("BM104", 3, 3)]),
    "doubled key, explicit": ("m:\n  ? a\n  : 1\n  ? a\n  : 2\n", [("BM104", 4, 5)]),
    "doubled key, top level": ("a: 1\nb: 2\na: 3\n", [("BM104", 3, 1)]),
    "doubled stream": ("messages:\n- a\nmessages:\n- b\n", [("BM104", 3, 1)]),
    "doubled merge key": ("a: &a {x: 1}\nm:\n  <<: *a\n  <<: *a\n", [("BM104", 4, 3)]),
    "custom tag": ("a: !mine x\n", [("BM105", 1, 4)]),
    "python tag": ("a: !!python/object/apply:os.system [x]\n", [("BM105", 1, 4)]),
    "binary tag": ("a: !!binary aGk=\n", [("BM105", 1, 4)]),
    "timestamp tag": ("a: !!timestamp 2001-01-01\n", [("BM105", 1, 4)]),
    "set tag": ("a: !!set {x, y}\n", [("BM105", 1, 4)]),
    "omap tag": ("a: !!omap [x: 1]\n", [("BM105", 1, 4)]),
    "tag on the list": ("messages: !mine\n- a\n", [("BM105", 1, 11)]),
    "tag that does not fit": ("a: !!int hello\n", [("BM105", 1, 4)]),
    "list tag on a mapping": ("a: !!seq {b: 1}\n", [("BM105", 1, 4)]),
    "leading zero": ("a:\n  - 0123\n", [("BM106", 2, 5)]),
    "leading zero, negative": ("a: -007\n", [("BM106", 1, 4)]),
    "beyond 2^53": ("a: 9007199254740993\n", [("BM106", 1, 4)]),
    "beyond -2^53": ("a: -9007199254740993\n", [("BM106", 1, 4)]),
    "hex beyond 2^53": ("a: 0xFFFFFFFFFFFFFFFF\n", [("BM106", 1, 4)]),
    "5,000 digits": (f"a: {'9' * 5000}\n", [("BM106", 1, 4)]),
    "float of 5,000 digits": (f"a: 0.{'9' * 5000}\n", [("BM106", 1, 4)]),
    "not a number": ("a: .nan\n", [("BM106", 1, 4)]),
    "infinity": ("a: -.INF\n", [("BM106", 1, 4)]),
    "1e400": ("a: 1e400\n", [("BM106", 1, 4)]),
    "integer key": ("m:\n  2024: x\n", [("BM103", 2, 3)]),
    "boolean key": ("m: {true: x}\n", [("BM103", 1, 5)]),
    "null key": ("m:\n  ~: x\n", [("BM103", 2, 3)]),
    "missing key": ("m:\n  : x\n", [("BM103", 2, 3)]),
    "list as key": ("m:\n  ? [a]\n  : x\n", [("BM103", 2, 5)]),
    "integer key on top": ("2024: x\n", [("BM103", 1, 1)]),
    "placeholder unquoted": ("m:\n  subject: {{ name }}\n", [("BM103", 2, 13)]),
    "placeholder unquoted, then text": ("m: {{ name }} hello\n", [("BM103", 1, 5), ("BM103", 1, 4)]),
    "tab": ("m:\n\ta: 1\n", [("BM103", 2, 1)]),
    "unclosed quote": ('a: 1\nb: "hello\nc: 2\n', [("BM103", 2, 4)]),
    "unclosed single quote": ("a: 1\nb: 'hello\nc: 2\n", [("BM103", 2, 4)]),
    "no blank after a colon": ("a: 1\ntype:incoming\nb: 2\n", [("BM103", 2, 5)]),
    "no blank after a colon, first": ("- type:incoming\n  b: 2\n", [("BM103", 1, 7)]),
    "colon in a text": ("a: 1\nsubject: Re: order\n", [("BM103", 2, 12)]),
    "@ begins a text": ("a: @jane\n", [("BM103", 1, 4)]),
    "` begins a text": ("a: `x`\n", [("BM103", 1, 4)]),
    "% begins a text": ("a: %NAME%\n", [("BM103", 1, 4)]),
    "* begins a text": ("a: *really* good\n", [("BM103", 1, 4)]),
    "* is an unknown alias": ("a: *b\n", [("BM103", 1, 4)]),
    "& begins a text": ("a: & more\n", [("BM103", 1, 4)]),
    "unknown escape": ('a: "C:\\path"\n', [("BM103", 1, 7)]),
    "surrogate escape": ('a: "\\ud83d"\n', [("BM103", 1, 5)]),
    "escape beyond Unicode": ('a: "\\UFFFFFFFF"\n', [("BM103", 1, 5)]),
    "unclosed list": ("a: [1, 2\nb: 3\n", [("BM103", 1, 4)]),
    "wrong indentation": ("m:\n  a: 1\n b: 2\n", [("BM103", 3, 2)]),
    "control character": ("a: x\x01y\n", [("BM103", 1, 5)]),
    "control character further down": ("é: 1\n# é\nb: é\x07\n", [("BM103", 3, 5)]),
    "NUL": ("a: x\0y\n", [("BM102", 1, 5)]),
    "escaped NUL": ('a: "x\\0y"\n', [("BM102", 1, 4)]),
    "merge of a text": ("m:\n  <<: hello\n", [("BM103", 2, 7)]),
    "merge on top": ("b: &b {a: 1}\n<<: *b\n", [("BM103", 2, 1)]),
    "alias to itself": ("a: &a [1, *a]\n", [("BM107", 1, 11)]),
    "merge of itself": ("a: &a\n  <<: *a\n", [("BM107", 2, 7)]),
    "alias to the document": ("&doc\na: *doc\n", [("BM107", 2, 4)]),
    "alias to a list of entries": ("messages: &all\n- a\nb: *all\n", [("BM107", 3, 4)]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place(name: str, read_yaml: Any, told: Any) -> None:
    text, expected = WRONG[name]
    assert told(read_yaml(text)) == expected


@pytest.mark.parametrize(
    ("text", "line", "column", "offset"),
    [(b"a: 1\nb: caf\xe9 x\n", 2, 7, 11), (b"\xef\xbb\xbfa: \xc3\n", 1, 4, 6), (b"a: \xed\xa0\x80\n", 1, 4, 3)],
)
def test_a_wrong_byte_is_told_with_offset_line_and_way_out(
    text: bytes, line: int, column: int, offset: int, read_yaml: Any, told: Any
) -> None:
    found = read_yaml(text)
    assert told(found) == [("BM102", line, column)]
    assert f"byte offset {offset}" in found[0].message
    assert "iconv -f WINDOWS-1252" in found[0].hint


def test_a_wrong_byte_far_inside_is_found_exactly(read_yaml: Any, told: Any) -> None:
    before = "messages:\r\n" + "- café\r\n" * 30_000
    assert told(read_yaml(before.encode() + b"- \xff\r\n")) == [("BM102", 30_002, 3)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_named_and_can_be_asked_for(encoding: str, read_yaml: Any, told: Any, values: Any) -> None:
    data = "name: recall café\n".encode(encoding)
    found = read_yaml(data)
    assert told(found) == [("BM102", 1, 1)]
    assert "UTF-16" in found[0].message
    assert values(read_yaml(data, encoding=encoding)) == [(("name",), "recall café")]


def test_other_encodings_can_be_asked_for(read_yaml: Any, told: Any, values: Any) -> None:
    assert values(read_yaml("a: café €".encode("cp1252"), encoding="windows-1252")) == [(("a",), "café €")]
    assert told(read_yaml("a: b", encoding="utf-9")) == [("BM102", 0, 0)]
    assert told(read_yaml("a: b", encoding="rot13")) == [("BM102", 0, 0)]
    assert told(read_yaml("a: b", encoding="unicode_escape")) == [("BM102", 0, 0)]
    assert told(read_yaml(b"a: \x81", encoding="cp1252")) == [("BM102", 1, 4)]


def test_a_bom_is_dropped_at_the_start_and_kept_elsewhere(read_yaml: Any, values: Any) -> None:
    found = read_yaml("\ufeffa: x\ufeffy\n")
    assert values(found) == [(("a",), "x\ufeffy")]
    assert found[0].place.at((), name=True).column == 1


CORE = {
    "null": None, "Null": None, "NULL": None, "~": None, "": None, "nULL": "nULL",
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False, "tRUE": "tRUE",
    "NO": "NO", "yes": "yes", "on": "on", "y": "y", "12:30": "12:30", "12:30:45": "12:30:45",
    "2021-03-01": "2021-03-01", "2021-03-01T10:00:00Z": "2021-03-01T10:00:00Z",
    "0": 0, "-0": 0, "7": 7, "+7": 7, "-12": -12, "348149927": 348149927, "9007199254740992": 2**53,
    "0o17": 15, "0x1F": 31, "0b11": "0b11", "1_000": "1_000", "0o8": "0o8", "0xG": "0xG", "-0x1F": "-0x1F",
    "1.5": 1.5, "1.": 1.0, ".5": 0.5, "-1.5e3": -1500.0, "1e5": 100000.0, "1E+05": 100000.0, "0.0": 0.0,
    "1.2.3": "1.2.3", ".": ".", "-": None, "+": "+", "1e": "1e", "e5": "e5", "١٢": "١٢", "=": "=", "inf": "inf",
}  # fmt: skip


@pytest.mark.parametrize("text", [text for text in CORE if text != "-"])
def test_plain_scalars_have_the_types_of_yaml_1_2(text: str, read_yaml: Any, values: Any) -> None:
    [(_, value)] = values(read_yaml(f"a: {text}\n"))
    assert value == CORE[text]
    assert type(value) is type(CORE[text])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!str 0123", "0123"),
        ("!!str", ""),
        ("! 12", "12"),
        ("!!int '12'", 12),
        ("!!float 1", 1.0),
        ("!!bool true", True),
        ("!!null ''", None),
        ("!!map {a: 1}", {"a": 1}),
        ("!!seq [1]", [1]),
        ("'0123'", "0123"),
        ('"\\u00e9\\x41"', "éA"),
        ("!<tag:yaml.org,2002:str> 1", "1"),
    ],
)
def test_core_tags_and_quotes_are_honoured(text: str, value: Any, read_yaml: Any, values: Any) -> None:
    [(_, read)] = values(read_yaml(f"a: {text}\n"))
    assert read == value
    assert type(read) is type(value)


def test_a_batch_is_yielded_field_by_field_and_entry_by_entry(read_yaml: Any, values: Any) -> None:
    text = "version: 1\ndefaults: {via: api}\nmessages:\n  - type: incoming\n  - 5\n  - null\ntickets: []\nname: x\n"
    assert values(read_yaml(text)) == [
        (("version",), 1),
        (("defaults",), {"via": "api"}),
        (("messages", 0), {"type": "incoming"}),
        (("messages", 1), 5),
        (("messages", 2), None),
        (("name",), "x"),
    ]


def test_a_stream_that_is_no_list_is_one_node(read_yaml: Any, values: Any) -> None:
    assert values(read_yaml("messages: {from: a.csv}\ntickets: none\n")) == [
        (("messages",), {"from": "a.csv"}),
        (("tickets",), "none"),
    ]


def test_a_list_on_top_is_yielded_item_by_item(read_yaml: Any, values: Any) -> None:
    assert values(read_yaml("- a\n- {b: 1}\n- [c]\n")) == [((0,), "a"), ((1,), {"b": 1}), ((2,), ["c"])]


def test_reading_can_stop_before_the_entries(read_yaml: Any, values: Any) -> None:
    text = "version: 1\nname: x\nmessages:\n- a\n- !broken\nb: ["
    assert values(read_yaml(text, stop_at_streams=True)) == [(("version",), 1), (("name",), "x")]
    aliased = "x: &x [a]\nmessages: *x\nname: y\n"
    assert values(read_yaml(aliased, stop_at_streams=True)) == [(("x",), ["a"])]


def test_other_streams_can_be_named(read_yaml: Any, values: Any) -> None:
    assert values(read_yaml("messages: [1]\nrows: [2]\n", streams=frozenset({"rows"}))) == [
        (("messages",), [1]),
        (("rows", 0), 2),
    ]


def test_a_broken_entry_is_not_yielded_and_reading_goes_on(read_yaml: Any, told: Any, values: Any) -> None:
    found = read_yaml("messages:\n- a: 1\n- b: 1\n  b: 01\n  c: !x y\n- d: 1\n")
    assert values(found) == [(("messages", 0), {"a": 1}), (("messages", 2), {"d": 1})]
    assert told(found) == [("BM106", 4, 6), ("BM104", 4, 3), ("BM105", 5, 6)]


def test_a_doubled_key_names_both_places_and_no_value(read_yaml: Any) -> None:
    found = read_yaml("messages:\n- {a: {secret: 1}}\n- x: 1\n  subject: private\n  y: [a, b]\n  subject: private\n")
    [problem] = [item for item in found if hasattr(item, "rule")]
    assert problem.message == (
        "the key `subject` is given twice: first on line 4, column 3, and again on line 6, column 3"
    )


def test_the_first_document_is_yielded_before_the_second_is_refused(read_yaml: Any, told: Any, values: Any) -> None:
    found = read_yaml("--- # one\nmessages: [a]\n...\n---\nmessages: [b]\n")
    assert values(found) == [(("messages", 0), "a")]
    assert told(found) == [("BM108", 4, 1)]


def test_anchors_aliases_and_merges(read_yaml: Any, values: Any) -> None:
    text = """\
x-one: &one {a: 1, b: 1}
x-two: &two {b: 2, c: 2}
messages:
  - &first {key: k, to: &to [x]}
  - <<: *one
    b: own
  - {<<: [*one, *two], d: 4}
  - copy: *first
    to: *to
  - *first
  - {"<<": text}
  - <<: {e: 5}
"""
    assert [value for path, value in values(read_yaml(text)) if path[0] == "messages"] == [
        {"key": "k", "to": ["x"]},
        {"b": "own", "a": 1},
        {"d": 4, "a": 1, "b": 1, "c": 2},
        {"copy": {"key": "k", "to": ["x"]}, "to": ["x"]},
        {"key": "k", "to": ["x"]},
        {"<<": "text"},
        {"e": 5},
    ]


def test_an_anchor_given_again_is_the_new_one(read_yaml: Any, values: Any) -> None:
    assert values(read_yaml("a: &x 1\nb: &x 2\nc: *x\n"))[-1] == (("c",), 2)


def test_a_list_of_entries_may_be_an_alias(read_yaml: Any, values: Any) -> None:
    found = read_yaml("x: &x [a, b]\nmessages: *x\n")
    assert values(found) == [(("x",), ["a", "b"]), (("messages", 0), "a"), (("messages", 1), "b")]
    assert (found[1].place.at(("y",)).line, found[1].place.at(()).column) == (2, 11)


def test_line_characters_of_unicode_are_text_and_count_no_lines(read_yaml: Any, values: Any) -> None:
    text = 'a: "x \u2028 y"\nb: p\u0085q\nc:\n  "k\u2029": 01\nd: z\u2028\n'
    found = read_yaml(text)
    assert values(found) == [(("a",), "x \u2028 y"), (("b",), "p\u0085q"), (("d",), "z\u2028")]
    assert [(item.line, item.column) for item in found if hasattr(item, "rule")] == [(4, 9)]


def test_a_json_file_is_yaml_and_its_surrogate_pairs_are_read(read_yaml: Any, values: Any) -> None:
    text = '{"version":1,\n\t"messages":[{"body_text":"\\ud83d\\ude00 \\u00e9 \\/ \\\\ud83d"}]}'
    assert values(read_yaml(text, name="batch.json")) == [
        (("version",), 1),
        (("messages", 0), {"body_text": "😀 é / \\ud83d"}),
    ]


ENTRY = """\
version: 1
defaults:
  # a comment
  via: api
messages:
  - type: incoming   # the first
    source:
      to: [{address: a@b.c}, {address: "d"}]
      é: x
    'quoted': |
      block
  - &base
    type: outgoing
    list:
    - one
    - two: 2
  - <<: *base
    copy: *base
"""


@pytest.mark.parametrize(
    ("entry", "path", "name", "line", "column"),
    [
        (0, (), False, 1, 10), (0, (), True, 1, 1),
        (1, (), False, 4, 3), (1, (), True, 2, 1), (1, ("via",), False, 4, 8), (1, ("via",), True, 4, 3),
        (2, (), False, 6, 5), (2, ("type",), False, 6, 11), (2, ("type",), True, 6, 5),
        (2, ("source",), False, 8, 7), (2, ("source", "to"), False, 8, 11), (2, ("source", "to", 0), False, 8, 12),
        (2, ("source", "to", 1, "address"), False, 8, 40), (2, ("source", "to", 1, "address"), True, 8, 31),
        (2, ("source", "é"), False, 9, 10), (2, ("quoted",), True, 10, 5), (2, ("quoted",), False, 10, 15),
        (2, ("nowhere", "x"), False, 6, 5), (2, ("source", "to", 7), False, 8, 11), (2, ("type", "x"), False, 6, 11),
        (3, ("list", 1, "two"), False, 16, 12), (3, ("type",), True, 13, 5),
        (4, ("type",), False, 17, 5), (4, ("list", 0), True, 17, 5), (4, ("copy", "type"), False, 18, 11),
    ],
)  # fmt: skip
def test_positions_inside_an_entry(
    entry: int, path: tuple[Any, ...], name: bool, line: int, column: int, read_yaml: Any
) -> None:
    place = read_yaml(ENTRY)[entry].place
    position = place.at(path, name=name)
    assert (position.line, position.column) == (line, column)


def test_an_entry_begins_on_its_line(read_yaml: Any) -> None:
    assert [node.place.line for node in read_yaml(ENTRY)] == [1, 2, 6, 12, 17]


def test_names_are_shown_safely_and_cut(read_yaml: Any) -> None:
    [found] = read_yaml('a: {"x\\e[31m\\u202e": 1, "x\\e[31m\\u202e": 2}\n')
    assert "`x\\x1b[31m\\u202e`" in found.message
    [found] = read_yaml(f"a: {{{'k' * 500}: 1, {'k' * 500}: 2}}\n")
    assert len(found.message) < 200


def test_values_are_never_quoted(read_yaml: Any) -> None:
    for text in (
        "a: Dear Jane: hi\n",
        'a: "Dear Jane\n',
        "a: @Jane\n",
        "a: !Jane x\n",
        "a: 'Jane' Doe\n",
        "a: *Jane Doe x\n",
    ):
        found = [item for item in read_yaml(text) if hasattr(item, "rule")]
        assert found
        assert not any("Dear" in item.message + item.hint or "Doe" in item.message + item.hint for item in found)


@pytest.mark.parametrize("name", [name for name in WRONG if name not in ("% begins a text", "unclosed list")])
def test_the_parser_without_libyaml_tells_the_same_rules(
    name: str, read_yaml: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_file, "HAS_LIBYAML", False)
    text, expected = WRONG[name]
    assert {rule for rule, _, _ in told(read_yaml(text))} == {rule for rule, _, _ in expected}


def test_the_parser_without_libyaml_reads_the_same(
    read_yaml: Any, values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = read_yaml(ENTRY)
    monkeypatch.setattr(yaml_file, "HAS_LIBYAML", False)
    slow = read_yaml(ENTRY)
    assert values(slow) == values(fast)
    assert [node.place.at(("source", "to", 1)) for node in slow] == [
        node.place.at(("source", "to", 1)) for node in fast
    ]


def test_a_key_with_a_line_character_raw_and_escaped_is_one_key(read_yaml: Any, told: Any) -> None:
    # They travelled differently through the parser, and the second silently replaced the first.
    assert told(read_yaml('m: {"k\x85": 1, "k\\x85": 2}\n')) == [("BM104", 1, 14)]
    assert told(read_yaml('"k\x85": 1\n"k\\x85": 2\n')) == [("BM104", 2, 1)]
