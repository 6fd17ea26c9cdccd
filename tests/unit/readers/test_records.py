"""Records in every frame, cut anywhere, in odd encodings; broken ones cost only themselves."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers import archives
from bulkmsg.readers import records as module
from bulkmsg.readers.records import Mended, Passed, Record, records

THREE: list[dict[str, Any]] = [{"id": 1, "a": "x"}, {"id": 2, "a": '}"]{'}, {"id": 3, "a": {"b": [1, {}]}}]


class Memory:
    """Bytes that come in pieces of an odd size."""

    name = "export.json"

    def __init__(self, data: bytes, piece: int = 7) -> None:
        self._data = io.BytesIO(data)
        self._piece = piece

    def read(self, size: int = -1) -> bytes:
        return self._data.read(self._piece)


def read(data: bytes, encoding: str = "utf-8") -> list[Any]:
    return list(records(Memory(data), encoding=encoding))


def values(data: bytes) -> list[Any]:
    return [each.value for each in read(data) if isinstance(each, Record)]


def lines(items: list[Any]) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in items)


PAGES = lines([{"comments": [each], "next_page": None, "count": 1} for each in THREE])
SINGER = lines([{"type": "SCHEMA", "stream": "t"}, *({"type": "RECORD", "stream": "t", "record": r} for r in THREE)])
AIRBYTE = lines([{"stream": "t", "data": each, "emitted_at": 1} for each in THREE])
ENVELOPES = lines([{"type": "RECORD", "record": {"stream": "t", "data": each, "emitted_at": 1}} for each in THREE])
FRAMES = {
    "one a line": lines(THREE),
    "one a line, CR LF and blank lines": lines(THREE).replace(b"\n", b"\r\n\r\n"),
    "one list": json.dumps(THREE).encode(),
    "one list, indented": json.dumps(THREE, indent=2).encode(),
    "a list a line": lines([THREE[:2], THREE[2:]]),
    "a wrapped list": json.dumps({"count": 3, "tickets": THREE, "end": True}).encode(),
    "a wrapped list, indented": json.dumps({"count": 3, "tickets": THREE}, indent=1).encode(),
    "embedded lists": json.dumps({"_embedded": {"conversations": THREE}, "page": {"size": 3}}).encode(),
    "pages one after the other": PAGES,
    "pages indented": b"\n".join(json.dumps({"comments": [each]}, indent=1).encode() for each in THREE),
    "nothing between": lines(THREE).replace(b"\n", b""),
    "single records": lines([{"ticket": each} for each in THREE]),
    "Singer": SINGER,
    "Airbyte": AIRBYTE,
    "Airbyte envelopes": ENVELOPES,
    "Airbyte raw": lines([{"_airbyte_ab_id": "u", "_airbyte_data": each} for each in THREE]),
    "byte order mark": b"\xef\xbb\xbf" + lines(THREE),
}


@pytest.mark.parametrize("frame", FRAMES)
def test_each_frame_around_the_same_records_gives_the_same(frame: str) -> None:
    assert values(FRAMES[frame]) == THREE


@pytest.mark.parametrize("frame", ["a wrapped list", "a wrapped list, indented", "embedded lists", "one list"])
def test_what_is_too_large_to_be_looked_at_as_a_whole_gives_the_same(
    frame: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", 10)
    assert values(FRAMES[frame]) == THREE


def test_a_large_record_with_a_list_inside_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE", 10)
    ticket = {"id": 1, "subject": "x", "comments": THREE}
    assert values(json.dumps(ticket).encode()) == [ticket]


@pytest.mark.parametrize("frame", ["one a line", "one list", "a wrapped list, indented", "pages one after the other"])
def test_cut_after_any_byte_keeps_all_whole_records_and_says_where(frame: str) -> None:
    data = FRAMES[frame]
    for cut in range(1, len(data)):
        items = read(data[:cut])
        found = [each for each in items if isinstance(each, Record)]
        assert [each.value for each in found] == THREE[: len(found)]
        whole = len(found) == len(THREE) or (
            frame in ("one a line", "pages one after the other") and data[cut - 1 : cut + 1].count(b"\n")
        )
        findings = [each for each in items if isinstance(each, Diagnostic)]
        assert findings or whole or not data[:cut].strip()
        assert all(each.line >= 1 and each.file == "export.json" for each in findings)


def test_one_broken_line_costs_only_itself() -> None:
    before, broken, after = lines(THREE).split(b"\n")
    items = read(b"\n".join((before, broken[:-3], after)))
    assert [type(each) for each in items] == [Record, Diagnostic, Record]
    assert items[1].line == 2


def test_one_broken_element_of_a_list_with_an_element_a_line_costs_only_itself() -> None:
    items = read(b'[\n{"id":1},\n{"id":2,"x":{,\n{"id":3}\n]\n')
    assert [each.value["id"] for each in items if isinstance(each, Record)] == [1, 3]
    assert [each.line for each in items if isinstance(each, Diagnostic)] == [3]


def test_lines_are_those_of_the_records() -> None:
    found = [each.line for each in read(json.dumps({"n": 1, "tickets": THREE}, indent=1).encode())]
    assert found == [4, 8, 12]


def test_the_list_and_what_is_around_it_is_known() -> None:
    first, *_ = read(b'{"next_page":"u","comments":[{"id":1}],"ticket":{"id":7}}')
    assert first.stream == "comments" and first.page["next_page"] == "u" and first.page["ticket"] == {"id": 7}


def test_a_record_with_a_body_is_no_wrapper_of_the_people_inside_it() -> None:
    message = {"body": "text", "user": {"email": "jane@example.com"}, "conversation": {"slug": "kettle"}}
    (found,) = read(json.dumps(message).encode())
    assert isinstance(found, Record) and found.value == message


def test_other_lines_of_connectors_are_counted() -> None:
    assert [each.what for each in read(SINGER) if isinstance(each, Passed)] == ["connector line SCHEMA"]


def test_line_separators_of_unicode_do_not_end_a_line() -> None:
    assert values('{"id":1,"a":"x\u2028y\u0085z"}\n{"id":2}'.encode()) == [{"id": 1, "a": "x\u2028y\u0085z"}, {"id": 2}]


def test_half_a_surrogate_pair_is_replaced_and_told() -> None:
    mended, record = read(b'{"id":1,"a":"x\\ud83d"}')
    assert isinstance(mended, Mended) and record.value["a"] == "x\ufffd"


def test_a_nul_is_dropped_and_told() -> None:
    mended, record = read(b'{"id":1,"a":"x\\u0000y"}')
    assert isinstance(mended, Mended) and record.value["a"] == "xy"


def test_ids_beyond_two_to_the_53_stay_exact() -> None:
    assert values(b'{"id":9007199254740993}') == [{"id": 9007199254740993}]


def test_cp1252_is_a_finding_that_names_the_byte_and_the_way_out_and_reads_with_the_right_encoding() -> None:
    data = '{"id":1,"a":"caf\u00e9"}\n{"id":2}'.encode("cp1252")
    finding, good = read(data)
    assert "0xe9" in finding.message and "--encoding" in finding.hint and good.value == {"id": 2}
    assert read(data, "windows-1252")[0].value == {"id": 1, "a": "caf\u00e9"}


def test_zip_gzip_and_folders_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in (10, 2, 1):
            archive.writestr(f"pages/{number}.json", json.dumps([{"id": number}]))
        archive.writestr("__MACOSX/pages/._1.json", b"\0\1")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b'{"id":11}'))
    found = []
    for path in archives.expanded([tmp_path]):
        with archives.opened(path, path.name) as members:
            for member in members:
                assert not isinstance(member, Diagnostic)
                found += [(each.value["id"], each.file) for each in records(member) if isinstance(each, Record)]
    assert [number for number, _ in found] == [1, 2, 10, 11]
    assert found[0][1] == "a.zip/pages/1.json"


def test_a_broken_zip_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    with archives.opened(path, "a.zip") as members:
        (found,) = members
    assert isinstance(found, Diagnostic) and found.rule == "BM101"
