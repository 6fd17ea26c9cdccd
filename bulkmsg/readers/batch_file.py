"""A batch read as a whole: its header's nodes, then its entries one by one, through all its `from:` blocks.

Streams: nothing here grows with the batch. Findings about files and blocks are yielded among the entries; what the
entries mean is decided above.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path as FilePath
from typing import cast

from bulkmsg.batch import HEADER_FIELDS, SECTIONS, Block, Entry, Sheet
from bulkmsg.diagnostic import Diagnostic, finding
from bulkmsg.readers.csv_file import Columns, rows
from bulkmsg.readers.files import InputFile, open_input
from bulkmsg.readers.jsonl_file import lines
from bulkmsg.readers.text import shown
from bulkmsg.source import Json, Node, Path, Spot, path_text

_BLOCK_FIELDS = {
    "from": str,
    "delimiter": str,
    "encoding": str,
    "timezone": str,
    "columns": dict,
    "key": str,
    "template": dict,
}
_FLOW_START = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:[ \t]*#[^\n]*\n|---[ \t]*\r?\n|[ \t\r\n])*\{")
_MAX_FILES = 10_000  # that one glob may find
_LATE_HEADER = re.compile(rb"^[\"']?(?:version|name|accounts?|mode|timezone|defaults)[\"']?[ \t]*:", re.MULTILINE)
_SECTION_KEY = re.compile(rb"^[\"']?(?:messages|tickets)[\"']?[ \t]*:", re.MULTILINE)
_CHUNK = 1 << 20


def format_of(path: FilePath) -> str:
    """`csv`, `tsv`, `jsonl` or `yaml`, by the file's name; `.gz` is looked through. JSON is YAML."""
    name = path.name.lower().removesuffix(".gz")
    for suffix, kind in ((".csv", "csv"), (".tsv", "tsv"), (".jsonl", "jsonl"), (".ndjson", "jsonl")):
        if name.endswith(suffix):
            return kind
    return "yaml"


def stem_of(path: FilePath) -> str:
    """The file's name without its format's ending: what a batch without a name is called."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name.rsplit(".", 1)[0] if "." in name.strip(".") else name


@dataclass
class Reading:
    """One pass over a batch.

    Args:
        path: the batch file; `name` is how the user gave it, and how findings name it.
        delimiter, encoding: from the command line, for a batch that is itself a CSV (and its `from:` blocks' default).
        hashed: whether `digest` will be asked for.
        folder: from where files that the batch names are looked for; by default the batch's own.
    """

    path: FilePath
    name: str
    delimiter: str | None = None
    encoding: str | None = None
    hashed: bool = True
    digests: list[str] = field(default_factory=list)
    folder: FilePath | None = None

    @property
    def base(self) -> FilePath:
        return self.folder or self.path.parent

    def digest(self) -> str:
        """Hex sha256 over the contents of all files read to their end, in the order of reading."""
        return hashlib.sha256("\n".join(self.digests).encode()).hexdigest()

    def _note(self, file: InputFile) -> None:
        if self.hashed:
            self.digests.append(file.digest())

    def header(self) -> Iterator[Node | Diagnostic]:
        """The nodes of the header; none for CSV and JSON Lines, which have no header."""
        if format_of(self.path) != "yaml":
            return
        opened = open_input(self.path, self.name, hashed=self.hashed)
        if isinstance(opened, Diagnostic):
            yield opened
            return
        from bulkmsg.readers.yaml_file import nodes  # here: CSV and JSON Lines never pay for its import

        stop = not _header_is_below(self.path, self.name)
        with opened as file:
            for item in nodes(file, encoding=self.encoding or "utf-8", stop_at_streams=stop):
                if isinstance(item, Diagnostic):
                    yield item
                elif isinstance(item.path[0], int):
                    hint = "a batch is a mapping: `version: 1`, `mode: import`, then `messages:` with a list below it"
                    yield finding("BM109", "the file is a list of entries, not a batch", hint, item.place)
                    return
                elif len(item.path) == 1 and item.path[0] not in SECTIONS:
                    yield item

    def entries(self, known: frozenset[str]) -> Iterator[Entry | Diagnostic]:
        """All entries in order. `known` are the header's fields: one that turns up now stands below the entries."""
        kind = format_of(self.path)
        if kind == "yaml":
            yield from self._yaml_entries(known)
            return
        block = Block("messages", self.name, Spot(self.name, 1), (), self.delimiter, self.encoding)
        yield from self._file_entries(block, self.path, self.name)

    def _yaml_entries(self, known: frozenset[str]) -> Iterator[Entry | Diagnostic]:
        from bulkmsg.readers.yaml_file import nodes

        opened = open_input(self.path, self.name, hashed=self.hashed)
        if isinstance(opened, Diagnostic):
            yield opened
            return
        with opened as file:
            for item in nodes(file, encoding=self.encoding or "utf-8"):
                yield from self._batch_item(item, known)
            self._note(file)

    def _batch_item(self, item: Node | Diagnostic, known: frozenset[str]) -> Iterator[Entry | Diagnostic]:
        if isinstance(item, Diagnostic):
            yield item
        elif not isinstance(item.path[0], str):
            return  # a list, of which the header has told
        elif item.path[0] in SECTIONS:
            yield from self._section_item(item)
        elif item.path[0] not in known and item.path[0] not in HEADER_FIELDS:
            close = get_close_matches(item.path[0], sorted(HEADER_FIELDS | SECTIONS), 1)
            hint = f"did you mean `{close[0]}`?" if close else "take it out, or move it to where it belongs"
            message = f"unknown field `{shown(item.path[0])}`"
            yield finding("BM110", message, hint, item.place, name=True, prefix=item.path)
        elif item.path[0] not in known:
            hint = f"move `{item.path[0]}:` above `messages:` and `tickets:`"
            yield finding("BM120", f"the header field `{item.path[0]}` stands below the entries", hint, item.place)

    def _section_item(self, item: Node) -> Iterator[Entry | Diagnostic]:
        section = str(item.path[0])
        if isinstance(item.value, dict) and "from" in item.value:
            yield from self._block_entries(section, item)
        elif len(item.path) == 2 and isinstance(item.value, dict):
            number = cast(int, item.path[1]) + 1
            yield Entry(section, number, item.place, item.path, value=item.value)
        elif len(item.path) == 2:
            hint = "each item is a mapping that begins with `type:`, or a `from:` block"
            yield finding("BM203", "an entry must be a mapping of fields", hint, item.place, prefix=item.path)
        elif item.value is not None:
            hint = "write a list of entries, or one block that begins with `from:`"
            yield finding("BM109", f"`{section}` holds neither a list nor a `from:` block", hint, item.place)

    def _block_entries(self, section: str, item: Node) -> Iterator[Entry | Diagnostic]:
        findings = list(_block_findings(item))
        yield from findings
        if findings:
            return
        values = {name: value for name, value in item.value.items() if name != "from" and value is not None}
        block = Block(section, item.place.file, item.place, item.path, **values)
        for path in self._files(item):
            if isinstance(path, Diagnostic):
                yield path
            else:
                yield from self._file_entries(block, path, _shown(path, self.base))

    def _files(self, item: Node) -> Iterator[FilePath | Diagnostic]:
        """The files that a block names, each pattern's in the order of their names."""
        written = item.value["from"]
        for index, pattern in enumerate(written if isinstance(written, list) else [written]):
            path: Path = ("from", index) if isinstance(written, list) else ("from",)
            found = self._matching(pattern)
            if isinstance(found, str):
                hint = f"the path is relative to the folder of {self.name}; `*` stands for one name, not for folders"
                yield finding("BM116", found, hint, item.place, path, prefix=item.path)
            else:
                yield from found

    def _matching(self, pattern: str) -> list[FilePath] | str:
        """The files that a pattern stands for, or why there are none."""
        folder = self.base
        if not any(char in pattern for char in "*?["):
            return [folder / pattern]
        name = shown(pattern)
        if "**" in pattern:
            return f"`{name}`: the pattern `**` would go through whole trees of folders"
        base, relative = (FilePath("/"), pattern.lstrip("/")) if pattern.startswith("/") else (folder, pattern)
        try:
            found = [path for path in islice(base.glob(relative), _MAX_FILES + 1) if not path.is_dir()]
        except (ValueError, NotImplementedError, OSError):
            return f"`{name}` is no pattern for files"
        if len(found) > _MAX_FILES:
            return f"`{name}` matches more than {_MAX_FILES:,} files"
        return sorted(found) or f"no file matches `{name}`"

    def _file_entries(self, block: Block, path: FilePath, name: str) -> Iterator[Entry | Diagnostic]:
        opened = open_input(path, name, hashed=self.hashed)
        if isinstance(opened, Diagnostic):
            yield opened if path == self.path else _at_block(block, opened)
            return
        readers: dict[str, Callable[[Block, InputFile], Iterator[Entry | Diagnostic]]] = {
            "csv": self._csv_entries,
            "tsv": self._csv_entries,
            "jsonl": self._jsonl_entries,
            "yaml": self._list_entries,
        }
        with opened as file:
            yield from readers[format_of(path)](block, file)
            self._note(file)

    def _csv_entries(self, block: Block, file: InputFile) -> Iterator[Entry | Diagnostic]:
        tabs = file.name.lower().removesuffix(".gz").endswith(".tsv")
        delimiter = block.delimiter or self.delimiter or ("\t" if tabs else ",")
        if len(delimiter) != 1:
            hint = 'write it like `";"`'
            path: Path = ("delimiter",)
            yield finding("BM116", "`delimiter` must be one character", hint, block.place, path, prefix=block.prefix)
            return
        sheet: Sheet | None = None
        section = block.section
        encoding = block.encoding or self.encoding or "utf-8"
        for item in rows(file, delimiter=delimiter, encoding=encoding):
            if isinstance(item, Diagnostic):
                yield item
            elif isinstance(item, Columns):
                sheet = _sheet(block, file.name, item)
            else:
                yield Entry(section, item.number, item.place, (), cells=item.cells, sheet=sheet, block=block)

    def _jsonl_entries(self, block: Block, file: InputFile) -> Iterator[Entry | Diagnostic]:
        for item in lines(file, encoding=block.encoding or self.encoding or "utf-8"):
            yield from _list_item(block, item)

    def _list_entries(self, block: Block, file: InputFile) -> Iterator[Entry | Diagnostic]:
        from bulkmsg.readers.yaml_file import nodes

        for item in nodes(file, encoding=block.encoding or self.encoding or "utf-8", streams=frozenset()):
            yield from _list_item(block, item)
            if isinstance(item, Node) and not isinstance(item.path[0], int):
                return


def _list_item(block: Block, item: Node | Diagnostic) -> Iterator[Entry | Diagnostic]:
    if isinstance(item, Diagnostic):
        yield item
    elif not isinstance(item.path[0], int):
        hint = "a file named by `from:` holds a list: each entry begins with `- type: ...`"
        yield finding("BM116", "the file is not a list of entries", hint, item.place, name=True)
    elif not isinstance(item.value, dict):
        yield finding("BM203", "an entry must be a mapping of fields", "begin it with `type:`", item.place)
    elif "from" in item.value and block.template is None:
        hint = "list all files in the batch itself"
        yield finding("BM116", "`from:` names files in the batch itself only", hint, item.place, ("from",), name=True)
    else:
        of_ticket = block.template is None and "messages" in item.value
        section = "tickets" if of_ticket else block.section
        yield Entry(section, item.path[0] + 1, item.place, (), value=item.value, block=block)


def _at_block(block: Block, found: Diagnostic) -> Diagnostic:
    """What is wrong with a file, told where the block names it."""
    at = block.place.at(("from",))
    where = path_text((*block.prefix, "from"))
    return replace(found, file=block.file, line=at.line, column=at.column, path=where)


def _sheet(block: Block, file: str, columns: Columns) -> Sheet:
    names = tuple(block.columns.get(name, name) for name in columns.names)
    return Sheet(block, file, tuple(columns.names), names, columns.place)


def _block_findings(item: Node) -> Iterator[Diagnostic]:
    for name, value in item.value.items():
        expected = _BLOCK_FIELDS.get(name)
        if name == "from":
            if not _names_files(value):
                hint = "write `from: customers.csv`, or a list of files"
                if isinstance(value, dict):
                    hint = "did you mean `source: {from: ...}`?"
                yield _block_finding(item, "`from` names no file", hint, (name,))
        elif expected is None:
            close = get_close_matches(name, _BLOCK_FIELDS, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(_BLOCK_FIELDS)}"
            yield _block_finding(item, f"a `from:` block has no field `{name}`", hint, (name,), named=True)
        elif value is not None and not isinstance(value, expected):
            kind = "a mapping" if expected is dict else "text"
            yield _block_finding(item, f"`{name}` must be {kind}", "see `bulkmsg schema batch`", (name,))
    mapping = item.value.get("columns")
    for column, other in mapping.items() if isinstance(mapping, dict) else ():
        if not isinstance(other, str) or not other:
            hint = 'write it as `columns: {"E-mail": email}`'
            yield _block_finding(item, f"the new name of column {column!r} must be text", hint, ("columns", column))


def _names_files(value: Json) -> bool:
    listed = value if isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(name, str) and name for name in listed)


def _block_finding(item: Node, message: str, hint: str, path: Path, *, named: bool = False) -> Diagnostic:
    return finding("BM116", message, hint, item.place, path, name=named, prefix=item.path)


def _shown(path: FilePath, folder: FilePath) -> str:
    """A file of a block as findings name it: relative to where the user stands, when that is how he named it."""
    return str(path) if str(folder) != "." else path.name if path.parent == folder else str(path)


def _header_is_below(path: FilePath, name: str) -> bool:
    """Whether a header field may stand below the first section: then the header takes a whole pass to read.

    JSON with sorted keys looks like that. A line scan is enough for block style; what it misses is told as BM120.
    """
    opened = open_input(path, name)
    if isinstance(opened, Diagnostic):
        return False
    try:
        with opened as file:
            return _scan_for_late_header(file)
    except (OSError, EOFError, ValueError):
        return False


def _scan_for_late_header(file: InputFile) -> bool:
    seen_section = False
    tail = b""
    first = True
    while chunk := file.read(_CHUNK):
        text = tail + chunk
        if first and _FLOW_START.match(text):
            return True
        first = False
        start = 0
        if not seen_section and (match := _SECTION_KEY.search(text)):
            seen_section, start = True, match.end()
        if seen_section and _LATE_HEADER.search(text, start):
            return True
        tail = b"\n" + text[-64:].rpartition(b"\n")[2] if b"\n" in text[-64:] else b"x"
    return False
