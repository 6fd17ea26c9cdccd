"""Listings as they are read: what is a page, which is the last, and what proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bulkmsg.gorgias.wire import PAGE_SIZE, Page, read_page
from bulkmsg.ports import Contact, Reply

FULL = [{"id": number + 1} for number in range(PAGE_SIZE)]


def listing(data: Any, **more: Any) -> Reply:
    return Reply(Contact.ANSWERED, 200, {"object": "list", "data": data, **more}, True)


@pytest.mark.parametrize(
    ("meta", "following"),
    [
        ({"prev_cursor": None, "next_cursor": "abc"}, ("cursor", "abc")),
        ({"prev_cursor": "x", "next_cursor": None}, None),
        ({"page": 1, "nb_pages": 3}, ("page", "2")),
        ({"page": 1, "current_page": 3, "nb_pages": 3}, None),
    ],
)
def test_a_page_names_the_next_one_or_that_it_is_the_last(meta: dict[str, Any], following: Any) -> None:
    assert read_page(listing(FULL, meta=meta)) == Page(FULL, following)


@pytest.mark.parametrize("more", [{}, {"meta": {}}, {"meta": None}, {"meta": {"prev_cursor": None}}])
def test_a_full_page_that_does_not_say_whether_more_follows_proves_nothing(more: dict[str, Any]) -> None:
    assert isinstance(read_page(listing(FULL, **more)), str)
    assert read_page(listing(FULL[:-1], **more)) == Page(FULL[:-1], None)


def test_a_bare_list_is_a_page() -> None:
    assert read_page(Reply(Contact.ANSWERED, 200, [{"id": 1}], True)) == Page([{"id": 1}], None)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(Contact.ANSWERED, 200, None, False),
        Reply(Contact.ANSWERED, 404, {"data": []}, True),
        listing({}),
        listing(["x"]),
        Reply(Contact.ANSWERED, 200, "x", True),
    ],
)
def test_what_is_no_listing_is_told_in_words(reply: Reply) -> None:
    assert isinstance(read_page(reply), str)
