"""YAML batches, entry by entry, in memory that does not grow with the file. The only door to the YAML library.

The parser's events are built into plain values here, with YAML 1.2's core types, because the library's own loaders
speak YAML 1.1, keep the last of two equal keys, and copy or follow aliases without a budget.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.files import InputFile
from bulkmsg.readers.text import TextStream, Unreadable, nul, shown
from bulkmsg.readers.yaml_feed import MAX_ENTRY, YamlFeed
from bulkmsg.readers.yaml_place import Anchor, YamlPlace, is_merge, position, restored
from bulkmsg.readers.yaml_scalars import STARTERS, Refusal, collection_tag, plain, tagged
from bulkmsg.readers.yaml_trouble import Complaint, explained
from bulkmsg.source import Json, Node, Path, Place, Position, Spot, path_text

HAS_LIBYAML = bool(yaml.__with_libyaml__)

STREAMS = frozenset({"messages", "tickets"})
MAX_DEPTH = 64  # levels of lists and mappings, the document's own included
MAX_EXPANSION = 100_000  # values that aliases may repeat in any document; more in proportion to what it writes out
EXPANSION_RATIO = 10
MAX_HELD = 200_000  # values kept because an anchor may be asked for
MAX_FIELDS = 10_000  # names on the document's top level
_MAX_KNOWN = 10_000
_MAX_FINDINGS = 100  # findings kept of one entry
_MAX_ANCHOR_TEXT = 1 << 14  # characters of an anchored value that are kept to find places in it
_MAX_LOOKUPS = 20  # doubled keys of one entry whose first place is looked up
_MAX_LOOKUP = 1 << 18  # characters that such a look may parse

_TOO_DEEP = f"lists and mappings stand more than {MAX_DEPTH} deep in each other"
_FLATTER = "write the values out flatter, without anchors inside anchors, or split the file"

Event = Any


def _parser(stream: YamlFeed | io.StringIO) -> Callable[[], Event]:
    """The parser's `get_event`: libyaml's, or the same in Python, about 40 times slower, where that is missing."""
    if HAS_LIBYAML:
        from yaml import cyaml

        parse: Callable[[], Event] = cyaml.CParser(stream).get_event  # type: ignore[attr-defined]
        return parse
    return _PureParser(stream).get_event


class _PureParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    def __init__(self, stream: YamlFeed | io.StringIO) -> None:
        yaml.reader.Reader.__init__(self, stream)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)

    def get_event(self) -> Event:
        event: Event = super().get_event()  # type: ignore[no-untyped-call]
        if type(event) is ScalarEvent and event.style == '"' and _has_surrogate(event.value):
            mark: Any = event.start_mark
            raise yaml.scanner.ScannerError(problem="invalid Unicode character escape", problem_mark=mark)
        return event


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def nodes(
    file: InputFile,
    *,
    encoding: str = "utf-8",
    streams: frozenset[str] = STREAMS,
    stop_at_streams: bool = False,
) -> Iterator[Node | Diagnostic]:
    """The values of a YAML document, one at a time, and what is wrong with it. Never raises for the file's content.

    A top-level mapping gives `Node((key,), value)` for each field, and for the list at a key in `streams`
    `Node((key, index), item)` for each item; a top-level list gives `Node((index,), item)`. An entry with a finding
    is not yielded. After a finding that ends reading (syntax, encoding, budget) nothing follows. With
    `stop_at_streams` the end is right before the first list at a key in `streams`.
    """
    document: _Document | None = None
    try:
        feed = YamlFeed(TextStream(file, encoding))
        document = _Document(_parser(feed), feed, file.name)
        yield from document.nodes(streams, stop_at_streams)
    except Unreadable as stop:
        yield from document.findings if document else ()
        yield stop.diagnostic
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        yield from document.findings if document else ()
        yield _complaint(error, feed, file.name)


def _complaint(error: Exception, feed: YamlFeed, name: str) -> Diagnostic:
    if isinstance(error, yaml.MarkedYAMLError):
        if "nesting depth" in (error.problem or "") and error.problem_mark is not None:
            # libyaml 0.2.6 has a limit of its own, and scans ahead of the events that ours is held against.
            at = position(error.problem_mark)
            return file_finding("BM107", _TOO_DEEP, _FLATTER, name, at.line, at.column)
        said = Complaint(
            error.problem or "", error.context or "", error.problem_mark, error.context_mark, feed.line_text
        )
        return explained(said, name)
    if isinstance(error, yaml.reader.ReaderError):
        line, column = feed.position(error.position, in_bytes=HAS_LIBYAML)
        character = error.character if isinstance(error.character, int) else ord(error.character[:1] or "\0")
        hint = "remove it, or write it as an escape in double quotes"
        return file_finding("BM103", f"the control character U+{character:04X} stands here", hint, name, line, column)
    return file_finding("BM103", "the YAML is not well-formed", "look for wrong escapes and over-long numbers", name)


def _events(text: str) -> list[Event]:
    """The events of one value's text, without those of its stream and document; what comes before an error."""
    events: list[Event] = []
    get = _parser(io.StringIO(text))
    try:
        get(), get()
        while type(event := get()) not in (DocumentEndEvent, StreamEndEvent, type(None)):
            events.append(event)
    except (yaml.YAMLError, ValueError, OverflowError):
        pass
    return events


class _Document:
    """One document's reading. Its methods follow the parser: each takes the event that begins what it reads."""

    def __init__(self, get: Callable[[], Event], feed: YamlFeed, name: str) -> None:
        self.findings: list[Diagnostic] = []
        self._get = get
        self._feed = feed
        self._name = name
        self._last: Event = None
        self._known: set[str] = set()
        self._anchors: dict[str, Anchor] = {}
        self._lookups = 0
        self._expanded = 0
        self._expanded_chars = 0
        self._held = 0
        self._deepest = 0
        self._lists_at = 0  # the depth of lists that are entries' own, whose items' lines are kept with their places
        self._lists: dict[int, array[int]] = {}

    # The document's top: what is yielded.

    def nodes(self, streams: frozenset[str], stop: bool) -> Iterator[Node | Diagnostic]:
        get = self._get
        get()
        if type(get()) is StreamEndEvent:
            yield self._not_a_batch("the file is empty", None)
            return
        self._feed.prolog = False
        root = get()
        if type(root) is MappingStartEvent:
            self._open_root(root, "map")
            if (yield from self._fields(streams, stop)):
                return
        elif type(root) is SequenceStartEvent:
            self._open_root(root, "seq")
            yield from self._items(())
        else:
            get()  # a mistake that made a text of it all, such as `name:value`, shows here and is told instead
            what = "holds nothing but comments" if getattr(root, "value", "x") == "" else "is one single value"
            yield self._not_a_batch(f"the file {what}", root)
            return
        yield from self._end()

    def _open_root(self, root: Event, core: str) -> None:
        if refusal := collection_tag(root.tag, core):
            self._refuse(refusal, root)
        if root.anchor is not None:
            self._anchors[root.anchor] = Anchor(None, state="open")

    def _end(self) -> Iterator[Diagnostic]:
        yield from self._taken()
        self._get()
        self._feed.prolog = True
        event = self._get()
        if type(event) is DocumentStartEvent:
            at = position(event.start_mark)
            yield file_finding(
                "BM108",
                "a second YAML document begins here",
                "put all entries under one `messages:` or `tickets:` and remove the `---`, or make two files",
                self._name,
                at.line,
                at.column,
            )

    def _not_a_batch(self, message: str, event: Event | None) -> Diagnostic:
        at = position(event.start_mark) if event else Position(1, 1)
        hint = "a batch is a mapping with `version: 1` and `messages:` or `tickets:`; a file named by `from:` is a list"
        return file_finding("BM109", message, hint, self._name, at.line, at.column)

    def _fields(self, streams: frozenset[str], stop: bool) -> Generator[Node | Diagnostic, None, bool]:
        """The fields of a top-level mapping; the generator's value is whether it stopped before a stream."""
        seen: dict[str, Position] = {}
        while True:
            name = self._get()
            if type(name) is MappingEndEvent:
                return False
            self._begin(name)
            key = self._top_key(name, seen)
            event = self._get()
            self._begin(event)
            streamed = key is not None and key in streams and self._is_list(event)
            if streamed and stop:
                return True
            if streamed and type(event) is SequenceStartEvent:
                yield from self._stream(str(key), event)
            else:
                yield from self._field(key, name, event, streamed)

    def _field(self, key: str | None, name: Event, event: Event, streamed: bool) -> Iterator[Node | Diagnostic]:
        """A top-level field that is read whole: a header field, or an alias to a list of entries."""
        value = self._value(event, 2)
        place = self._place(event, position(name.start_mark))
        if self.findings or key is None:
            yield from self._taken((key,) if key is not None else ())
        elif streamed:
            at = position(event.start_mark)
            spot = Spot(self._name, at.line, at.column)
            yield from (self._node((key, index), item, spot) for index, item in enumerate(value))
        else:
            yield self._node((key,), value, place)

    def _top_key(self, event: Event, seen: dict[str, Position]) -> str | None:
        key = self._key(event, 1)
        at = position(event.start_mark)
        if key is _MERGE:
            message = "a merge key `<<` does not work on the top level"
            self._find("BM103", message, "write the fields out, or merge inside them", at)
            return None
        if not isinstance(key, str):
            return None
        if key in seen:
            self._twice(key, at, seen[key])
            return None
        seen[key] = at
        if len(seen) > MAX_FIELDS:
            raise self._budget(f"the document has more than {MAX_FIELDS:,} fields on its top level", event)
        return key

    def _is_list(self, event: Event) -> bool:
        if type(event) is not AliasEvent:
            return type(event) is SequenceStartEvent
        anchor = self._anchors.get(str(event.anchor))
        return anchor is not None and isinstance(anchor.value, list)

    def _stream(self, key: str, event: Event) -> Iterator[Node | Diagnostic]:
        if refusal := collection_tag(event.tag, "seq"):
            self._refuse(refusal, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = Anchor(None, state="streamed")
        yield from self._taken()
        yield from self._items((key,))

    def _items(self, path: Path) -> Iterator[Node | Diagnostic]:
        """The items of a list whose first event was read."""
        index = 0
        depth = len(path) + 2
        self._lists_at = depth + 1
        get = self._get
        yield from self._taken()
        while True:
            event = get()
            if type(event) is SequenceEndEvent:
                return
            self._begin(event)
            value = self._value(event, depth)
            if self.findings:
                yield from self._taken((*path, index))
            else:
                yield self._node((*path, index), value, self._place(event, lists=value))
            index += 1

    def _place(self, event: Event, key: Position | None = None, lists: Json = None) -> YamlPlace:
        """The place of the value that began with `event` and ended with the last event read; `lists` is an entry."""
        feed = self._feed
        # A header field's place is asked when entries were read, whose anchors may bear the same names.
        anchors = dict(self._anchors) if key is not None and self._anchors else self._anchors
        end = self._last.end_mark
        lines = None
        if self._lists and isinstance(lists, dict):
            lines = {name: self._lists[id(item)] for name, item in lists.items() if id(item) in self._lists}
        return YamlPlace(self._name, event.start_mark, end, feed.texts, feed.base, _events, key, anchors, lines)

    def _node(self, path: Path, value: Json, place: Place) -> Node:
        return Node(path, _restored(value) if self._feed.swapped else value, place)

    # One entry.

    def _begin(self, event: Event) -> None:
        """A new entry begins with `event`: its own share of the budget, and its text is kept from here on."""
        feed, mark = self._feed, event.start_mark
        self._expanded_chars = 0
        self._lookups = 0
        self._lists.clear()
        feed.begun = mark.index
        feed.closed_before = feed.closed
        feed.origin = mark

    def _taken(self, path: Path = ()) -> list[Diagnostic]:
        """The findings so far, all of them inside the value at `path`."""
        taken, self.findings = self.findings, []
        return [replace(found, path=path_text(path)) for found in taken] if path else taken

    def _value(self, event: Event, depth: int) -> Json:
        """The value that begins with `event`, `depth` counts the levels if it is a collection."""
        kind = type(event)
        self._last = event
        if kind is MappingStartEvent and event.anchor is None and event.tag is None:
            return self._mapping(event, depth)
        if kind is AliasEvent:
            return self._alias(event, depth)
        if event.anchor is not None:
            return self._anchored(event, depth)
        return self._bare(event, depth)

    def _bare(self, event: Event, depth: int) -> Json:
        """A value without regard to its anchor."""
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is MappingStartEvent:
            if event.tag is not None and (refusal := collection_tag(event.tag, "map")):
                self._refuse(refusal, event)
            return self._mapping(event, depth)
        if event.tag is not None and (refusal := collection_tag(event.tag, "seq")):
            self._refuse(refusal, event)
        return self._sequence(depth)

    def _scalar(self, event: Event) -> Json:
        text = event.value
        if "\0" in text:
            at = position(event.start_mark)
            self._add(nul(self._name, at.line, at.column))
            return text
        if event.tag is not None:
            value = tagged(text, event.tag)
        elif event.style:
            return text
        else:
            value = plain(text)
        if isinstance(value, Refusal):
            self._refuse(value, event)
            return None
        return value

    def _sequence(self, depth: int) -> list[Json]:
        if depth > self._deepest:
            self._deeper(depth)
        get, feed = self._get, self._feed
        result: list[Json] = []
        lines = array("L")
        if depth == self._lists_at:
            self._lists[id(result)] = lines  # the list is the entry's own, and lives as long as that
        feed.open.append(result)
        while True:
            event = get()
            if type(event) is SequenceEndEvent:
                break
            lines.append(event.start_mark.line + 1)
            result.append(self._value(event, depth + 1))
        feed.open.pop()
        feed.closed += len(result)
        self._last = event
        return result

    def _mapping(self, start: Event, depth: int) -> dict[str, Json]:
        # The loop most of a file goes through: text that needs no second look is settled here, all else in methods.
        if depth > self._deepest:
            self._deeper(depth)
        get, feed, known = self._get, self._feed, self._known
        result: dict[str, Json] = {}
        feed.open.append(result)
        merges: list[Json] | None = None
        while True:
            name = get()
            if type(name) is ScalarEvent and (key := name.value) in known and name.anchor is None and name.tag is None:
                pass
            elif type(name) is MappingEndEvent:
                break
            else:
                key = self._key(name, depth)
            event = get()
            if type(event) is not ScalarEvent or event.anchor is not None or event.tag is not None:
                value = self._value(event, depth + 1)
            else:
                value = event.value
                if event.style:
                    if "\0" in value:
                        value = self._scalar(event)
                elif value[:1] in STARTERS:
                    value = self._scalar(event)
            if key in result:
                self._twice(key, position(name.start_mark), self._first(key, start, name))
            elif type(key) is str:
                result[key] = value
            elif key is _MERGE:
                merges = self._merged(merges, value, name, event)
        feed.open.pop()
        feed.closed += len(result)
        self._last = name
        return _merge(result, merges) if merges else result

    def _deeper(self, depth: int) -> None:
        self._deepest = depth
        if depth > MAX_DEPTH:
            raise self._budget(_TOO_DEEP, self._last)

    # Keys.

    def _key(self, event: Event, depth: int) -> Any:
        """The text of a key, `_MERGE` for a merge key, or None with a finding."""
        if is_merge(event):
            return _MERGE
        before = len(self.findings)
        value = self._value(event, depth + 1)
        if isinstance(value, str):
            usual = value.isascii() and value != "<<" and plain(value) == value and len(self.findings) == before
            if usual and len(self._known) < _MAX_KNOWN:
                self._known.add(value)  # text, quoted or not, so that the next one needs no look
            return restored(value)
        if len(self.findings) == before:
            self._find("BM103", *_key_trouble(event, value), position(event.start_mark))
        return None

    def _twice(self, key: str, at: Position, first: Position | None) -> None:
        where = f"first on line {first.line}, column {first.column}, and again" if first else "again"
        message = f"the key `{shown(key)}` is given twice: {where} on line {at.line}, column {at.column}"
        self._find("BM104", message, "keep one of them", at)

    def _first(self, key: str, start: Event, again: Event) -> Position | None:
        """Where the key that stands at `again` stood first in the mapping that begins with `start`."""
        span = again.end_mark.index - start.start_mark.index
        if self._lookups >= _MAX_LOOKUPS or span > _MAX_LOOKUP:
            return None
        self._lookups += 1
        place = YamlPlace(self._name, start.start_mark, again.end_mark, self._feed.texts, self._feed.base, _events)
        return place.at((key,), name=True)

    def _merged(self, merges: list[Json] | None, value: Json, name: Event, event: Event) -> list[Json]:
        if merges is not None:
            self._find(
                "BM104", "the merge key `<<` is given twice", "merge a list: `<<: [*a, *b]`", position(name.start_mark)
            )
            return merges
        found = value if isinstance(value, list) else [value]
        if value is None and self.findings:
            return []  # an alias that was refused already
        if not found or not all(isinstance(item, dict) for item in found):
            message = "a merge key `<<` takes a mapping or a list of mappings"
            self._find("BM103", message, "write `<<: *name` or `<<: [*one, *two]`", position(event.start_mark))
            return []
        return found

    # Anchors and aliases.

    def _anchored(self, event: Event, depth: int) -> Json:
        name = event.anchor
        anchor = Anchor(None, state="open")
        self._held -= self._anchors[name].held if name in self._anchors else 0
        self._anchors[name] = anchor
        closed, expanded, chars = self._feed.closed, self._expanded, self._expanded_chars
        deepest, self._deepest = self._deepest, depth - 1
        anchor.value = self._bare(event, depth)
        anchor.depth = self._deepest - depth + 1
        self._deepest = max(deepest, self._deepest)
        anchor.held = self._feed.closed - closed + 1
        anchor.nodes = anchor.held + self._expanded - expanded
        size: int = self._last.end_mark.index - event.start_mark.index
        anchor.chars = size + self._expanded_chars - chars
        anchor.state = "ready"
        anchor.start, anchor.end = event.start_mark, self._last.end_mark
        if size <= _MAX_ANCHOR_TEXT:
            anchor.text = self._feed.between(anchor.start.index, anchor.end.index)
        self._hold(anchor, event)
        return anchor.value

    def _hold(self, anchor: Anchor, event: Event) -> None:
        # A character weighs less than a value; this keeps both within tens of megabytes.
        anchor.held += anchor.chars >> 8
        self._held += anchor.held
        if self._held > MAX_HELD:
            raise self._budget("anchors (`&name`) hold more than can be kept", event)

    def _alias(self, event: Event, depth: int) -> Json:
        anchor = self._anchors.get(event.anchor)
        if anchor is None or anchor.state != "ready":
            self._find(*_alias_trouble(event.anchor, anchor), position(event.start_mark))
            return None
        self._expanded += anchor.nodes
        self._expanded_chars += anchor.chars
        allowed = max(MAX_EXPANSION, EXPANSION_RATIO * self._feed.closed)
        if self._expanded > allowed or self._expanded_chars > MAX_ENTRY:
            raise self._budget("aliases (`*name`) repeat more than is allowed", event)
        if depth + anchor.depth - 1 > self._deepest:
            self._deeper(depth + anchor.depth - 1)
        return anchor.value

    # Findings.

    def _budget(self, message: str, event: Event) -> Unreadable:
        at = position(event.start_mark)
        return Unreadable(file_finding("BM107", message, _FLATTER, self._name, at.line, at.column))

    def _refuse(self, refusal: Refusal, event: Event) -> None:
        self._find(refusal.rule, refusal.message, refusal.hint, position(event.start_mark))

    def _find(self, rule: str, message: str, hint: str, at: Position) -> None:
        self._add(file_finding(rule, message, hint, self._name, at.line, at.column))

    def _add(self, found: Diagnostic) -> None:
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(found)


_MERGE = object()


def _merge(result: dict[str, Json], merges: list[Json]) -> dict[str, Json]:
    """What stands in the mapping itself wins; of several merged mappings the first."""
    for merged in merges:
        for key, value in merged.items():
            result.setdefault(key, value)
    return result


def _key_trouble(event: Event, value: Json) -> tuple[str, str]:
    if type(event) is MappingStartEvent and event.flow_style:
        return "a field's name is a mapping here", 'a text that begins with `{{` must be quoted: "{{ name }}"'
    if isinstance(value, dict | list):
        return "a field's name is a list or a mapping here", "names are text; check the dashes and the indentation"
    text = getattr(event, "value", "")
    if text == "":
        return (
            "a field's name is missing before the colon",
            "write `name: value`; a text that begins with a colon must be quoted",
        )
    return f"the name `{shown(text)}` is not text", f"quote it: '{shown(text, 40)}':"


def _alias_trouble(name: str, anchor: Anchor | None) -> tuple[str, str, str]:
    label = shown(name)
    if anchor is None:
        hint = f"define it above with `&{label}`; a text that begins with * must be quoted"
        return "BM103", f"the alias `*{label}` names no anchor above it", hint
    if anchor.state == "open":
        return (
            "BM107",
            f"the alias `*{label}` stands inside the very value it repeats",
            "a value cannot hold itself: remove the alias",
        )
    return (
        "BM107",
        f"the alias `*{label}` repeats a whole list of entries",
        "entries are read once, one by one: write them out, or use `from:`",
    )


def _restored(value: Json) -> Json:
    """The value with its line characters back, which keys have already; see `yaml_place`."""
    if isinstance(value, str):
        return restored(value)
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    return [_restored(item) for item in value] if isinstance(value, list) else value
