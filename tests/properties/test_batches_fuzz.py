"""Whatever stands in a batch, reading it gives messages or findings: never an exception, never a message past an error.

A seeded generator breaks the case folders' batches. FUZZ_BATCHES=50000 asks for more.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bulkmsg.batch import BatchOptions
from bulkmsg.errors import UsageError
from bulkmsg.message import Mode, canonical
from bulkmsg.validation.survey import BatchFile, messages, survey

CASES = Path(__file__).resolve().parents[1] / "cases"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VOLUME = int(os.environ.get("FUZZ_BATCHES", "2400"))

# What turns up in batches that went wrong: structure, odd values, and names that mean something elsewhere.
TOKENS = [
    *"{}[]:,-&*!|>'\"%@`#?;\t\n\r ",
    *("null", "true", "~", "0", "-1", "5.0", "1e400", ".nan", "0123", "9007199254740993", "1" * 400, "''", '""'),
    *("\n  - ", "\n- ", "\n", ": ", "<<: *a", "&a ", "*a", "---\n", "!!python/none ", "? ", "{{ ", " }}", "{% if %}"),
    *("{{ email }}", "{{ a.b }}", "{{ row }}", "{{ row['x'] }}", "{{ 1/0 }}", "{{ [1][9] }}", "{{ x|int }}", "%NAME%"),
    *("type", "key", "ticket_id", "ticket_external_id", "from:", "messages:", "tickets:", "defaults:", "template:"),
    *("external_id", "sent_datetime", "created_datetime", "source", "sender", "channel", "public", "from_agent"),
    "meta",
    *("incoming", "outgoing", "internal-note", "email", "send", "import", "tags", "attachments", "mention_ids"),
    *("2021-03-01T10:00:00Z", "2021-02-30T10:00:00+25:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    *("\x00", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "\ufeff", "\u2028", "\u202e", "\\ud800"),
    *("a@b.c", "a@b.c;d@e.f", "[1]", '{"a": 1}', "[" * 50, "parts/rows.csv", "*.csv", "parts/*", "..", "/dev/zero"),
]


def broken(text: bytes, chance: random.Random) -> bytes:
    data = bytearray(text)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at, to = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
        to = min(to, at + chance.choice((0, 1, 5, 40)))
        kind = chance.randrange(6)
        if kind == 0:
            del data[at:to]
        elif kind == 1:
            data[at:at] = data[at : at + chance.choice((10, 100))]
        elif kind == 2:
            lines = bytes(data).splitlines(keepends=True)
            if lines:
                one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
                lines[one], lines[two] = lines[two], lines[one]
                data = bytearray(b"".join(lines))
        elif kind == 3 and data:
            data[chance.randrange(len(data))] = chance.randrange(256)
        else:
            data[at:to] = chance.choice(TOKENS).encode("utf-8", "surrogatepass")
    return bytes(data)


def word_swapped(text: bytes, chance: random.Random) -> bytes:
    """One value put for another, so that the structure mostly stays whole."""
    words = text.split(b" ")
    for _ in range(chance.choice((1, 2, 4))):
        end = b"," if words and words[-1].endswith(b",") else b""
        word = chance.choice(TOKENS).encode("utf-8", "surrogatepass")
        words[chance.randrange(len(words))] = chance.choice((word, chance.choice(words))) + end
    return b" ".join(words)


def seeds() -> Iterator[Path]:
    for kind in ("valid", "invalid"):
        yield from sorted(path for path in (CASES / kind).rglob("*") if path.suffix in (".yaml", ".csv", ".jsonl"))


@pytest.mark.parametrize("share", range(4))
def test_broken_batches_give_findings_and_never_an_exception(share: int, tmp_path: Path) -> None:
    shutil.copytree(CASES / "valid", tmp_path, dirs_exist_ok=True)
    shutil.copytree(CASES / "invalid", tmp_path, dirs_exist_ok=True)
    texts = [(path.suffix, path.read_bytes()) for path in seeds() if ".wire" not in path.name]
    chance = random.Random(share)
    valid = 0
    for _ in range(VOLUME // 4):
        suffix, text = chance.choice(texts)
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(chance.choice((broken, word_swapped))(text, chance))
        mode = chance.choice((None, Mode.IMPORT, Mode.SEND)) if suffix == ".csv" else None
        batch = BatchFile(path, path.name, BatchOptions(mode=mode, name="x" if mode else None))
        try:
            seen = survey(batch, now=NOW)
        except UsageError as refused:  # a batch for several accounts of which the command line names none
            assert "accounts" in str(refused)
            continue
        assert all(found.message and found.hint for found in seen.findings.kept)
        if seen.valid:
            valid += 1
            sent = list(messages(batch, seen, "acme", NOW))
            assert len(sent) == seen.messages
            assert len({message.key for message in sent}) == len(sent)
            for message in sent:
                assert canonical(message.body)
    assert 0 < valid < VOLUME // 4
