"""Random histories of threads, written in three formats: the same requests leave, and edits meet the same messages."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkmsg.message import Message, NewTicket, thread_payload
from tests.unit.validation.kit import Folder

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PEOPLE = st.sampled_from(["jane@example.com", "john@example.com", "kim@example.com"])
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from(',"\n;'), min_size=1
)
TIME = "2021-03-01T10:00:00Z"


def message(kind: str, person: str, text: str) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "incoming": {"channel": "chat", "sender": {"email": person}},
        "outgoing": {"channel": "chat", "sender": {"id": 3}, "receiver": {"email": person}},
        "internal-note": {"sender": {"id": 3}},
    }
    return {"type": kind, **own[kind], "body_text": text, "sent_datetime": TIME}


MESSAGES = st.builds(message, st.sampled_from(["incoming", "outgoing", "internal-note"]), PEOPLE, TEXTS)
OWN = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.sampled_from(["Kettle", 'Te, a"pot']),
        "status": st.sampled_from(["open", "closed"]),
        "tags": st.lists(st.sampled_from(["vip", "a;b"]), min_size=1, max_size=2),
        "customer": st.builds(lambda email: {"email": email}, PEOPLE),
    },
)
THREADS = st.lists(st.tuples(OWN, st.lists(MESSAGES, min_size=1, max_size=5)), min_size=1, max_size=4)
FIELDS = ("subject", "status", "tags", "customer")
COLUMNS = ("type", "channel", "sender.email", "sender.id", "receiver.email", "body_text", "sent_datetime")


def cell(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def as_csv(tickets: list[dict[str, Any]], repeated: bool) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(f"ticket.{name}" for name in ("external_id", *FIELDS)), *COLUMNS])
    for ticket in tickets:
        for at, one in enumerate(ticket["messages"]):
            shown = ticket if at == 0 or repeated else {}
            own = [cell(shown[name]) if name in shown else "" for name in FIELDS]
            flat = {**one, **{f"{a}.{b}": c for a in ("sender", "receiver") for b, c in one.get(a, {}).items()}}
            writer.writerow([ticket["external_id"], *own, *(flat.get(name, "") for name in COLUMNS)])
    return file.getvalue()


def sent(text: str, file: str) -> list[Message]:
    with tempfile.TemporaryDirectory() as folder:
        return Folder(Path(folder)).messages(text, file, name="history")


def leaves(found: list[Message]) -> list[tuple[bytes, list[str]]]:
    """The bytes of each ticket's request, and the keys of its messages."""
    tickets: dict[int, list[Message]] = {}
    for one in found:
        tickets.setdefault(id(one.ticket), []).append(one)
    made = []
    for thread in tickets.values():
        assert isinstance(thread[0].ticket, NewTicket)
        made.append((thread_payload(thread[0].ticket, thread), [one.key for one in thread]))
    return made


def written(threads: list[tuple[dict[str, Any], list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    return [{"external_id": f"t-{at}", **own, "messages": bodies} for at, (own, bodies) in enumerate(threads)]


@SETTINGS
@given(THREADS, st.booleans())
def test_threads_leave_as_the_same_bytes_from_every_format(threads: Any, repeated: bool) -> None:
    tickets = written(threads)
    lines = leaves(sent("".join(json.dumps(ticket) + "\n" for ticket in tickets), "h.jsonl"))
    assert leaves(sent(json.dumps({"version": 1, "tickets": tickets}), "h.json")) == lines
    assert leaves(sent(as_csv(tickets, repeated), "h.csv")) == lines
    assert len(lines) == len(threads)


@SETTINGS
@given(THREADS, MESSAGES, st.sampled_from(["external_id", "key", "nothing"]))
def test_a_reply_more_leaves_all_messages_before_it_as_they_were(threads: Any, reply: Any, name: str) -> None:
    tickets = written(threads)
    for ticket in tickets:
        external_id = ticket.pop("external_id")
        if name != "nothing":
            ticket[name] = external_id
    longer = [*tickets[:-1], {**tickets[-1], "messages": [*tickets[-1]["messages"], reply]}]
    before, after = (sent("".join(json.dumps(one) + "\n" for one in each), "h.jsonl") for each in (tickets, longer))
    only_notes = all(one["type"] == "internal-note" for one in tickets[-1]["messages"])
    if name == "nothing" and only_notes:  # the reply may be the first that is no note: the ticket is known by it
        before, after = before[: -len(tickets[-1]["messages"])], after[: -len(tickets[-1]["messages"]) - 1]
    known = {(one.key, one.content, one.external_id, one.ticket.lane) for one in after}
    assert known >= {(one.key, one.content, one.external_id, one.ticket.lane) for one in before}
