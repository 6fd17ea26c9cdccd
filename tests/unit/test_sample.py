"""Which tickets a sample takes: all that there is is shown, the same each time, and little is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkmsg.message import Kind, Message, NewTicket, Upload
from bulkmsg.sample import First, Sample, _Seen
from bulkmsg.traits import Rank, Trait, scripts, text_size, traits
from tests.fakes import message, named, new_ticket, thread

PLAIN = 200


def plain(count: int = PLAIN) -> list[Message]:
    return [message(number, number) for number in range(1, count + 1)]


def lanes(batch: list[Message], size: int) -> frozenset[str]:
    return Sample(size).lanes(batch)


def names(one: Message) -> set[str]:
    return {trait.name for trait in traits(one)}


def with_file(one: Message) -> Message:
    upload = Upload(0, "a.pdf", "/a.pdf", "0" * 64, 1, (1,), "a.pdf", "application/pdf")
    return replace(one, uploads=(upload,), body={**one.body, "attachments": [{"name": "a.pdf"}]})


ODD = {
    "a note": message(0, 5000, Kind.INTERNAL_NOTE),
    "an answer": message(0, 5000, Kind.OUTGOING),
    "another channel": message(0, 5000, channel="sms"),
    "a link": message(0, 5000, attachments=[{"url": "https://x.example/a"}]),
    "a file": with_file(message(0, 5000)),
    "several attachments": message(0, 5000, attachments=[{"url": "https://x.example/a"}] * 2),
    "a new ticket": new_ticket(0),
    "a named ticket": named(0, "z-1"),
    "HTML alone": message(0, 5000, body_text=None, body_html="<p>Hi</p>"),
    "no text": message(0, 5000, body_text=None),
    "a copy": message(0, 5000, source={"cc": [{"address": "a@x.example"}]}),
    "a hidden copy": message(0, 5000, source={"bcc": [{"address": "a@x.example"}]}),
    "two people": message(0, 5000, source={"to": [{"address": "a@x.example"}, {"address": "b@x.example"}]}),
    "an emoji": message(0, 5000, body_text="\N{GRINNING FACE}"),
    "Hebrew": message(0, 5000, subject="\N{HEBREW LETTER ALEF}"),
    "a field": message(0, 5000, meta={"a": 1}),
    "a long text": message(0, 5000, body_text="x" * 5000),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("place", [1, 77, PLAIN])
def test_a_sample_of_three_has_what_is_there_only_once(name: str, place: int) -> None:
    batch = plain()
    batch.insert(place, ODD[name])
    assert ODD[name].ticket.lane in lanes(batch, 3)


@pytest.mark.parametrize("apart", [False, True])
def test_the_longest_thread_is_in_it_whether_its_messages_follow_each_other_or_not(apart: bool) -> None:
    others = [message(number, number // 2) for number in range(2, 400)]
    long = [message(1000 + each, 150) for each in range(4)]
    batch = others[:300] + long + others[300:]
    if apart:
        batch = [one for each in range(4) for one in (*others[100 * each : 100 * each + 100], long[each])]
    assert "#150" in lanes(batch, 3)


def test_a_long_thread_is_found_among_more_tickets_than_are_counted() -> None:
    batch = [*plain(3000), *thread(7, 3), *[message(number, number) for number in range(3001, 9000)]]
    assert "+t-7" in lanes(batch, 3)


def test_fields_and_status_of_new_tickets_are_shown() -> None:
    batch = [new_ticket(number) for number in range(50)]
    assert isinstance(batch[30].ticket, NewTicket)
    closed = replace(batch[30].ticket, fields={**batch[30].ticket.fields, "status": "closed"})
    batch[30] = replace(batch[30], ticket=closed)
    assert closed.lane in lanes(batch, 3)


def test_the_first_ticket_is_always_in_it_so_that_a_lost_log_is_noticed() -> None:
    """A run without a log looks for the batch's first message: if a sample had left it out, all would go again."""
    for size in (1, 2, 5):
        assert "#1" in lanes([*plain(), *ODD.values()], size)


def test_a_sample_as_large_as_the_batch_is_the_batch() -> None:
    batch = [*plain(20), message(99, 3)]
    for size in (20, 21, 500):
        assert lanes(batch, size) == {f"#{number}" for number in range(1, 21)}


def test_what_is_left_is_spread_over_the_batch() -> None:
    places = sorted(int(lane[1:]) for lane in lanes(plain(10_000), 50))
    assert len(places) == 50
    assert max(after - before for before, after in pairwise(places)) < 800
    assert places[-1] > 9_500


def test_generated_names_of_another_account_do_not_change_the_sample() -> None:
    here = [new_ticket(number) for number in range(300)]
    there = []
    for one in here:
        assert isinstance(one.ticket, NewTicket)
        there.append(replace(one, ticket=replace(one.ticket, external_id="other-" + one.ticket.external_id)))
    assert {"+other-" + lane[1:] for lane in lanes(here, 20)} == lanes(there, 20)


def any_message() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "ticket": st.integers(1, 30),
            "kind": st.sampled_from(list(Kind)),
            "channel": st.sampled_from(["email", "chat", "sms", "phone"]),
            "body_text": st.sampled_from(["a", "\N{CYRILLIC SMALL LETTER A}", "\N{HIRAGANA LETTER A}", None]),
        },
        optional={"subject": st.just("s"), "meta": st.just({}), "attachments": st.just([{"url": "u"}])},
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(any_message(), min_size=1, max_size=80), st.integers(1, 60))
def test_a_sample_has_its_size_its_traits_and_is_the_same_again(drawn: list[dict[str, Any]], size: int) -> None:
    batch = [message(number, **fields) for number, fields in enumerate(drawn)]
    chosen = lanes(batch, size)
    everything = {trait for one in batch for trait in traits(one)}
    shown = {trait for one in batch if one.ticket.lane in chosen for trait in traits(one)}
    assert len(chosen) == min(size, len({one.ticket.lane for one in batch}))
    assert chosen == lanes(list(batch), size)
    if size >= len(everything) + 3:  # each ticket chosen shows a trait more; three are of the whole batch
        assert shown == everything
    kinds = {one.kind for one in batch}
    if size > len(kinds):
        assert {one.kind for one in batch if one.ticket.lane in chosen} == kinds


def test_memory_does_not_grow_with_the_batch_nor_with_names_of_channels() -> None:
    def kept(count: int) -> int:
        seen = _Seen(20)
        for number in range(count):
            seen.add(f"#{number}", iter([message(number, number, channel=f"channel-{number}")]))
        candidates = {each.lane for kept in seen._kept.values() for each in kept}
        return len(candidates) + len(seen._spread.places) + len(seen._spread._highest) + len(seen._lengths.counts)

    assert kept(20_000) <= kept(5_000) + 2_100  # lengths are counted of 4,096 tickets at most
    assert kept(20_000) < 5_000


def test_only_as_much_is_read_as_the_first_tickets_need() -> None:
    def endless() -> Iterator[Message]:
        number = 0
        while True:
            number += 1
            yield message(number, number // 2)

    assert First(3).lanes(endless()) == {"#0", "#1", "#2"}
    assert First(9).lanes(islice(endless(), 4)) == {"#0", "#1", "#2"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", set()),
        ("Zo\u00eb", {"latin"}),
        ("\u0416\u05d0\u3042\ud55c\u4e2d", {"cyrillic", "hebrew", "hiragana", "hangul", "cjk"}),
        ("\U0001f600", {"symbols beyond 16 bits, such as emoji"}),
        ("\u2013\u00a0\u0301\u200f", {"signs", "blanks", "combining marks", "invisible"}),
        ("\ud800", {"invisible"}),
    ],
)
def test_scripts_are_told_apart(text: str, found: set[str]) -> None:
    assert scripts([text]) == found


def test_what_a_message_shows_is_named() -> None:
    one = message(1, attachments=[{"url": "u"}, {"url": "v"}], source={"to": [{"address": "a@x.example"}]})
    assert Trait(Rank.TYPE, "incoming") in set(traits(one))
    assert {"email", "several attachments", "link", "ticket by id", "body_text", "to", "field via"} <= names(one)
    assert {"file", "one attachment"} <= names(with_file(message(1)))
    assert "link" not in names(with_file(message(1)))
    assert text_size(message(1, body_text="abc", subject="de", body_html=None)) == 5
