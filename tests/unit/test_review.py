"""The batch held against the log: what is there, what is to do, what was edited or removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bulkmsg.message import Kind, Message, Mode, NewTicket
from bulkmsg.outcome import UNTOUCHED, Standing, State
from bulkmsg.review import Review, review, select
from bulkmsg.sample import First
from tests.fakes import message, new_ticket


class Log:
    """A folded log that knows some keys."""

    def __init__(self, **standings: Standing) -> None:
        self.known = standings
        self.marked: set[str] = set()

    def standing(self, key: str) -> Standing:
        return self.known.get(key, UNTOUCHED)

    def unmarked(self) -> Iterator[tuple[str, Standing]]:
        return ((key, where) for key, where in self.known.items() if key not in self.marked)


def look(
    batch: list[Message], log: dict[str, Standing] | None = None, mode: Mode = Mode.IMPORT, **options: Any
) -> Review:
    known = Log(**(log or {}))
    return review(batch, mode, known.standing, known.marked.add, known.unmarked, **options)


def mail(number: int, ticket: int, *people: str) -> Message:
    to = [{"address": person} for person in people]
    return message(number, ticket, Kind.OUTGOING, sent_datetime=None, source={"to": to})


def at(state: State, of: Message | None = None, **fields: Any) -> Standing:
    return Standing(state, of.content if of else "other", attempt=1, **fields)


def test_a_first_run_sends_everything() -> None:
    batch = [message(1), message(2), new_ticket(3)]
    found = look(batch)
    assert (found.to_send, found.to_settle, found.mails, found.people) == (3, 0, 0, 0)
    assert (found.first, found.last) == (batch[0], batch[2])
    assert found.tally.total == found.tally[State.PENDING] == 3


def test_people_are_counted_once_over_to_cc_and_case() -> None:
    found = look([mail(1, 1, "a@x", "b@x"), mail(2, 2, "A@x"), message(3, kind=Kind.INTERNAL_NOTE)], mode=Mode.SEND)
    assert (found.mails, found.people) == (2, 2)


def test_a_mail_to_nobody_known_counts_as_one_person() -> None:
    assert look([mail(1, 1), mail(2, 2)], mode=Mode.SEND).people == 2


@pytest.mark.parametrize(
    ("state", "sent", "settled"),
    [
        (State.PENDING, 1, 0),
        (State.CREATED, 0, 0),
        (State.INTENDED, 0, 1),
        (State.IN_DOUBT, 0, 1),
        (State.REJECTED, 0, 0),
        (State.FAILED, 1, 0),
        (State.HELD_BACK, 1, 0),
        (State.UNDONE, 1, 0),
    ],
)
def test_what_is_to_do_with_an_unchanged_entry(state: State, sent: int, settled: int) -> None:
    one = message(1)
    found = look([one], {one.key: at(state, one)})
    assert (found.to_send, found.to_settle, found.edited_count, found.removed_count) == (sent, settled, 0, 0)
    assert sum(found.tally.counts.values()) == found.tally.total == 1


@pytest.mark.parametrize(
    ("state", "edited", "sent"),
    [
        (State.CREATED, 1, 0),
        (State.INTENDED, 1, 0),
        (State.IN_DOUBT, 1, 0),
        (State.REJECTED, 0, 1),
        (State.FAILED, 0, 1),
        (State.HELD_BACK, 0, 1),
    ],
)
def test_an_edit_is_refused_once_it_may_have_arrived_and_is_how_a_rejection_is_mended(
    state: State, edited: int, sent: int
) -> None:
    one = message(1)
    found = look([one], {one.key: at(state)})
    assert (found.edited_count, found.to_send) == (edited, sent)
    assert found.edited == [one] * edited


def test_a_rejected_entry_is_sent_again_when_asked_to_and_holds_its_ticket_else() -> None:
    one, two, other = message(1, 1), message(2, 1), message(3, 2)
    log = {one.key: at(State.REJECTED, one)}
    assert look([one, two, other], log).to_send == 1
    assert look([one, two, other], log, retry_rejected=True).to_send == 3


def test_a_rejection_that_holds_nothing_back_leaves_the_rest_of_its_ticket_to_be_sent_and_mailed() -> None:
    one, two = mail(1, 1, "jane@example.com"), mail(2, 1, "tom@example.com")
    log = {one.key: at(State.REJECTED, one), two.key: at(State.HELD_BACK, two)}
    held = look([one, two], log, mode=Mode.SEND)
    assert (held.to_send, held.mails, held.people) == (0, 0, 0)
    free = look([one, two], log, mode=Mode.SEND, rejections_hold=False)
    assert (free.to_send, free.mails, free.people) == (1, 1, 1)


@pytest.mark.parametrize("state", list(State))
def test_removed_is_what_may_be_in_the_helpdesk_and_no_longer_in_the_batch(state: State) -> None:
    found = look([message(1)], {"gone": at(state, ticket_id=9)})
    assert found.removed_count == (state in (State.CREATED, State.INTENDED, State.IN_DOUBT))


def content_keyed(number: int, ticket: int) -> Message:
    return replace(message(number, ticket), key=f"c-{number}")


def test_a_content_key_gone_and_another_new_on_its_ticket_is_an_edit() -> None:
    log = {"c-1": at(State.CREATED, ticket_id=7)}
    assert look([content_keyed(2, 7)], log).swapped == ["c-1"]
    assert look([content_keyed(2, 8)], log).swapped == []
    assert look([message(2, 7)], log).swapped == []
    assert look([content_keyed(2, 7)], {"given": at(State.CREATED, ticket_id=7)}).swapped == []
    one = content_keyed(1, 7)
    assert look([one, content_keyed(2, 7)], {"c-1": at(State.CREATED, one, ticket_id=7)}).swapped == []


def test_reordering_and_adding_are_fine() -> None:
    batch = [message(number, number % 3) for number in range(1, 10)]
    log = {one.key: at(State.CREATED, one) for one in batch[:5]}
    found = look(batch[::-1], log)
    assert (found.to_send, found.edited_count, found.removed_count, found.swapped) == (4, 0, 0, [])


def test_a_limit_chooses_tickets_and_edits_are_looked_for_in_all() -> None:
    batch = [message(1, 1), message(2, 2), message(3, 1), message(4, 3)]
    found = look(batch, {batch[3].key: at(State.CREATED)}, lanes=First(1).lanes(batch))
    assert (found.tally.total, found.to_send) == (2, 2)
    assert (found.first, found.last) == (batch[0], batch[2])
    assert found.edited == [batch[3]]
    assert list(select(batch, First(1).lanes(batch))) == [batch[0], batch[2]]
    assert list(select(batch, None)) == batch


def test_lists_for_people_are_short_and_counts_complete() -> None:
    batch = [message(number, number) for number in range(1, 51)]
    log = {one.key: at(State.CREATED) for one in batch} | {f"gone-{n}": at(State.CREATED) for n in range(50)}
    found = look(batch, log)
    assert (found.edited_count, found.removed_count) == (50, 50)
    assert len(found.edited) == len(found.removed) == 10


def test_an_edited_new_ticket_without_any_name_is_not_taken_for_another_one() -> None:
    edited = replace(new_ticket(3), key="c-new")
    found = look([edited], {"c-old": at(State.CREATED, ticket_id=9001, message_id=9002)})
    assert found.swapped == ["c-old"]
    assert isinstance(edited.ticket, NewTicket)
    named = replace(edited, ticket=replace(edited.ticket, given=True))
    assert look([named], {"c-old": at(State.CREATED, ticket_id=9001)}).swapped == []


def test_what_waits_behind_an_unchanged_rejection_is_to_be_noted_as_held_back_once() -> None:
    """Left as pending it would look, after each run that has nothing to do, as if the next one sent it."""
    batch = [message(1), message(2), message(3)]
    log = {"k-1": at(State.REJECTED, batch[0]), "k-2": at(State.HELD_BACK, batch[1])}
    found = look(batch, log)
    assert (found.to_send, found.to_settle, found.to_hold) == (0, 0, 1)
    assert look(batch, {**log, "k-3": at(State.HELD_BACK, batch[2])}).to_hold == 0


def test_what_was_looked_for_right_before_is_not_to_do_and_holds_its_ticket_back() -> None:
    """Consent is asked for exactly those who would be mailed: not for what waits behind a doubt."""
    batch = [mail(1, 1, "a@x"), mail(2, 1, "b@x"), mail(3, 2, "c@x")]
    found = look(batch, {batch[0].key: at(State.IN_DOUBT, batch[0])}, Mode.SEND, looked=True)
    assert (found.to_send, found.to_settle, found.mails, found.people) == (1, 0, 1, 1)
