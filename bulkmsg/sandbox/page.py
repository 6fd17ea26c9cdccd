"""The page that shows the tickets as an agent would see them.

HTML bodies stand in frames that run no script and, by the policy that they take over from the page, load nothing.
"""

import json
from html.parser import HTMLParser

from jinja2 import Environment, PackageLoader, select_autoescape

from bulkmsg.sandbox.model import Helpdesk, Ticket
from bulkmsg.sandbox.rules import NOTE
from bulkmsg.sandbox.wire import Json

TICKETS_A_PAGE = 50
_BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "blockquote"})
_SILENT = frozenset({"script", "style", "head", "title"})


class _Text(HTMLParser):
    """Collects the words of an HTML body."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in _SILENT
        if tag in _BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.silent = max(0, self.silent - (tag in _SILENT))

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(data)


def plain(html: str) -> str:
    """The words of an HTML body."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    return "".join(reader.parts).strip()


# What an HTML body is shown with: mail is written for a white page.
_FRAME = (
    '<!doctype html><meta charset="utf-8"><style>:root{color-scheme:light}body{margin:.6rem;background:#fff;color:#222;'
    "font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}img{max-width:100%}</style>"
)
_LINE, _LEAST_LINES, _MOST_LINES = 80, 3, 24


def _height(text: str) -> int:
    """About how many lines a body takes, so that a frame, which cannot grow with it, fits short ones."""
    lines = sum(1 + len(line) // _LINE for line in text.split("\n"))
    return min(max(lines + 1, _LEAST_LINES), _MOST_LINES)


def _addresses(source: Json) -> dict[str, str]:
    return {
        end: ", ".join(each["address"] for each in source.get(end) or () if each.get("address"))
        for end in ("to", "cc", "bcc")
    }


def _file(attachment: Json) -> str:
    """`invoice.pdf (application/pdf, 12,345 bytes)`, as far as it is told."""
    size = attachment.get("size")
    told = [attachment.get("content_type"), f"{size:,} bytes" if isinstance(size, int) else None]
    more = ", ".join(each for each in told if each)
    return f"{attachment.get('name') or 'a file without a name'}" + (f" ({more})" if more else "")


def _message(message: Json, subject: str) -> Json:
    kind = "note" if message["channel"] == NOTE else "outgoing" if message["from_agent"] else "incoming"
    person, source, html = message["sender"] or {}, message["source"] or {}, message["body_html"] or ""
    words = plain(html)
    return {
        "kind": kind,
        "who": person.get("name") or person.get("email") or "somebody",
        "address": person.get("email") if person.get("name") else None,
        **_addresses(source),
        "subject": message["subject"] if message["subject"] != subject else None,
        "text": message["body_text"] or words or "(no text)",
        "html": _FRAME + html if html else None,
        "height": _height(words),
        "when": message["created_datetime"][:16].replace("T", " "),
        "channel": message["channel"],
        "failed": (message["last_sending_error"] or {}).get("error") if message["failed_datetime"] else None,
        "files": [_file(attachment) for attachment in message["attachments"] or ()],
        "id": message["id"],
    }


def _ticket(ticket: Ticket, mailed: set[int]) -> Json:
    data, customer = ticket.data, ticket.customer
    ordered = sorted(ticket.messages, key=lambda m: (m.data["created_datetime"], m.data["id"]))
    messages = [{**_message(m.data, data["subject"]), "mailed": m.data["id"] in mailed} for m in ordered]
    return {
        "id": data["id"],
        "subject": data["subject"] or "(no subject)",
        "status": "trashed" if data["trashed_datetime"] else data["status"],
        "priority": data["priority"] if data["priority"] != "normal" else None,
        "assignee": _assignee(data["assignee_user"]),
        "external_id": data["external_id"],
        "tags": [tag["name"] for tag in data["tags"]],
        "customer": _person(customer.data) if customer else "nobody yet",
        "messages": messages,
        "mailed": sum(each["mailed"] for each in messages),
    }


def _person(data: Json) -> str:
    name, email = data["name"], data["email"]
    return f"{name} <{email}>" if name and email else name or email or f"customer {data['id']}"


def _assignee(reference: Json | None) -> str | None:
    if not reference:
        return None
    return reference.get("name") or reference.get("email") or f"user {reference.get('id')}"


def _refusal(refused: Json) -> Json:
    """A request that was refused: what it was about, and what was answered."""
    sent, said = _object(refused["sent"]), _object(refused["said"])
    error = said.get("error") or {}
    data = json.dumps(error.get("data"), ensure_ascii=False) if error.get("data") else ""
    first: Json = next(iter(sent.get("messages") or [{}]), {})
    return {
        "what": sent.get("subject") or first.get("subject") or "(no subject)",
        "external_id": sent.get("external_id"),
        "to": refused["to"],
        "status": refused["status"],
        "said": f"{error.get('msg') or ''} {data}".strip(),
    }


def _object(body: bytes) -> Json:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_ENVIRONMENT = Environment(
    loader=PackageLoader("bulkmsg.sandbox", "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(desk: Helpdesk, page: int = 1) -> str:
    """The page, with the tickets of one page of tickets, latest first."""
    tickets = sorted(desk.tickets.values(), key=lambda t: (t.data["updated_datetime"] or "", t.id), reverse=True)
    pages = max(1, -(-len(tickets) // TICKETS_A_PAGE))
    page = min(max(1, page), pages)
    mailed = {entry["message_id"] for entry in desk.post.outbox}
    people = {address for entry in desk.post.outbox for end in ("to", "cc", "bcc") for address in entry[end]}
    shown = tickets[(page - 1) * TICKETS_A_PAGE : page * TICKETS_A_PAGE]
    return _ENVIRONMENT.get_template("page.html").render(
        account=desk.settings.account,
        tickets=[_ticket(ticket, mailed) for ticket in shown],
        total=len(tickets),
        messages=len(desk.messages),
        outbox=desk.post.outbox,
        people=len(people),
        refusals=[_refusal(each) for each in desk.refusals],
        page=page,
        pages=pages,
    )
