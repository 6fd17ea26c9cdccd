"""The API's requests as they are written, and its listings as they are read. Pure: nothing is sent here.

Paths are built from checked integers and constants; text of the user's appears only in queries and bodies, encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from bulkmsg.message import Upload
from bulkmsg.ports import Reply, Request
from bulkmsg.settings import LOOPBACK
from bulkmsg.source import Json

PAGE_SIZE = 100  # Gorgias reference, "List messages": limit 1 to 100


def create(ticket: int | None, payload: bytes) -> Request:
    """The request that creates a message in a ticket, or, without one, a new ticket with its messages."""
    if ticket is not None:
        return Request("POST", f"/api/tickets/{_id(ticket)}/messages", body=payload)
    return Request("POST", "/api/tickets", body=payload)


def update_ticket(ticket: int, fields: bytes) -> Request:
    """The request that sets fields of a ticket; others stay (Gorgias reference, "Update a ticket"). It sends nothing
    to anybody, and doing it twice is doing it once."""
    return Request("PUT", f"/api/tickets/{_id(ticket)}", body=fields)


def list_messages(ticket: int, next_page: tuple[str, str] | None = None) -> Request:
    """A page of a ticket's messages, oldest first (Gorgias reference, "List messages").

    The other listing, under `/tickets/{id}/messages`, is deprecated and was seen to page by number.
    """
    query = (("ticket_id", str(_id(ticket))), ("limit", str(PAGE_SIZE)), ("order_by", "created_datetime:asc"))
    return Request("GET", "/api/messages", query + ((next_page,) if next_page else ()))


def get_ticket(ticket: int) -> Request:
    return Request("GET", f"/api/tickets/{_id(ticket)}")


def find_tickets(external_id: str, next_page: tuple[str, str] | None = None, *, trashed: bool = True) -> Request:
    """Tickets with an external id (Gorgias reference, "List tickets": those in the trash are included by default)."""
    query: tuple[tuple[str, str], ...] = (("external_id", external_id), ("limit", str(PAGE_SIZE)))
    if not trashed:
        query += (("trashed", "false"),)
    return Request("GET", "/api/tickets", query + ((next_page,) if next_page else ()))


def upload(file: Upload) -> Request:
    """The request that uploads a file; `attachment` is the private kind (Gorgias reference, "Upload files")."""
    return Request("POST", "/api/upload", (("type", "attachment"),), upload=file)


def read_upload(reply: Reply, file: Upload) -> dict[str, Json] | str:
    """What goes into `attachments` for a file that was uploaded; or why this answer is none, for a person.

    The answer is a list with one `{content_type, name, size, url}`; `size` was seen as text as well. The name stays
    the one that the batch gives, and a field that is not as documented is ours.
    """
    items = reply.json if reply.is_json and isinstance(reply.json, list) else []
    item = items[0] if len(items) == 1 and isinstance(items[0], dict) else {}
    url = item.get("url")
    if not isinstance(url, str) or not _is_safe_address(url):
        return f"the helpdesk answered {reply.status} to an upload without the address of the file"
    kind, size = item.get("content_type"), str(item.get("size"))
    return {
        "url": url,
        "name": file.name,
        "content_type": kind
        if isinstance(kind, str) and 0 < len(kind) <= 255 and kind.isprintable()
        else file.content_type,
        "size": int(size) if size.isascii() and size.isdecimal() and len(size) <= 16 else file.size,
    }


def _is_safe_address(url: str) -> bool:
    """An https address, or one of this machine, where a sandbox is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = url.isprintable() and " " not in url and "@" not in parts.netloc and len(url) <= 4096
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return plain and safe and bool(parts.hostname)


def get_account() -> Request:
    return Request("GET", "/api/account")


def get_me() -> Request:
    """The user whom the credentials belong to; some accounts answer 404 (seen in extractors' code)."""
    return Request("GET", "/api/users/0")


class Listing(StrEnum):
    """Lists of an account, each with its path.

    Users and integrations are documented (Gorgias reference, "List users", "List integrations"). Of teams, tags and
    rules this project knows no page of the reference: whoever reads them must bear any answer.
    """

    USERS = "users"
    INTEGRATIONS = "integrations"
    RULES = "rules"
    TEAMS = "teams"
    TAGS = "tags"


def list_of(listing: Listing, next_page: tuple[str, str] | None = None) -> Request:
    """A page of one of the account's lists."""
    return Request("GET", f"/api/{listing.value}", (("limit", str(PAGE_SIZE)), *((next_page,) if next_page else ())))


def find_users(email: str) -> Request:
    """Users with an address (Gorgias reference, "List users")."""
    return Request("GET", "/api/users", (("email", email),))


def get_user(number: int) -> Request:
    """A user by id; under the same path extractors read themselves as user 0."""
    return Request("GET", f"/api/users/{_id(number)}")


def _id(number: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError("a ticket's id is a whole number above zero")
    return number


def integer_id(value: Json) -> int | None:
    """An id as the API gives it: an integer above zero, and nothing that only looks like one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: its items, and the query part that asks for the next; None at the end."""

    items: list[dict[str, Json]]
    next: tuple[str, str] | None


def read_page(reply: Reply) -> Page | str:
    """A page of a listing, by cursor or by number; or why this answer is none, for a person.

    "By number" was recorded for the deprecated listing; an answer that says neither and is full may have been cut.
    """
    if not 200 <= reply.status < 300 or not reply.is_json:
        return f"the listing answered {reply.status or reply.reason}"
    body = reply.json
    data = body if isinstance(body, list) else body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        return "the listing is not in the form that the API documents"
    meta = body.get("meta") if isinstance(body, dict) else None
    following = _next(meta if isinstance(meta, dict) else {})
    if isinstance(following, str) and len(data) >= PAGE_SIZE:
        return following
    return Page(data, None if isinstance(following, str) else following)


def _next(meta: dict[str, Json]) -> tuple[str, str] | str | None:
    """The query part that asks for the next page, None after the last; or the words for an answer that does not say."""
    cursor = meta.get("next_cursor")
    if isinstance(cursor, str) and cursor:
        return "cursor", cursor
    current, pages = meta.get("current_page", meta.get("page")), meta.get("nb_pages")
    if isinstance(current, int) and isinstance(pages, int):
        return ("page", str(current + 1)) if current < pages else None
    return None if "next_cursor" in meta else "the listing is full and does not say whether more follows"


def error_text(reply: Reply) -> str:
    """What the helpdesk said of a refusal: `error.msg` and the fields it names; both forms of `error` are met."""
    error = reply.json.get("error") if isinstance(reply.json, dict) else None
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return f"the helpdesk answered {reply.status}"
    said = str(error.get("msg") or error.get("message") or f"the helpdesk answered {reply.status}")
    data = error.get("data")
    if isinstance(data, dict) and data:
        said += " " + "; ".join(f"{name}: {_flat(value)}" for name, value in list(data.items())[:10])
    return said


def named_messages(reply: Reply) -> dict[int, str]:
    """Which messages of a refused new ticket the helpdesk names, by their place from 0, and what it says of each.

    `error.data` "may nest along the body" (Gorgias reference, "Errors"); both an object by place and a list are read.
    """
    error = reply.json.get("error") if isinstance(reply.json, dict) else None
    data = error.get("data") if isinstance(error, dict) else None
    told = data.get("messages") if isinstance(data, dict) else None
    if isinstance(told, dict):
        places = [(int(name), what) for name, what in told.items() if name.isdecimal() and len(name) < 4]
    elif isinstance(told, list) and all(isinstance(item, dict | None) for item in told):
        places = list(enumerate(told))
    else:
        return {}
    msg = error.get("msg") if isinstance(error, dict) else None
    said = f"{msg} " if isinstance(msg, str) else ""
    return {place: said + _flat(what) for place, what in places if what}


def _flat(value: Json) -> str:
    if isinstance(value, list):
        return " ".join(_flat(item) for item in value[:5])
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_flat(item)}" for name, item in list(value.items())[:5])
    return str(value)
