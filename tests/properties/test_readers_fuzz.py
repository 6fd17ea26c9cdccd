"""Whatever the bytes, a reader ends with values and findings and never raises, and every place can be asked."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers import csv_file, jsonl_file, yaml_file
from bulkmsg.readers.files import open_input

ROUNDS = 700
ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1", "shift_jis")

SEEDS: dict[str, tuple[Callable[..., Iterator[Any]], bytes]] = {
    "yaml": (
        yaml_file.nodes,
        b"""\
%YAML 1.2
---
version: 1 # c
defaults: &d {via: api, "x": 'y', n: [1, 0x1F, 1.5e3, ~]}
messages:
  - type: incoming
    <<: [*d, {b: "\\u00e9\\x41 \\n"}]
    body: |2-
        text
      more: {{ x }}
    ? key
    : >+
      folded

  - &e [a, *d, !!str 12]
  - *e
tickets: [{"a": 1, b: {c: d}}, caf\xc3\xa9 \xe2\x80\xa8 x]
""",
    ),
    "json": (yaml_file.nodes, b'{"messages": [{"a": "\\ud83d\\ude00 \\" \\\\", "b": [1, 2.5, null, {"c": true}]}]}'),
    "csv": (csv_file.rows, b'\xef\xbb\xbfa,b,c\r\n1,"x ""y"", z\r\n\r\n",caf\xc3\xa9\r\n,,\r\n4,5,6'),
    "jsonl": (jsonl_file.lines, b'{"a": "x\\u00e9", "b": [1, 2.5e3, {"c": null}]}\n\n[1, "\xc3\xa9"]\r\n"z"'),
}
PIECES = [
    b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\t", b"\r", b"\n", b"\n---\n", b"\n...\n", b"&a ",
    b"*a ", b"*e", b"<<: ", b"!", b"!!int ", b"%TAG ! x\n", b"[", b"]", b"{", b"}", b": ", b"- ", b"? ", b"'", b'"',
    b"\\",     b"\\u", b"\\ud83d", b"|", b">", b"0", b"01", b"1e999", b".nan", b"9" * 30, b"\xe2\x80\xa8", b"\xc2\x85",
    b"\xf2\x8f\xbf\xbe", b"#", b"@", b"`", b"%", b",", b";", b"\x1b", b"\xf4\x8f\xbf\xbf", b"\xef\xbf\xbf", b"  ",
    b"~", b"null", b"messages", b"NaN", b"\x7f", b"a: 1\na: 2\n",
]  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(out) + 1)
        what = chance.randrange(5)
        if what == 0 and at < len(out):
            out[at] = chance.randrange(256)
        elif what == 1:
            del out[at : at + chance.choice((1, 1, 2, 10))]
        elif what == 2:
            out[at:at] = chance.choice(PIECES)
        elif what == 3:
            start = chance.randrange(len(out) + 1)
            out[at:at] = out[start : start + chance.randrange(30)]
        else:
            out[at:at] = chance.choice(PIECES) * chance.choice((1, 2, 70))
    return bytes(out)


def read_all(path: Path, name: str, reader: Callable[..., Iterator[Any]], **options: Any) -> None:
    opened = open_input(path, name, hashed=False)
    assert not isinstance(opened, Diagnostic)
    with opened as file:
        for item in reader(file, **options):
            if isinstance(item, Diagnostic):
                assert item.message.isprintable()
                assert item.hint.isprintable()
                assert min(item.line, item.column) >= 0
            else:
                _ask(item)


def _ask(item: Any) -> None:
    path: tuple[Any, ...] = ()
    value = getattr(item, "value", None)
    while isinstance(value, dict | list) and value:
        key = next(iter(value)) if isinstance(value, dict) else 0
        path, value = (*path, key), value[key]
    at = item.place.at(path, name=True)
    assert min(at.line, at.column, item.place.line) >= 1


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.parametrize("pure", [False, True])
def test_mutated_files_never_raise(kind: str, pure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if pure:
        if kind not in ("yaml", "json"):
            pytest.skip("no YAML in it")
        monkeypatch.setattr(yaml_file, "HAS_LIBYAML", False)
    reader, seed = SEEDS[kind]
    chance = random.Random(20261122)
    path = tmp_path / "x"
    for _ in range(ROUNDS // 5 if pure else ROUNDS):
        path.write_bytes(mutated(seed, chance))
        read_all(path, f"x.{kind}", reader)


@pytest.mark.parametrize("kind", SEEDS)
def test_random_bytes_and_archives_never_raise(kind: str, tmp_path: Path) -> None:
    reader, seed = SEEDS[kind]
    chance = random.Random(7)
    path = tmp_path / "x"
    for _ in range(120):
        path.write_bytes(chance.randbytes(chance.randrange(60)))
        read_all(path, f"x.{kind}", reader, encoding=chance.choice(ENCODINGS))
        path.write_bytes(mutated(gzip.compress(seed), chance))
        read_all(path, f"x.{kind}.gz", reader)
    for cut in range(len(seed)):
        path.write_bytes(seed[:cut])
        read_all(path, f"x.{kind}", reader)
