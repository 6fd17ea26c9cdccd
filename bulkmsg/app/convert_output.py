"""The folder of a conversion: everything is written aside in it first, and then put in place by renaming."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from bulkmsg import json_text
from bulkmsg.app.spool import Spool
from bulkmsg.converters.options import Options
from bulkmsg.converters.tally import Tally
from bulkmsg.errors import InvalidBatch, UsageError
from bulkmsg.reports import convert as report
from bulkmsg.source import Json

BATCH, TICKETS, REPORT, PROGRAMS, AGENTS = "batch.yaml", "tickets.jsonl", "report.md", "report.json", "agent-map.csv"
_WRITTEN = frozenset({BATCH, TICKETS, REPORT, PROGRAMS, AGENTS})
FILES = "attachments"
_OURS = _WRITTEN | {FILES, "schemas"}
_ASIDE = ".convert"
_KEPT = "kept"
_LOG = ".progress.jsonl"

_HEADER = """\
# Converted from {source}. Convert a newer export into this folder again: the keys stay, so a run adds what is new.
#   look:      report.md says what became of every record
#   check:     bulkmsg validate batch.yaml
#   try:       bulkmsg run batch.yaml --sandbox
# This file is yours: it is written once and never overwritten.
version: 1
name: {name}
mode: import # history: every message says when it was sent, and nobody is mailed
tickets:
  from: tickets.jsonl
"""


class Folder:
    """The output's folder, held by one conversion at a time. A context; leaving it removes what stands aside.

    Raises:
        UsageError: it holds files of others, or another conversion writes there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._aside = path / _ASIDE
        self._stack = ExitStack()

    def __enter__(self) -> Folder:
        self._check()
        try:
            self._aside.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be made: {error.strerror}", "name another folder with -o") from None
        with ExitStack() as stack:
            lock = stack.enter_context((self._aside / "lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                hint = "wait for it to end, or name another folder with -o"
                raise UsageError(f"another conversion writes to {self.path}", hint) from None
            self._clear()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        self._stack.close()

    def aside(self, name: str) -> Path:
        """Where a file is written before it is put in place."""
        return self._aside / name

    # Files that came inside the export.

    def keep(self, data: bytes, ending: str) -> str:
        """Puts a file by, once for the same content, and names the place that it shall have in the folder."""
        digest = hashlib.sha256(data).hexdigest()[:32]
        name = f"{digest[:2]}/{digest}.{ending}" if ending else f"{digest[:2]}/{digest}"
        path = self._aside / _KEPT / name
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            except OSError as error:
                hint = "make room where the output is written, or leave attachments out: --attachments drop"
                raise InvalidBatch(f"an attachment cannot be put aside: {error.strerror}", hint) from None
        return f"{FILES}/{name}"

    def take_files(self, ticket: dict[str, Json]) -> None:
        """What a ticket of the batch carries is published; what only skipped messages carry is not."""
        for message in ticket["messages"]:
            for each in message.get("attachments", ()):
                if isinstance(name := each.get("file"), str):
                    name = name.removeprefix(f"{FILES}/")
                    _move(self._aside / _KEPT / name, self._aside / FILES / name)

    def _check(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is no folder", "name a folder with -o; it is made if need be")
        names = sorted(each.name for each in self.path.iterdir() if not each.name.startswith("."))
        foreign = [name for name in names if name not in _OURS and _LOG not in name]
        written = [name for name in names if name in _WRITTEN]
        if foreign or (written and not self._is_ours()):
            name = (foreign or written)[0]
            hint = "name a new folder with -o, or the one of an earlier conversion"
            raise UsageError(f"{self.path} holds {name}, which no conversion wrote", hint)

    def _is_ours(self) -> bool:
        """Whether an earlier conversion left its report there."""
        try:
            with (self.path / PROGRAMS).open("rb") as file:
                return b'"tool": "bulkmsg"' in file.read(200)
        except OSError:
            return False

    def _clear(self) -> None:
        """What a killed conversion left."""
        for each in self._aside.iterdir():
            if each.name != "lock":
                shutil.rmtree(each) if each.is_dir() else each.unlink()

    # In place.

    def publish(self, source: str, name: str, tally: Tally, spool: Spool, options: Options) -> list[str]:
        """Put everything in its place, the batch last; the names of what was written."""
        people = not options.anonymise
        self._write(REPORT, report.for_people(source, tally, spool.findings(), people=people))
        self._write(PROGRAMS, report.for_programs(source, tally, spool.findings(), people=people))
        written = [TICKETS, REPORT, PROGRAMS]
        if people and self._write_agents(tally):
            written.append(AGENTS)
        if not (self.path / BATCH).exists():
            self._write(BATCH, [_HEADER.format(source=source, name=json_text.dumps(name).decode())])
            written.append(BATCH)
        files = self._publish_files()
        for each in written:
            _sync(self.aside(each))
        for each in written:
            self.aside(each).replace(self.path / each)
        _sync(self.path)
        return [*written, FILES] if files else written

    def _publish_files(self) -> bool:
        """Their sizes stand in the batch: one that a crash of the machine leaves empty is found when it is checked."""
        found = False
        for each in (self._aside / FILES).glob("*/*"):
            _move(each, self.path / FILES / each.parent.name / each.name)
            found = True
        return found

    def _write(self, name: str, pieces: Iterable[str]) -> None:
        with self.aside(name).open("w", encoding="utf-8") as file:
            file.writelines(pieces)

    def _write_agents(self, tally: Tally) -> bool:
        """A map to be filled in; whoever keeps his address has it there already. What was filled in stays as it is."""
        before = self._read_agents()
        known = {cells[0] for cells in csv.reader(io.StringIO(before)) if cells}
        new = [(agent, count) for agent, count in tally.unmapped if agent.person.id not in known]
        if not new:
            return False
        with self.aside(AGENTS).open("w", encoding="utf-8", newline="") as file:
            file.write(before if before.endswith("\n") or not before else f"{before}\n")
            rows = csv.writer(file, lineterminator="\n")
            if not before:
                rows.writerow(("old", "new", "name", "messages"))
            for agent, count in new:
                person = agent.person
                rows.writerow((person.id, person.email if agent.how == "own" else "", _cell(person.name), count))
        return True

    def _read_agents(self) -> str:
        try:
            return (self.path / AGENTS).read_text("utf-8-sig")
        except (OSError, ValueError):
            return ""


def _move(source: Path, target: Path) -> None:
    """Another message may have taken the same file before."""
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)


def _cell(text: str) -> str:
    """A name as a spreadsheet may open it: never as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
