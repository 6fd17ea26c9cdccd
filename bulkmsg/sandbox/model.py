"""The in-memory helpdesk: tickets, messages, people, outbox and history. It is told the time and does no I/O.

No de-duplication: the same external_id twice makes two messages, as Gorgias's reference knows no such rule.
Whether something new shows in a listing is for the reader to ask (`visible`), since listings may lag.
"""

from dataclasses import dataclass, field, replace

from bulkmsg.sandbox.clock import Moment, given
from bulkmsg.sandbox.mail import NO_MAILBOX, PostOffice, must_deliver
from bulkmsg.sandbox.people import Kind, People, Person, Tentative
from bulkmsg.sandbox.rules import NOTE, address
from bulkmsg.sandbox.settings import CUT_LENGTH, SandboxSettings
from bulkmsg.sandbox.shapes import blank_ticket, compact_ticket, full_ticket, new_message
from bulkmsg.sandbox.wire import Json, Problems, basic

FIRST_MESSAGE, FIRST_TICKET, FIRST_TAG = 700_000_001, 900_000_001, 1_800_001


@dataclass(slots=True)
class Message:
    """One message: what responses show, and when it came to be on the monotonic clock."""

    data: Json
    born: float


@dataclass(slots=True)
class Ticket:
    """One ticket. A virtual one stands for any id that exists by policy but was never written to."""

    data: Json
    born: float
    customer: Person | None = None
    messages: list[Message] = field(default_factory=list)
    virtual: bool = False

    @property
    def id(self) -> int:
        number: int = self.data["id"]
        return number


class Helpdesk:
    """The state, and every change to it."""

    def __init__(self, settings: SandboxSettings, start: Moment) -> None:
        self.settings, self.start = settings, start
        self.people = People(settings, start.stamp)
        self.tickets: dict[int, Ticket] = {}
        self.messages: dict[int, Message] = {}
        self.merged, self.deleted = dict(settings.merged), set(settings.deleted)
        self.tags = {name: FIRST_TAG + i for i, name in enumerate(settings.tags)}
        self.post = PostOffice(settings)
        self.history: list[Json] = []
        self.deletions: list[Json] = []
        self.uploads: list[Json] = []
        self.refusals: list[Json] = []
        self.next_message, self.next_ticket = FIRST_MESSAGE, FIRST_TICKET
        for number in settings.tickets:
            self.keep(self.virtual(number))

    def arrange(self, changes: Json) -> None:
        """Other people, mailboxes, rules or settings from now on, by the names of the settings."""
        self.settings = self.post.settings = replace(self.settings, **changes)
        if "agents" in changes:
            self.people.restrict(changes["agents"])
        for name in changes.get("tags", ()):
            self.tags.setdefault(name, FIRST_TAG + len(self.tags))

    @property
    def outbox(self) -> list[Json]:
        """What would have left for the world."""
        return self.post.outbox

    # -- finding ------------------------------------------------------------------------------------------

    def survivor(self, number: int) -> int | None:
        """The ticket that a merged one now is, at the end of the chain; None when it is not merged."""
        seen: set[int] = set()
        while number in self.merged and number not in seen:
            seen.add(number)
            number = self.merged[number]
        return number if seen else None

    def ticket(self, number: int) -> Ticket | None:
        """The ticket, or a virtual one where any id exists; None when deleted or unknown."""
        if number in self.deleted or number in self.merged or number < 1:
            return None
        known = self.tickets.get(number)
        return known or (self.virtual(number) if self.settings.auto_tickets else None)

    def virtual(self, number: int) -> Ticket:
        """A ticket that was there all along, still without messages."""
        born = self.start.mono - self.settings.list_lag
        return Ticket(blank_ticket(number, self.start.stamp), born, virtual=True)

    def named(self, external_id: str) -> Ticket:
        """A ticket with that external id that was there all along, still without messages."""
        ticket = self.keep(self.virtual(self._new_number()))
        ticket.data["external_id"] = external_id
        return ticket

    def _new_number(self) -> int:
        while self.next_ticket in self.tickets or self.next_ticket in self.deleted:
            self.next_ticket += 1
        self.next_ticket += 1
        return self.next_ticket - 1

    def keep(self, ticket: Ticket) -> Ticket:
        """Make a virtual ticket real."""
        ticket.virtual = False
        return self.tickets.setdefault(ticket.id, ticket)

    def visible(self, thing: Message | Ticket, when: Moment) -> bool:
        """Whether listings show it yet."""
        return thing.born + self.settings.list_lag <= when.mono + 1e-9

    # -- messages -----------------------------------------------------------------------------------------

    def people_problems(self, data: Json, tentative: Tentative) -> Problems:
        """Why the people or the mailbox of a well-formed message will not do."""
        problems: Problems = {}
        wanted: tuple[tuple[str, Kind], ...] = (("sender", sender_kind(data)), ("receiver", "customer"))
        for name, kind in wanted:
            problem = self.people.problem(kind, data.get(name), tentative)
            if problem:
                problems[name] = problem
        if data["channel"] == NOTE and not data.get("sender"):
            problem = self.people.problem("user", {"email": address(data, "from")}, tentative)
            problems |= {"source": {"from": problem}} if problem else {}
        if self.settings.strict_integrations and must_deliver(data) and not self.post.is_mailbox(data):
            problems["source"] = {"from": [NO_MAILBOX]}
        return problems

    def add_message(self, ticket: Ticket, data: Json, when: Moment, imported: bool | None = None) -> Message:
        """Store a message that had no problems, and deliver it when nothing says that it was sent."""
        ticket = self.keep(ticket)
        number, self.next_message = self.next_message, self.next_message + 1
        sender, receiver = self._ends(data)
        message = Message(new_message(number, ticket.id, data, when), when.mono)
        message.data.update(
            sender=sender.short,
            receiver=receiver.short if receiver else None,
            external_id=self._external_id(data.get("external_id")),
            imported=data.get("imported", False) if imported is None else imported,
        )
        self.messages[number] = message
        ticket.messages.append(message)
        self._note_effects(ticket, message, sender, receiver, when)
        self._record(message, data, when)
        if must_deliver(data):
            self.post.post(message.data, when)
        return message

    def change_message(self, message: Message, data: Json, when: Moment) -> Message:
        """Overwrite fields. Leaving sent_datetime out sends it: Gorgias reference, "Update a message"."""
        sender, receiver = self._ends(data)
        kept = new_message(message.data["id"], message.data["ticket_id"], data, when)
        message.data.update({key: kept[key] for key in data if key in kept})
        message.data.update(sender=sender.short, receiver=receiver.short if receiver else None)
        if "external_id" in data:
            message.data["external_id"] = self._external_id(data["external_id"])
        if must_deliver(data):
            message.data["sent_datetime"] = None
            self.post.post(message.data, when)
        return message

    def delete_message(self, message: Message, when: Moment) -> None:
        """Forget a message; the history of creates stays."""
        number, ticket_id = message.data["id"], message.data["ticket_id"]
        del self.messages[number]
        self.tickets[ticket_id].messages.remove(message)
        self.deletions.append({"at": when.mono, "ticket_id": ticket_id, "message_id": number})

    def _ends(self, data: Json) -> tuple[Person, Person | None]:
        ref = data.get("sender")
        if not ref and data["channel"] == NOTE:
            ref = {"email": address(data, "from")}
        sender = self.people.resolve(sender_kind(data), ref) if ref else self.people.bot
        if data.get("receiver"):
            return sender, self.people.resolve("customer", data["receiver"])
        bot_stands_in = data["from_agent"] and data["channel"] != NOTE
        return sender, self.people.bot if bot_stands_in else None

    def _external_id(self, value: str | None) -> str | None:
        if value is None or self.settings.external_ids == "keep":
            return value
        return None if self.settings.external_ids == "strip" else value[:CUT_LENGTH]

    def _note_effects(
        self, ticket: Ticket, message: Message, sender: Person, receiver: Person | None, when: Moment
    ) -> None:
        """What a message does to its ticket."""
        data, made = ticket.data, message.data["created_datetime"]
        data["updated_datetime"] = when.stamp
        if len(ticket.messages) == 1:
            data["channel"] = message.data["channel"]
            data["from_agent"] = message.data["from_agent"]
            data["subject"] = data["subject"] or message.data["subject"]
        customers = (person for person in (sender, receiver) if person and person.kind == "customer")
        ticket.customer = ticket.customer or next(customers, None)
        if message.data["public"]:
            data["last_message_datetime"] = max(made, data["last_message_datetime"] or "")
        if not message.data["from_agent"]:
            data["last_received_message_datetime"] = max(made, data["last_received_message_datetime"] or "")
            data["status"] = "open" if self.settings.reopen else data["status"]

    def _record(self, message: Message, data: Json, when: Moment) -> None:
        """The history keeps the external_id as it was sent, whatever became of it."""
        row = {"at": when.mono, "ticket_id": message.data["ticket_id"], "message_id": message.data["id"]}
        kind = "internal-note" if data["channel"] == NOTE else "outgoing" if data["from_agent"] else "incoming"
        self.history.append({**row, "external_id": data.get("external_id"), "kind": kind})

    # -- tickets ------------------------------------------------------------------------------------------

    def ticket_problems(self, data: Json) -> Problems:
        """Why the people of a well-formed new ticket will not do; earlier messages count for later ones."""
        tentative: Tentative = {}
        problem = self.people.problem("customer", data.get("customer"), tentative)
        if problem:
            return {"customer": problem}
        messages = enumerate(data["messages"])
        found = {str(i): p for i, each in messages if (p := self.people_problems(each, tentative))}
        return {"messages": found} if found else {}

    def add_ticket(self, data: Json, when: Moment) -> Ticket:
        """A new ticket with its messages, all at one moment."""
        ticket = self.keep(Ticket(blank_ticket(self._new_number(), when.stamp), when.mono))
        imported = bool(data.get("imported", False))
        ticket.data.update(created_datetime=given(data, "created_datetime") or when.stamp, imported=imported)
        if data.get("customer"):
            ticket.customer = self.people.resolve("customer", data["customer"])
        for each in data["messages"]:
            self.add_message(ticket, each, when, imported)
        self._customer_from_addresses(ticket)
        return self.change_ticket(ticket, data, when)

    def _customer_from_addresses(self, ticket: Ticket) -> None:
        """Without customer, sender or receiver: whoever an outgoing message is addressed to."""
        for message in ticket.messages:
            email = address(message.data, "to")
            open_to = ticket.customer is None and message.data["from_agent"] and email
            if open_to and self.people.problem("customer", {"email": email}, {}) is None:
                ticket.customer = self.people.resolve("customer", {"email": email})

    def change_ticket(self, ticket: Ticket, data: Json, when: Moment) -> Ticket:
        """Lay the given fields over the ticket."""
        ticket = self.keep(ticket)
        dates = {key: given(data, key) for key in data if key.endswith("_datetime")}
        plain = {k: v for k, v in data.items() if k in ticket.data and k not in dates}
        ticket.data.update(plain)
        ticket.data.update({key: value for key, value in dates.items() if key != "created_datetime"})
        if data.get("customer"):
            ticket.customer = self.people.resolve("customer", data["customer"])
        for role in ("assignee_user", "assignee_team"):
            if role in data:
                ticket.data[f"{role}_id"] = (data[role] or {}).get("id")
        if "tags" in data:
            ticket.data["tags"] = self.tagged(data["tags"])
        if data.get("status") == "closed":
            ticket.data["closed_datetime"] = ticket.data["closed_datetime"] or when.stamp
        if "updated_datetime" not in data:
            ticket.data["updated_datetime"] = when.stamp
        return ticket

    def tagged(self, tags: list[Json]) -> list[Json]:
        """Tags as tickets carry them; unknown names are created."""
        found = []
        for tag in tags:
            name = tag.get("name") or next((n for n, i in self.tags.items() if i == tag.get("id")), None)
            if name:
                number = self.tags.setdefault(name, FIRST_TAG + len(self.tags))
                found.append({"id": number, "name": name, "decoration": tag.get("decoration") or {}})
        return found

    def delete_ticket(self, ticket: Ticket, when: Moment) -> None:
        """Permanent, with all its messages."""
        self.keep(ticket)
        for message in list(ticket.messages):
            self.delete_message(message, when)
        del self.tickets[ticket.id]
        self.deleted.add(ticket.id)

    def merge(self, number: int, into: int, when: Moment) -> None:
        """Move a ticket's messages into another and answer 301 for it from now on."""
        survivor = self.keep(self.tickets.get(into) or self.virtual(into))
        gone = self.tickets.pop(number, None)
        for message in gone.messages if gone else []:
            message.data.update(ticket_id=into, uri=f"/api/tickets/{into}/messages/{message.data['id']}/")
            survivor.messages.append(message)
        survivor.data["updated_datetime"] = when.stamp
        self.merged[number] = into

    # -- views --------------------------------------------------------------------------------------------

    def full(self, ticket: Ticket, when: Moment) -> Json:
        return full_ticket(ticket.data, ticket.customer, self._shown(ticket, when))

    def compact(self, ticket: Ticket, when: Moment) -> Json:
        return compact_ticket(ticket.data, ticket.customer, self._shown(ticket, when))

    def complete(self, ticket: Ticket) -> Json:
        """As a write answers and an inspector sees it: everything, in id order, whatever listings show."""
        messages = sorted((message.data for message in ticket.messages), key=lambda m: m["id"])
        return full_ticket(ticket.data, ticket.customer, messages)

    def owner(self, authorization: str) -> str:
        """The address of whoever is authenticated: the name in Basic credentials, else the first user."""
        name = basic(authorization)
        email = name[0] if name else f"owner@{self.settings.account}.invalid"
        known = self.people.find(email)
        return email if known is None or known.kind == "user" else f"owner@{self.settings.account}.invalid"

    def _shown(self, ticket: Ticket, when: Moment) -> list[Json]:
        return [message.data for message in ticket.messages if self.visible(message, when)]


def sender_kind(data: Json) -> Kind:
    """Who must stand behind a message."""
    return "user" if data["from_agent"] else "customer"
