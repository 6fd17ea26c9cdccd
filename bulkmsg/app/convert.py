"""Converting an export: its files are read once, put aside on disk, joined ticket by ticket and written as a batch.

Nothing stands in the output's folder under its own name before all is read, counted and written aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bulkmsg import json_text
from bulkmsg.app.convert_output import Folder
from bulkmsg.app.spool import Spool
from bulkmsg.converters.anonymise import anonymised
from bulkmsg.converters.compose import Composed, compose
from bulkmsg.converters.options import Options
from bulkmsg.converters.registry import Source
from bulkmsg.converters.tally import Tally
from bulkmsg.converters.words import (
    Converter,
    Facts,
    Finding,
    Input,
    Kin,
    Note,
    Person,
    Piece,
    Reading,
    Refusal,
    Skip,
    Sorted,
)
from bulkmsg.diagnostic import Diagnostic
from bulkmsg.errors import InvalidBatch
from bulkmsg.readers import archives
from bulkmsg.readers.mail import Keep, mail_records
from bulkmsg.readers.records import Mended, Passed, Record, records
from bulkmsg.readers.tables import table
from bulkmsg.readers.text import ByteSource
from bulkmsg.readers.xml_records import xml_records
from bulkmsg.validation.values import tomorrow

_UNREADABLE = frozenset({"BM101", "BM102", "BM107", "BM111", "BM118"})


@dataclass(frozen=True, slots=True)
class Conversion:
    """What shall be converted, and how.

    Args:
        files: files, folders and archives, in the order in which they are read.
        encoding: of JSON and CSV files.
        delimiter: of CSV files.
        name: of the batch.
    """

    source: Source
    files: Sequence[Path]
    folder: Path
    options: Options
    reading: Reading = field(default_factory=Reading)
    encoding: str = "utf-8"
    delimiter: str = ","
    name: str = ""


class Converted:
    """An export that was read and written aside: look at the `tally`, then `publish`. A context; leaving it clears up.

    Raises:
        InvalidBatch: a file cannot be read, is not what the source converts, or no record becomes a message.
        UsageError: the folder is not one of ours.
    """

    def __init__(self, conversion: Conversion) -> None:
        self.conversion = conversion
        self.tally = Tally()
        self._stack = ExitStack()

    def __enter__(self) -> Converted:
        with ExitStack() as stack:
            self._folder = stack.enter_context(Folder(self.conversion.folder))
            self._spool = stack.enter_context(Spool(self._folder.aside("records.sqlite")))
            self._read()
            self._write()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def publish(self) -> list[str]:
        """Put the batch and its reports in their places; the names of what was written."""
        conversion = self.conversion
        return self._folder.publish(
            conversion.source.name, conversion.name, self.tally, self._spool, conversion.options
        )

    # In: files to records put aside.

    def _read(self) -> None:
        converter = self.conversion.source.make(self.conversion.reading)
        self._converter = converter
        for path in archives.expanded(self.conversion.files):
            with archives.opened(path, str(path)) as members:
                for member in members:
                    if isinstance(member, Diagnostic):
                        raise _unreadable(member)
                    self._read_member(member, converter)
        for note in converter.close():
            self.tally.note(note.code, note.message, "", 0)

    def _read_member(self, member: ByteSource, converter: Converter) -> None:
        conversion = self.conversion
        for item in _items(member, conversion, self._folder.keep):
            if isinstance(item, Record):
                try:
                    for each in converter.sort(item):
                        self._take(each, item.file, item.line)
                except Refusal as refusal:
                    raise InvalidBatch(refusal.message, refusal.hint) from None
            elif isinstance(item, Passed):
                self._take(Skip(item.what), item.file, item.line)
            elif isinstance(item, Mended):
                self.tally.note("mended", item.what, item.file, item.line)
            elif item.rule in _UNREADABLE:
                raise _unreadable(item)
            elif not item.is_error:
                self.tally.note(item.rule, item.message, item.file, item.line)
            else:
                self._take(Finding("broken", item.message, item.hint), item.file, item.line)

    def _take(self, item: Sorted, file: str, line: int) -> None:
        match item:
            case Person():
                self._spool.add_person(item)
                self.tally.people += 1
            case Facts():
                self._spool.add_facts(item, file, line)
                self.tally.tickets_read += 1
            case Piece():
                self._spool.add_piece(item, file, line)
                self.tally.records += 1
            case Kin():
                self._spool.add_kin(item)
            case Note():
                self.tally.note(item.code, item.message, file, line)
            case Skip() | Finding():
                self.tally.records += 1
                self._leave(item, file, line)

    def _leave(self, what: Skip | Finding, file: str, line: int) -> None:
        if isinstance(what, Skip):
            self.tally.skip(what.reason, file, line)
        else:
            self.tally.find(what.code, what.message, what.hint, file, line)
            self._spool.add_finding(what, file, line)

    # Out: records put aside to tickets.

    def _write(self) -> None:
        tally = self.tally
        with self._folder.aside("tickets.jsonl").open("wb") as out:
            for thread, again, older in self._spool.threads():
                tally.tickets_repeated += older
                for record in again:
                    tally.skip("a repeated record: another version of it counts", record.file, record.line)
                talk = self._converter.talk(thread, self._spool)
                tally.records += max(0, len(talk.turns) - len(thread.pieces))
                composed = compose(talk, self.conversion.options)
                self._count(composed)
                if composed.ticket is not None:
                    self._folder.take_files(composed.ticket)
                    ticket = anonymised(composed.ticket) if self.conversion.options.anonymise else composed.ticket
                    out.write(json_text.dumps_line(ticket))
        if not tally.messages:
            raise self._nothing()

    def _count(self, composed: Composed) -> None:
        tally = self.tally
        for kind, _, _ in composed.messages:
            tally.by_kind[kind] += 1
        for placed in composed.left:
            self._leave(placed.what, placed.file, placed.line)
        for note, file, line in composed.notes:
            tally.note(note.code, note.message, file, line)
        tally.flags.update(composed.flags)
        for agent, messages in composed.agents:
            tally.meet(agent, messages)
        tally.tickets_written += composed.ticket is not None
        tally.tickets_empty += composed.ticket is None

    def _nothing(self) -> InvalidBatch:
        tally, source = self.tally, self.conversion.source
        found = max(tally.findings.values(), key=lambda reason: reason.count, default=None)
        if found is not None:
            place = "".join(f" ({file}:{line})" for file, line in found.places[:1])
            return InvalidBatch(f"no record becomes a message; most often: {found.message}{place}", found.hint)
        reason = max(tally.skips, key=lambda name: tally.skips[name].count, default="")
        why = f"; most often: {reason}" if reason else ": the files hold no record"
        return InvalidBatch(f"nothing of {source.about.title} becomes a message{why}", source.about.instead)


def _items(member: ByteSource, conversion: Conversion, keep: Keep) -> Iterator[Record | Passed | Mended | Diagnostic]:
    """The records of one file, by the kind of file that the source, and its name, ask for."""
    looks = member.name.lower().removesuffix(".gz")
    about = conversion.source.about
    if about.input is Input.MAIL:
        return mail_records(member, keep, encoding=conversion.encoding)
    if about.input is Input.TABLE and looks.endswith((".csv", ".tsv")):
        return table(member, conversion.encoding, "\t" if looks.endswith(".tsv") else conversion.delimiter)
    if about.xml and looks.endswith(".xml"):
        return xml_records(member)
    for ending, what in ((".csv", "CSV, which holds no messages"), (".xml", "XML, which is not read")):
        if looks.endswith(ending):
            raise InvalidBatch(f"{member.name} is {what}", about.instead)
    return records(member, encoding=conversion.encoding)


def _unreadable(found: Diagnostic) -> InvalidBatch:
    return InvalidBatch(f"{found.file} cannot be read", "nothing was written", (found,))


def now() -> str:
    """The latest time at which something can have been sent, as text."""
    return tomorrow(datetime.now(UTC))
