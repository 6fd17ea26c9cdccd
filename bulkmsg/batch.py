"""The declarative file in parts: its header, its `from:` blocks, its entries as written, and what reading it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath

from bulkmsg.message import Mode
from bulkmsg.settings import Attachments
from bulkmsg.source import Json, Path, Place, Spot

HEADER_FIELDS = frozenset({"version", "name", "account", "accounts", "mode", "timezone", "defaults"})
SECTIONS = frozenset({"messages", "tickets"})


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What the command line says about a batch; None where it says nothing.

    `account` is the command line's own word, which the header must not contradict; `picked` says which one of several
    accounts is meant, and may come from the environment.
    """

    mode: Mode | None = None
    name: str | None = None
    account: str | None = None
    timezone: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    attachments: Attachments = Attachments.UPLOAD
    picked: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The top part of a batch, the command line's word included.

    `overlay` are the defaults that the account brings; they are in `defaults` already.
    `places` gives for each header field the place where it is written, for findings about its value.
    """

    file: str
    folder: FilePath
    name: str
    name_given: bool
    account: str | None
    mode: Mode
    timezone: str | None = None
    defaults: dict[str, Json] = field(default_factory=dict)
    overlay: dict[str, Json] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def place(self, name: str) -> Place:
        return self.places.get(name, Spot(self.file, 1))


@dataclass(frozen=True, slots=True)
class Block:
    """A `from:` block: files whose rows become entries. A batch that is itself a CSV is one, without a template."""

    section: str
    file: str
    place: Place
    prefix: Path = ()
    delimiter: str | None = None
    encoding: str | None = None
    timezone: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    template: dict[str, Json] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Sheet:
    """One file of a block, with its header row; `names` are the columns after the block renamed them."""

    block: Block
    file: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    place: Place


@dataclass(slots=True)  # one a row: freezing it would cost more than reading the row's cells into it
class Entry:
    """One item as written: a mapping (YAML, JSON Lines) in `value`, or a CSV row in `cells`.

    `number` counts from 1 in its list or file. `prefix` is its path in the document.
    """

    section: str
    number: int
    place: Place
    prefix: Path
    value: dict[str, Json] | None = None
    cells: list[str] | None = None
    sheet: Sheet | None = None
    block: Block | None = None
