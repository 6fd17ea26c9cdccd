"""Keys, content hashes and external ids: what identifies an entry, and what may change without changing it."""

from __future__ import annotations

from typing import Any

import pytest

from bulkmsg.batch import Entry
from bulkmsg.message import ExistingTicket, Kind, Mode, NewTicket, derive_external_id
from bulkmsg.source import Spot
from bulkmsg.validation.drafts import Draft, TicketDraft
from bulkmsg.validation.identity import KeyOrigin, default_key, recipients

BODY: dict[str, Any] = {"channel": "email", "body_text": "x", "source": {"to": [{"address": "jane@example.com"}]}}


def draft(body: dict[str, Any] | None = None, **options: Any) -> Draft:
    given: dict[str, Any] = {"kind": Kind.INCOMING, "ticket": 1, "given_key": None, "mode": Mode.IMPORT, **options}
    return Draft(fields=BODY if body is None else body, entry=Entry("messages", 1, Spot("b.yaml", 3), ()), **given)


@pytest.mark.parametrize(
    ("body", "people"),
    [
        ({"source": {"to": [{"address": "B@x"}, {"address": "a@x"}], "cc": [{"address": "b@X"}]}}, ["a@x", "b@x"]),
        ({"source": {"bcc": [{"address": "a@x"}]}, "receiver": {"email": "b@x"}}, ["a@x"]),
        ({"receiver": {"email": "B@x", "id": 5}}, ["b@x"]),
        ({"receiver": {"id": 5}}, ["#5"]),
        ({"source": {"to": [{"name": "x"}]}}, []),
        ({}, []),
    ],
)
def test_recipients(body: dict[str, Any], people: list[str]) -> None:
    assert recipients(body) == people


def test_a_key_is_given_or_the_external_id_or_made() -> None:
    assert draft(given_key="k").identity() == ("k", KeyOrigin.GIVEN)
    assert draft({**BODY, "external_id": "e"}).identity() == ("e", KeyOrigin.EXTERNAL_ID)
    assert draft({**BODY, "external_id": "e"}, given_key="k").identity() == ("k", KeyOrigin.GIVEN)
    key, origin = draft().identity()
    assert (key, origin) == (f"c-{draft().content()}", KeyOrigin.CONTENT)


def made(body: dict[str, Any], kind: Kind = Kind.OUTGOING, mode: Mode = Mode.SEND, ticket: Any = 1) -> str:
    return default_key(kind, mode, body, ticket, lambda: "content")[0]


def test_in_send_mode_a_corrected_text_keeps_the_key() -> None:
    assert made(BODY) == made({**BODY, "body_text": "y", "subject": "z"})
    assert made(BODY) != made(BODY, ticket=2)
    assert made(BODY) != made({**BODY, "source": {"to": [{"address": "john@example.com"}]}})
    assert made(BODY) == made({**BODY, "source": {"to": [{"address": "JANE@example.com"}]}})
    assert made(BODY, ticket=None) != made(BODY, ticket=1)
    assert made(BODY).startswith("to-")


@pytest.mark.parametrize(
    ("kind", "mode"), [(Kind.OUTGOING, Mode.IMPORT), (Kind.INCOMING, Mode.SEND), (Kind.INTERNAL_NOTE, Mode.SEND)]
)
def test_where_nobody_is_mailed_the_key_is_the_content(kind: Kind, mode: Mode) -> None:
    assert made(BODY, kind, mode) == "c-content"


def test_an_outgoing_message_to_nobody_known_has_its_content_as_key() -> None:
    assert made({"channel": "chat"}) == "c-content"


def test_the_content_hash_knows_type_ticket_and_body_and_not_the_external_id() -> None:
    one = draft().content()
    assert len(one) == 16
    assert draft({**BODY, "external_id": "e"}).content() == one
    assert draft(dict(reversed(BODY.items()))).content() == one
    assert draft(given_key="k").content() == one
    assert draft({**BODY, "body_text": "y"}).content() != one
    assert draft(ticket=2).content() != one
    assert draft(kind=Kind.OUTGOING).content() != one


def test_the_content_hash_leaves_out_what_the_new_ticket_gives() -> None:
    ticket = TicketDraft({"subject": "a", "tags": []}, "t-1", None)
    other = TicketDraft({"subject": "b"}, "t-1", "k")
    inside = {**BODY, "subject": "a"}
    one = draft(inside, ticket=ticket, inherited=("subject",)).content()
    assert draft({**BODY, "subject": "b"}, ticket=other, inherited=("subject",)).content() == one
    assert draft(BODY, ticket=ticket).content() == one
    assert draft(inside, ticket=ticket).content() != one
    assert draft(BODY, ticket=TicketDraft({}, "t-2", None)).content() != one


def test_a_generated_external_id_is_stable_short_and_shows_no_address() -> None:
    one = derive_external_id("acme", "spring recall", "jane@example.com")
    assert one == "bulkmsg-spring-recall-" + one.rpartition("-")[2]
    assert one == derive_external_id("acme", "spring recall", "jane@example.com")
    others = {
        derive_external_id(*said) for said in (("b", "spring recall", "k"), ("acme", "x", "k"), ("acme", "x", "l"))
    }
    assert len({one, *others}) == 4
    long = derive_external_id("a" * 63, "ü@" * 500, "k" * 10_000)
    assert len(long) <= 255 and "@" not in long and long.isascii()


def test_parts_cannot_be_shifted_between_account_name_and_key() -> None:
    assert derive_external_id("a", "b-c", "d") != derive_external_id("a", "b", "c-d")


def test_a_message_gets_the_external_id_that_it_lacks_and_keeps_the_one_it_has() -> None:
    place = ExistingTicket(1)
    message = draft().message("acme", "b", "key", place)
    assert message.external_id == derive_external_id("acme", "b", "key")
    assert (message.file, message.line, message.key) == ("b.yaml", 3, "key")
    assert draft({**BODY, "external_id": "e"}).message("acme", "b", "key", place).external_id == "e"


def test_a_new_ticket_is_known_by_its_external_id_its_key_or_its_messages_key() -> None:
    def ticket(external_id: str | None, key: str | None, of_message: str) -> NewTicket:
        return TicketDraft({}, external_id, key).ticket("acme", "b", of_message)

    assert ticket("t-1", None, "m").external_id == "t-1"
    assert ticket("t-1", None, "m").given
    assert not ticket(None, "k", "m").given
    assert ticket(None, "k", "m").external_id == ticket(None, "k", "n").external_id
    assert ticket(None, None, "m").external_id != ticket(None, None, "n").external_id
    assert ticket(None, "m", "x").external_id == ticket(None, None, "m").external_id
    assert ticket(None, None, "m").external_id != derive_external_id("acme", "b", "m")
