"""What a Zendesk record is by its looks, which ticket a page of comments belongs to, and whether pages are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from bulkmsg.converters.texts import id_text, mapping
from bulkmsg.converters.words import Note
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

_STREAMS = {
    "ticket": "ticket",
    "tickets": "ticket",
    "comment": "comment",
    "comments": "comment",
    "ticket_comments": "comment",
    "audit": "audit",
    "audits": "audit",
    "ticket_audits": "audit",
    "ticket_events": "ticket_event",
    "user": "user",
    "users": "user",
    "organizations": "organization",
    "organization": "organization",
    "groups": "group",
}
_OF_TICKET = re.compile(r"/tickets/(\d+)/(?:comments|audits)")
_DIGITS_AT_END = re.compile(r"(\d+)$")


def kind_of(record: Record) -> str:
    """By the name of its list or stream, else by its fields."""
    value = record.value
    named = _STREAMS.get(record.stream)
    if named:
        return named
    if "child_events" in value:
        return "ticket_event"
    if "events" in value and ("ticket_id" in value or "author_id" in value):
        return "audit"
    if "requester_id" in value or ("subject" in value and "status" in value):
        return "ticket"
    if "role" in value or "role_type" in value:
        return "user"
    if "author_id" in value and not value.keys().isdisjoint(("body", "html_body", "plain_body", "public")):
        return "comment"
    if "domain_names" in value:
        return "organization"
    return "unknown"


@dataclass(slots=True)
class Pages:
    """Follows the pages of lists that are cut into pages. Keeps only those that wait for another."""

    _last: dict[str, Json] = field(default_factory=dict)
    _waiting: dict[str, tuple[str, int]] = field(default_factory=dict)  # a list, and its page that names a next one
    _ended: set[str] = field(default_factory=set)

    def see(self, record: Record) -> None:
        """Take in the page of a record, if it is a new one."""
        page = record.page
        if page is self._last or not page:
            return
        self._last = page
        meta = mapping(page.get("meta"))
        if not {"next_page", "meta", "end_of_stream"} & page.keys():
            return
        name = f"{record.stream} of ticket {ticket}" if (ticket := self.ticket_of(record)) else record.stream
        stream = page.get("end_of_stream")
        more = not stream if isinstance(stream, bool) else bool(meta.get("has_more") or page.get("next_page"))
        first = not page.get("previous_page") and not meta.get("before_cursor")
        if more and name not in self._ended:
            self._waiting[name] = (record.file, record.line)
        elif not more:
            self._waiting.pop(name, None)
            if not first:  # a list of one page has no other that could come later
                self._ended.add(name)

    def ticket_of(self, record: Record) -> str:
        """The ticket of a comment or audit: its own word, the ticket or the link on its page, or the file's name."""
        own = id_text(record.value.get("ticket_id")) or id_text(mapping(record.page.get("ticket")).get("id"))
        if own:
            return own
        for name in ("next_page", "previous_page", "url", "links"):
            found = _OF_TICKET.search(str(record.page.get(name) or ""))
            if found:
                return found.group(1)
        digits = _DIGITS_AT_END.search(PurePath(record.file).name.partition(".")[0])
        return digits.group(1) if digits else ""

    def close(self) -> Iterator[Note]:
        for name, (file, line) in self._waiting.items():
            yield Note("page-missing", f"{name}: the page at {file}:{line} names a next one, which is not there")
