"""The page that shows the tickets as an agent would see them. Bodies are shown as text, never as HTML."""

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


def _message(message: Json) -> Json:
    kind = "note" if message["channel"] == NOTE else "outgoing" if message["from_agent"] else "incoming"
    person = message["sender"] or {}
    source = message["source"] or {}
    ends = [each.get("address") for end in ("to", "cc", "bcc") for each in source.get(end) or ()]
    return {
        "kind": kind,
        "who": person.get("name") or person.get("email") or "somebody",
        "to": ", ".join(address for address in ends if address),
        "text": message["body_text"] or plain(message["body_html"] or "") or "(no text)",
        "when": message["created_datetime"][:16].replace("T", " "),
        "channel": message["channel"],
        "failed": (message["last_sending_error"] or {}).get("error") if message["failed_datetime"] else None,
        "files": [attachment["name"] for attachment in message["attachments"] or ()],
        "id": message["id"],
    }


def _ticket(ticket: Ticket, mailed: set[int]) -> Json:
    data, customer = ticket.data, ticket.customer
    ordered = sorted(ticket.messages, key=lambda m: (m.data["created_datetime"], m.data["id"]))
    messages = [{**_message(m.data), "mailed": m.data["id"] in mailed} for m in ordered]
    return {
        "id": data["id"],
        "subject": data["subject"] or "(no subject)",
        "status": "trashed" if data["trashed_datetime"] else data["status"],
        "external_id": data["external_id"],
        "tags": [tag["name"] for tag in data["tags"]],
        "customer": (customer.data["name"] or customer.data["email"]) if customer else "nobody yet",
        "messages": messages,
    }


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
        page=page,
        pages=pages,
    )
