"""A small export of each source, for the suite that every converter must pass. All people and texts are made up.

A source is registered here with files that hold at least: two tickets; an incoming message, an outgoing one and a note;
an agent and a customer; three messages of the same second in one ticket; and one newer export of the same account that
adds a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkmsg.converters.words import Reading
from bulkmsg.message import canonical, short_hash

Json = Any
AGENT, CUSTOMER = "anna@acme.example", "jane@example.com"
SHOP = "support@acme.example"
TIME = "2024-03-01T10:00:00Z"
SECONDS = 1709287200.0  # the same


@dataclass(frozen=True)
class Sample:
    """An export.

    Args:
        files: contents by name, as `kit.written` takes them.
        newer: the export of the same account some days later; `added` is the external id of the message it adds.
        messages: how many messages the first one gives.
        together: external ids of the messages of one second, in their order.
        lines: the name of a file with one record a line, of which a broken one costs only itself; "" if none has.
    """

    files: Mapping[str, Json]
    newer: Mapping[str, Json]
    added: str
    messages: int
    together: tuple[str, ...]
    lines: str = ""
    reading: Reading = field(default_factory=Reading)


def ndjson(*records: Json) -> str:
    return "".join(json.dumps(each) + "\n" for each in records)


def _zendesk() -> Sample:
    def comment(id: int, ticket: int, author: int, time: str = TIME, public: bool = True) -> Json:
        return {
            "id": id,
            "ticket_id": ticket,
            "type": "Comment",
            "author_id": author,
            "body": f"text {id}",
            "public": public,
            "created_at": time,
            "via": {"channel": "email"},
        }

    tickets = [
        {
            "id": id,
            "subject": f"Ticket {id}",
            "status": "solved",
            "requester_id": 1,
            "recipient": "support@acme.example",
            "created_at": TIME,
            "updated_at": TIME,
        }
        for id in (7, 8)
    ]
    users = [
        {"id": "1", "name": "Jane Doe", "email": CUSTOMER, "role": "end-user"},
        {"id": 2, "name": "Anna Agent", "email": AGENT, "role": "agent"},
    ]
    comments = [comment(1, 7, 1), comment(2, 7, 2), comment(3, 7, 2, public=False), comment(4, 8, 1)]
    base = {"tickets.json": {"tickets": tickets}, "users.json": users}
    later = comment(5, 8, 2, "2024-03-09T10:00:00Z")
    return Sample(
        {**base, "comments.ndjson": ndjson(*comments)},
        {**base, "comments.ndjson": ndjson(*comments, later)},
        "zendesk-comment-5",
        4,
        ("zendesk-comment-1", "zendesk-comment-2", "zendesk-comment-3"),
        "comments.ndjson",
    )


def _generic() -> Sample:
    def record(id: int, ticket: str, kind: str, mail: str, time: str = TIME) -> Json:
        return {
            "no": id,
            "conversation": ticket,
            "kind": kind,
            "from": {"mail": mail, "name": "X Y"},
            "at": time,
            "body": f"text {id}",
        }

    records = [
        record(1, "a", "in", CUSTOMER),
        record(2, "a", "out", AGENT),
        record(3, "a", "note", AGENT),
        record(4, "b", "in", CUSTOMER),
    ]
    mapping = {
        "version": 1,
        "message": {
            "ticket": "conversation",
            "id": "no",
            "sent": "at",
            "type": {"path": "kind", "values": {"in": "incoming", "out": "outgoing", "note": "internal-note"}},
            "author": {"email": "from.mail", "name": "from.name"},
            "text": "body",
        },
    }
    later = record(5, "b", "out", AGENT, "2024-03-09T10:00:00Z")
    return Sample(
        {"export.ndjson": ndjson(*records)},
        {"export.ndjson": ndjson(*records, later)},
        "generic-5",
        4,
        ("generic-1", "generic-2", "generic-3"),
        "export.ndjson",
        Reading(mapping=mapping),
    )


def _freshdesk() -> Sample:
    def row(id: int, ticket: int, user: int, time: str = TIME, private: bool = False) -> Json:
        return {
            "id": id,
            "ticket_id": ticket,
            "user_id": user,
            "body": f"<p>text {id}</p>",
            "incoming": user == 1,
            "private": private,
            "source": 2 if private else 0,
            "created_at": time,
        }

    tickets = [
        {
            "id": id,
            "subject": f"Ticket {id}",
            "description": f"<p>text {id}</p>",
            "status": 5,
            "source": 1,
            "requester_id": 1,
            "support_email": "support@acme.example",
            "created_at": TIME,
            "updated_at": TIME,
        }
        for id in (7, 8)
    ]
    base = {
        "tickets.json": tickets,
        "agents.json": [{"id": 2, "contact": {"name": "Anna Agent", "email": AGENT}, "occasional": False}],
        "contacts.json": [{"id": "1", "name": "Jane Doe", "email": CUSTOMER}],
    }
    rows = [row(1, 7, 2), row(2, 7, 2, private=True), row(3, 8, 1)]
    later = row(4, 8, 2, "2024-03-09T10:00:00Z")
    return Sample(
        {**base, "conversations.ndjson": ndjson(*rows)},
        {**base, "conversations.ndjson": ndjson(*rows, later)},
        "freshdesk-conversation-4",
        5,
        ("freshdesk-ticket-7-description", "freshdesk-conversation-1", "freshdesk-conversation-2"),
        "conversations.ndjson",
    )


def _intercom() -> Sample:
    second = 1709287200  # TIME
    anna = {"type": "admin", "id": "2", "name": "Anna Agent", "email": AGENT}
    jane = {"type": "user", "id": "65a1", "name": "Jane Doe", "email": CUSTOMER}

    def part(id: int, conversation: int, author: Json, time: int = second, kind: str = "comment") -> Json:
        return {
            "type": "conversation_part",
            "id": str(id),
            "conversation_id": conversation,
            "part_type": kind,
            "body": f"<p>text {id}</p>",
            "author": author,
            "created_at": time,
            "updated_at": time,
        }

    conversations = [
        {
            "type": "conversation",
            "id": str(id),
            "created_at": second,
            "updated_at": second,
            "title": f"Ticket {id}",
            "state": "closed",
            "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "65a1"}]},
            "source": {"type": "conversation", "id": f"9{id}", "body": f"<p>text {id}</p>", "author": jane},
        }
        for id in (7, 8)
    ]
    base = {"conversations.ndjson": ndjson(*conversations)}
    parts = [part(1, 7, anna), part(2, 7, anna, kind="note"), part(3, 8, {**jane, "email": ""})]
    later = part(4, 8, anna, second + 800_000)
    return Sample(
        {**base, "conversation_parts.ndjson": ndjson(*parts)},
        {**base, "conversation_parts.ndjson": ndjson(*parts, later)},
        "intercom-part-4",
        5,
        ("intercom-conversation-7-source", "intercom-part-1", "intercom-part-2"),
        "conversation_parts.ndjson",
    )


def _helpscout() -> Sample:
    anna = {"id": 2, "type": "user", "first": "Anna", "last": "Agent", "email": AGENT}
    jane = {"id": "1", "type": "customer", "first": "Jane", "last": "Doe", "email": CUSTOMER}

    def thread(id: int, conversation: int, author: Json, kind: str, time: str = TIME) -> Json:
        return {
            "id": id,
            "conversationId": conversation,
            "type": kind,
            "state": "published",
            "body": f"<p>text {id}</p>",
            "customer": jane,
            "createdBy": author,
            "createdAt": time,
        }

    conversations = [
        {
            "id": id,
            "number": id + 100,
            "threads": 3,
            "subject": f"Ticket {id}",
            "status": "closed",
            "state": "published",
            "mailboxId": 5,
            "primaryCustomer": jane,
            "createdAt": TIME,
            "userUpdatedAt": TIME,
        }
        for id in (7, 8)
    ]
    base = {"conversations.json": {"_embedded": {"conversations": conversations}, "page": {"number": 1}}}
    threads = [thread(4, 8, jane, "customer"), thread(3, 7, anna, "note"), thread(2, 7, anna, "message")]
    first = thread(1, 7, jane, "customer")
    later = thread(5, 8, anna, "message", "2024-03-09T10:00:00Z")
    return Sample(
        {**base, "threads.ndjson": ndjson(*threads, first)},
        {**base, "threads.ndjson": ndjson(later, *threads, first)},
        "helpscout-thread-5",
        4,
        ("helpscout-thread-1", "helpscout-thread-2", "helpscout-thread-3"),
        "threads.ndjson",
    )


def _front() -> Sample:
    anna = {"id": "tea_2", "email": AGENT, "first_name": "Anna", "last_name": "Agent"}
    ends = {True: [(CUSTOMER, "from"), (SHOP, "to")], False: [(SHOP, "from"), (CUSTOMER, "to")]}

    def message(id: int, ticket: int, inbound: bool, time: float = SECONDS) -> Json:
        return {
            "id": f"msg_{id}",
            "type": "email",
            "is_inbound": inbound,
            "created_at": time,
            "author": None if inbound else anna,
            "recipients": [{"handle": handle, "role": role, "name": None} for handle, role in ends[inbound]],
            "text": f"text {id}",
            "_links": {"related": {"conversation": f"https://api2.frontapp.com/conversations/cnv_{ticket}"}},
        }

    note = {**message(3, 7, False), "id": "com_3", "body": "text 3", "posted_at": SECONDS}
    for name in ("type", "is_inbound", "created_at", "recipients", "text"):
        del note[name]
    newest_first = [message(4, 8, True), note, message(2, 7, False), message(1, 7, True)]
    later = message(5, 8, False, SECONDS + 8 * 86400)
    about = [{"id": f"cnv_{id}", "subject": f"Ticket {id}", "status": "archived"} for id in (7, 8)]
    return Sample(
        {"conversations.json": {"_results": about}, "messages.ndjson": ndjson(*newest_first)},
        {"conversations.json": {"_results": about}, "messages.ndjson": ndjson(later, *newest_first)},
        "front-msg_5",
        4,
        ("front-msg_1", "front-msg_2", "front-com_3"),
        "messages.ndjson",
    )


def _kustomer() -> Sample:
    def resource(id: int, ticket: int, kind: str, direction: str = "", time: str = TIME) -> Json:
        said = {"preview": f"text {id}", "direction": direction} if kind == "message" else {"body": f"text {id}"}
        ends = {"in": {"from": CUSTOMER, "to": SHOP}, "out": {"from": SHOP, "to": [{"email": CUSTOMER}]}}
        ties = {"conversation": f"k{ticket}", "customer": "c1", **({} if direction == "in" else {"createdBy": "u2"})}
        kinds = {"createdBy": "user"}
        return {
            "type": kind,
            "id": f"r{id}",
            "attributes": {"sentAt": time, "createdAt": time, "channel": "email", "meta": ends.get(direction), **said},
            "relationships": {name: {"data": {"type": kinds.get(name, name), "id": to}} for name, to in ties.items()},
        }

    base = {
        "conversations.json": {
            "data": [
                {"type": "conversation", "id": f"k{id}", "attributes": {"name": f"Ticket {id}", "status": "done"}}
                for id in (7, 8)
            ]
        },
        "people.json": {
            "data": [
                {"type": "user", "id": "u2", "attributes": {"displayName": "Anna Agent", "email": AGENT}},
                {"type": "customer", "id": "c1", "attributes": {"name": "Jane Doe", "emails": [{"email": CUSTOMER}]}},
            ]
        },
    }
    records = [
        resource(1, 7, "message", "in"),
        resource(2, 7, "message", "out"),
        resource(3, 7, "note"),
        resource(4, 8, "message", "in"),
    ]
    later = resource(5, 8, "message", "out", "2024-03-09T10:00:00Z")
    return Sample(
        {**base, "messages.ndjson": ndjson(*records)},
        {**base, "messages.ndjson": ndjson(*records, later)},
        "kustomer-message-r5",
        4,
        ("kustomer-message-r1", "kustomer-message-r2", "kustomer-note-r3"),
        "messages.ndjson",
    )


def _reamaze() -> Sample:
    def message(id: int, ticket: int, staff: bool, time: str = TIME, visibility: int = 0) -> Json:
        email, name = (AGENT, "Anna Agent") if staff else (CUSTOMER, "Jane Doe")
        return {
            "body": f"text {id}",
            "visibility": visibility,
            "created_at": time,
            "user": {"email": email, "name": name, "staff?": staff},
            "recipients": [{"email": CUSTOMER}] if staff else [],
            "conversation": {"slug": f"t{ticket}", "subject": f"Ticket {ticket}", "category": {"email": SHOP}},
        }

    def key(message: Json) -> str:
        seen = {"slug": message["conversation"]["slug"], "time": message["created_at"], "body": message["body"]}
        return f"reamaze-message-{short_hash(canonical(seen))}"

    records = [message(1, 7, False), message(2, 7, True), message(3, 7, True, visibility=1), message(4, 8, False)]
    later = message(5, 8, True, "2024-03-09T10:00:00Z")
    return Sample(
        {"messages.ndjson": ndjson(*records)},
        {"messages.ndjson": ndjson(*records, later)},
        key(later),
        4,
        tuple(map(key, records[:3])),
        "messages.ndjson",
    )


def _hubspot() -> Sample:
    def message(id: int, ticket: int, direction: str, time: str = TIME) -> Json:
        ends = {"V-1": CUSTOMER, "A-2": AGENT if direction == "" else SHOP}
        actors = ("V-1", "A-2") if direction == "INCOMING" else ("A-2", "V-1")
        sender, recipient = (
            {"actorId": each, "deliveryIdentifier": {"type": "HS_EMAIL_ADDRESS", "value": ends[each]}}
            for each in actors
        )
        return {
            "id": f"m{id}",
            "conversationsThreadId": str(ticket),
            "type": "MESSAGE" if direction else "COMMENT",
            "createdAt": time,
            "createdBy": sender["actorId"],
            "text": f"text {id}",
            **({"direction": direction, "recipients": [recipient]} if direction else {}),
            "senders": [sender],
        }

    base = {
        "threads.json": {"results": [{"id": str(id), "inboxId": "1", "status": "CLOSED"} for id in (7, 8)]},
        "actors.json": {
            "results": [
                {"id": "A-2", "type": "AGENT", "name": "Anna Agent", "email": AGENT},
                {"id": "V-1", "type": "VISITOR", "name": "Jane Doe", "email": CUSTOMER},
            ]
        },
    }
    records = [
        message(1, 7, "INCOMING"),
        message(2, 7, "OUTGOING"),
        message(3, 7, ""),
        message(4, 8, "INCOMING"),
    ]
    later = message(5, 8, "OUTGOING", "2024-03-09T10:00:00Z")
    return Sample(
        {**base, "messages.ndjson": ndjson(*records)},
        {**base, "messages.ndjson": ndjson(*records, later)},
        "hubspot-message-m5",
        4,
        ("hubspot-message-m1", "hubspot-message-m2", "hubspot-message-m3"),
        "messages.ndjson",
    )


def _mbox() -> Sample:
    def one(id: int, by: str, to: str, first: int, time: str = "01 Mar 2024 10:00:00", more: str = "") -> str:
        return (
            f"From - Fri Mar  1 10:00:00 2024\nFrom: {by}\nTo: {to}\nSubject: Ticket\nDate: {time} +0000\n"
            f"Message-ID: <{id}@mail.example>\nReferences: <{first}@mail.example>\n{more}\ntext {id}\n\n"
        )

    jane, anna = f"Jane Doe <{CUSTOMER}>", f"Anna Agent <{AGENT}>"
    mails = [
        one(1, jane, anna, 1),
        one(2, anna, jane, 1),
        one(3, anna, jane, 1, more="Auto-Submitted: auto-replied\n"),
        one(4, jane, anna, 4),
    ]
    later = one(5, jane, anna, 4, "09 Mar 2024 10:00:00")
    return Sample(
        {"all.mbox": "".join(mails)},
        {"all.mbox": "".join((*mails, later))},
        "mbox-5@mail.example",
        4,
        ("mbox-1@mail.example", "mbox-2@mail.example", "mbox-3@mail.example"),
        reading=Reading(own=(AGENT,), bots="note"),
    )


SAMPLES: dict[str, Callable[[], Sample]] = {
    "zendesk": _zendesk,
    "freshdesk": _freshdesk,
    "intercom": _intercom,
    "helpscout": _helpscout,
    "front": _front,
    "kustomer": _kustomer,
    "reamaze": _reamaze,
    "hubspot": _hubspot,
    "mbox": _mbox,
    "generic": _generic,
}
