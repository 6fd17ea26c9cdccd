"""Attachments that are files: types by name, what is said of them, and what leaves of them."""

from __future__ import annotations

import mimetypes
from typing import Any

import pytest

from bulkmsg.diagnostic import Severity
from bulkmsg.message import Mode
from bulkmsg.readers.attached import Attached, Unfit
from bulkmsg.settings import Attachments
from bulkmsg.validation import attachments
from bulkmsg.validation.attachments import as_known, as_sent, choice_troubles, guessed_type, look_at
from bulkmsg.validation.checks import Trouble

SIZES = {"empty.txt": 0, "large.zip": 10_000_000, "odd": 5}


def look(name: str) -> Attached | Unfit:
    """A folder that holds everything but what is missing."""
    if name == "missing":
        return Unfit("BM420", "it is not there", "look")
    return Attached(f"/batch/{name}", f"hash of {name}", SIZES.get(name, 7), (1, 2))


def told(*items: dict[str, Any], mode: Mode = Mode.IMPORT) -> list[tuple[str, tuple[str | int, ...], Severity]]:
    troubles: list[Trouble] = []
    look_at({"attachments": list(items)}, mode, look, troubles)
    return [(each.rule, each.path[1:], each.level) for each in troubles]


def body(*items: dict[str, Any], choice: Attachments = Attachments.UPLOAD) -> dict[str, Any]:
    fields = {"body_text": "Hi", "attachments": list(items)}
    return as_sent(fields, look_at(fields, Mode.IMPORT, look, []), choice)


def known(*items: dict[str, Any]) -> Any:
    return as_known(list(items), look_at({"attachments": list(items)}, Mode.IMPORT, look, []))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("12.pdf", "application/pdf"),
        ("A.B.PDF", "application/pdf"),
        ("photo.JPG", "image/jpeg"),
        ("letter.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("list.csv", "text/csv"),
        ("all.tar.gz", "application/gzip"),
        ("picture.svgz", None),
        ("notes", None),
        ("pdf", None),
        ("data:text/html,x", None),
    ],
)
def test_types_by_name(name: str, kind: str | None) -> None:
    assert guessed_type(name) == kind


def test_types_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "inited", False)
    attachments._types.cache_clear()
    monkeypatch.setattr(mimetypes, "knownfiles", [])
    assert guessed_type("letter.docx") is not None
    assert guessed_type("invoice.zzz") is None
    attachments._types.cache_clear()


def test_nothing_is_said_of_a_good_file_nor_of_what_is_no_file() -> None:
    assert told({"file": "a.pdf"}, {"url": "https://x.example/a"}, {"file": ""}, {"file": 3}) == []
    assert look_at({"attachments": "no list"}, Mode.IMPORT, look, []) == ()


def test_what_is_wrong_with_a_file_is_told_at_the_value_that_must_change() -> None:
    assert told({"file": "a.pdf"}, {"file": "missing"}) == [("BM420", (1, "file"), Severity.ERROR)]
    assert told({"file": "a.pdf", "size": 8}) == [("BM422", (0, "size"), Severity.ERROR)]
    assert told({"file": "a.pdf", "size": 7}) == []
    assert told({"file": "odd"}) == [("BM424", (0, "file"), Severity.WARNING)]
    assert told({"file": "odd", "content_type": "text/plain"}) == []
    assert told({"file": "a.pdf", "name": "a\r\nX: y.pdf"}) == [("BM410", (0, "name"), Severity.ERROR)]
    assert told({"file": "b/a\n.pdf"}) == [("BM410", (0, "file"), Severity.ERROR)]


def test_an_empty_file_is_an_error_where_it_would_be_mailed() -> None:
    assert told({"file": "empty.txt"}) == [("BM422", (0, "file"), Severity.WARNING)]
    assert told({"file": "empty.txt"}, mode=Mode.SEND) == [("BM422", (0, "file"), Severity.ERROR)]


def test_a_list_that_the_schema_refuses_is_not_looked_at() -> None:
    assert told(*[{"file": "missing"}] * 500) != []
    assert told(*[{"file": "missing"}] * 501) == []
    many = attachments.too_many({"attachments": [{}] * 2000})
    assert many is not None
    assert (many.rule, many.message) == ("BM205", "attachments has 2,000 items; at most 500 are allowed")
    assert attachments.too_many({"attachments": [{}] * 500}) is None


def test_the_files_of_a_message_are_large_together() -> None:
    assert told({"file": "large.zip"}) == []
    assert told({"file": "large.zip"}, {"file": "large.zip"}) == [("BM423", (0, "file"), Severity.WARNING)]


def test_a_file_to_be_uploaded_has_no_address_before_it_is() -> None:
    sent = body({"file": "in/a.pdf", "url": "https://x.example/a", "public": False}, {"url": "https://x.example/b"})
    assert sent["attachments"] == [
        {"public": False, "name": "a.pdf", "content_type": "application/pdf", "size": 7},
        {"url": "https://x.example/b"},
    ]


def test_with_link_the_address_that_was_given_leaves_and_with_skip_nothing() -> None:
    item = {"file": "in/a.pdf", "url": "https://x.example/a"}
    linked = body(item, choice=Attachments.LINK)["attachments"]
    assert linked == [{"url": "https://x.example/a", "name": "a.pdf", "content_type": "application/pdf", "size": 7}]
    assert body(item, choice=Attachments.SKIP) == {"body_text": "Hi"}


def test_a_choice_that_loses_something_is_an_error() -> None:
    file, link = {"file": "a.pdf"}, {"url": "https://x.example/a"}

    def troubles(fields: dict[str, Any], choice: Attachments) -> list[tuple[str | int, ...]]:
        return [each.path for each in choice_troubles(fields, choice)]

    assert troubles({"attachments": [link, file]}, Attachments.LINK) == [("attachments", 1, "file")]
    assert troubles({"attachments": [{**file, **link}]}, Attachments.LINK) == []
    assert troubles({"attachments": [link]}, Attachments.SKIP) == [("attachments",)]
    assert troubles({"attachments": [link], "body_html": "<p>Hi</p>"}, Attachments.SKIP) == []
    assert troubles({"attachments": [], "body_text": ""}, Attachments.SKIP) == []
    assert troubles({"attachments": [file]}, Attachments.UPLOAD) == []


def test_a_file_is_known_by_what_it_holds_its_name_and_a_given_type() -> None:
    same = known({"file": "a.pdf"})
    assert same == [{"url": "sha256:hash of a.pdf", "name": "a.pdf"}]
    assert known({"file": "a.pdf", "size": 7}) == same
    assert known({"file": "a.pdf", "url": "https://x.example/signed?expires=1"}) == same
    assert known({"file": "a.pdf", "name": "b.pdf"}) != same
    assert known({"file": "a.pdf", "content_type": "text/plain"}) != same
    assert known({"file": "b.pdf", "name": "a.pdf"}) != same, "it holds something else"
