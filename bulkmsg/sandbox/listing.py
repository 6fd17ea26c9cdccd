"""Paging: opaque keyset cursors for most lists, page numbers for the deprecated list of a ticket's messages.

Gorgias reference, "List messages" and "Pagination": cursor, limit 1..100 (default 30), order_by; a null
next_cursor ends the list. Example cursors there are base64 of `prev__<id>__<time>`, hence keysets.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulkmsg.sandbox.wire import Answer, Call, Json, Problems, answer, refusal

Key = tuple[str, int]
"""What a list is ordered by: a text (mostly a time), then the id."""
PER_PAGE = 30
FIRST: Key = ("", 0)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    field: str
    descending: bool
    limit: int
    cursor: tuple[str, Key] | None = None
    """Direction (`next` or `prev`) and the key of the item it starts beyond."""


def encode(direction: str, key: Key) -> str:
    return base64.urlsafe_b64encode(f"{direction}__{key[1]}__{key[0]}".encode()).decode()


def decode(text: str) -> tuple[str, Key] | None:
    """A cursor that was given out, or None for anything else. `start` means the first page."""
    try:
        direction, number, value = base64.urlsafe_b64decode(text.encode()).decode().split("__", 2)
        return (direction, (value, int(number))) if direction in ("next", "prev") else None
    except (ValueError, binascii.Error):
        return None


def read(call: Call, filters: Iterable[str], fields: Sequence[str] = ("created_datetime",)) -> Page | Problems:
    """The page that a query asks for, or what is wrong with the query."""
    query = {name: values[-1] for name, values in call.query.items()}
    known = {"cursor", "limit", "order_by", *filters}
    problems: Problems = {name: ["Unsupported argument."] for name in query if name not in known}
    limit = query.get("limit", str(PER_PAGE))
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        problems["limit"] = ["Must be between 1 and 100."]
    field, _, direction = query.get("order_by", f"{fields[0]}:desc").partition(":")
    if field not in fields or direction not in ("asc", "desc"):
        problems["order_by"] = ["Not a valid choice."]
    text = query.get("cursor", "")
    cursor = decode(text) if text and text != "start" else None
    if text and text != "start" and cursor is None:
        problems["cursor"] = ["Invalid cursor."]
    return problems or Page(field, direction == "desc", int(limit), cursor)


def cut(items: list[Json], page: Page) -> tuple[list[Json], str | None, str | None]:
    """One page of the items, with the cursors before and after it."""

    def key(item: Json) -> Key:
        return (str(item.get(page.field) or ""), item["id"])

    ordered = sorted(items, key=key, reverse=page.descending)
    start, end = _bounds([key(item) for item in ordered], page)
    rows = ordered[start:end]
    before = encode("prev", key(rows[0])) if rows and start > 0 else None
    after = encode("next", key(rows[-1])) if rows and end < len(ordered) else None
    return rows, before, after


def _bounds(keys: list[Key], page: Page) -> tuple[int, int]:
    if page.cursor is None:
        return 0, min(page.limit, len(keys))
    direction, at = page.cursor
    beyond: Callable[[Key], bool] = (lambda k: k < at) if page.descending else (lambda k: k > at)
    if direction == "next":
        start = next((i for i, k in enumerate(keys) if beyond(k)), len(keys))
        return start, min(start + page.limit, len(keys))
    end = next((i for i, k in enumerate(keys) if k == at or beyond(k)), len(keys))
    return max(0, end - page.limit), end


def listed(
    call: Call,
    items: list[Json],
    filters: Iterable[str] = (),
    fields: Sequence[str] = ("created_datetime",),
    more_meta: Mapping[str, Any] | None = None,
    show: Callable[[Json], Json] = lambda item: item,
) -> Answer:
    """A list envelope, or 400 for a query that the list does not know."""
    page = read(call, filters, fields)
    if not isinstance(page, Page):
        return refusal(400, "Invalid arguments.", page)
    rows, before, after = cut(items, page)
    meta = {"prev_cursor": before, "next_cursor": after, **(more_meta or {})}
    return answer({"object": "list", "uri": call.uri, "data": [show(row) for row in rows], "meta": meta})


def numbered(call: Call, ticket_id: int, items: list[Json]) -> Answer:
    """The deprecated list of a ticket's messages: oldest first, by page number; a cursor is ignored."""
    wanted = call.query.get("page", ["1"])[-1]
    page = int(wanted) if wanted.isdigit() and int(wanted) > 0 else 1
    ordered = sorted(items, key=lambda m: (m["sent_datetime"] or m["created_datetime"], m["id"]))
    meta = {
        "page": page,
        "per_page": PER_PAGE,
        "current_page": f"/api/tickets/{ticket_id}/messages/?page={page}",
        "item_count": len(ordered),
        "nb_pages": max(1, -(-len(ordered) // PER_PAGE)),
    }
    rows = ordered[(page - 1) * PER_PAGE : page * PER_PAGE]
    return answer({"data": rows, "object": "list", "uri": call.uri, "meta": meta})
