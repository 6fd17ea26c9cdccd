"""Listings as they are read: what is a page, which is the last, and what proves nothing; answers to uploads."""

from __future__ import annotations

from typing import Any

import pytest

from bulkmsg.gorgias import wire
from bulkmsg.gorgias.wire import PAGE_SIZE, Page, read_page
from bulkmsg.message import Upload
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


# -- uploads ----------------------------------------------------------------------------------------------------------

FILE = Upload(0, "in/12.pdf", "/batch/in/12.pdf", "0" * 64, 48213, (1,), "Rechnung ä.pdf", "application/pdf")
STORED = {"content_type": "image/png", "name": "Rechnung%20%C3%A4.pdf", "size": "48213", "url": "https://f.example/12"}


def uploaded(json: Any, status: int = 201, *, is_json: bool = True) -> dict[str, Any] | str:
    return wire.read_upload(Reply(Contact.ANSWERED, status, json, is_json), FILE)


def test_an_upload_goes_to_the_private_kind_and_carries_no_body_of_its_own() -> None:
    asked = wire.upload(FILE)
    assert (asked.method, asked.path, asked.query) == ("POST", "/api/upload", (("type", "attachment"),))
    assert (asked.body, asked.upload) == (None, FILE)


def test_what_an_upload_answers_goes_into_the_message_under_our_name() -> None:
    item = {"content_type": "image/png", "name": "Rechnung ä.pdf", "size": 48213, "url": "https://f.example/12"}
    assert uploaded([STORED]) == item
    assert uploaded([{**STORED, "size": 48213, "extra": "x"}]) == item


@pytest.mark.parametrize("odd", [None, -1, "many", "", "1e3", 3.5, True, "٣", "9" * 30, []])
def test_an_odd_size_is_ours(odd: Any) -> None:
    told = uploaded([{**STORED, "size": odd}])
    assert isinstance(told, dict)
    assert told["size"] == 48213


@pytest.mark.parametrize("odd", [None, "", 3, "a\nb", "x" * 300])
def test_an_odd_type_is_ours(odd: Any) -> None:
    told = uploaded([{**STORED, "content_type": odd}])
    assert isinstance(told, dict)
    assert told["content_type"] == "application/pdf"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8089/f/12", "http://localhost/f", "http://[::1]:1/f", "https://f.example/ä"]
)
def test_addresses_that_are_believed(url: str) -> None:
    assert isinstance(uploaded([{**STORED, "url": url}]), dict)


@pytest.mark.parametrize(
    "url",
    [
        *(None, 3, "", "f/12", "http://f.example/12", "ftp://f.example/12", "https://", "https:///12", "https://[::1"),
        *("javascript:alert(1)", "https://user:pass@f.example/1", "https://f.example/a b", "https://f.example/\r\n"),
        pytest.param("https://f/" + "x" * 5000, id="long"),
    ],
)
def test_addresses_that_are_not_believed(url: Any) -> None:
    assert uploaded([{**STORED, "url": url}]) == (
        "the helpdesk answered 201 to an upload without the address of the file"
    )


@pytest.mark.parametrize("answer", [None, {}, [], "x", [STORED, STORED], [[STORED]], ["x"], STORED])
def test_answers_that_are_no_list_of_one_file_are_none(answer: Any) -> None:
    assert isinstance(uploaded(answer), str)
    assert isinstance(uploaded([STORED], is_json=False), str)
