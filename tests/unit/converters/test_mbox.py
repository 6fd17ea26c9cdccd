"""Mails to messages: every rule and trap of mbox files and .eml folders."""

from __future__ import annotations

import base64
import itertools
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bulkmsg import json_text
from bulkmsg.app.convert import Conversion
from bulkmsg.cli.convert import ConvertArgs, command, conversion_of
from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch, UsageError
from bulkmsg.readers.mail import mail_records
from bulkmsg.readers.mbox import RawMail, mails
from bulkmsg.readers.records import Record
from tests.unit.converters import kit
from tests.unit.converters.mail_kit import CUSTOMER, OWN, file_part, mail, mbox, multipart, text_part

READING = Reading(own=("acme.example",))


def convert(folder: Path, *found: str | bytes, reading: Reading = READING, **options: Any) -> kit.Result:
    return kit.convert("mbox", {"all.mbox": mbox(*found)}, folder, reading=reading, **options)


def of_files(folder: Path, files: dict[str, Any], **options: Any) -> kit.Result:
    return kit.convert("mbox", files, folder, reading=options.pop("reading", READING), **options)


class Bytes:
    """A file in memory that gives a few bytes at a time."""

    name = "x.mbox"

    def __init__(self, data: bytes, step: int) -> None:
        self._rest, self._step = memoryview(data), step

    def read(self, size: int = -1) -> bytes:
        data, self._rest = self._rest[: self._step], self._rest[self._step :]
        return bytes(data)


def split(data: bytes, step: int = 1 << 16, most: int = 1 << 20) -> list[Any]:
    return list(mails(Bytes(data, step), most))


# -- where a mail begins ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "From jane@example.com  Fri Mar  1 10:00:00 2024",
        "From jane@example.com",
        "From -",
        "From - Fri Mar 01 10:00:00 2024",
        "From 1792600000000000000@xxx Fri Mar 01 10:00:00 +0000 2024",
        "From 1792600000000000000@xxx",
        "From MAILER-DAEMON Fri Mar  1 10:00:00 2024",
    ],
)
def test_all_kinds_of_lines_part_mails(line: str) -> None:
    data = mbox(mail("1@x"), mail("2@x"), line=line)
    assert [each.envelope for each in split(data)] == [line, line]


@pytest.mark.parametrize(
    "body",
    [
        "From here on we wait.\nnote: nothing\n",
        "From what I read\n\nnote: nothing\n",
        "From jane@example.com I heard\nnote: nothing\n",
        "From jane@example.com\nhttps://example.com/\n",
        "From jane@example.com\n\nSubject: none\n",
        "From \nSubject: none\n",
    ],
)
def test_a_line_of_text_that_begins_with_from_parts_nothing(body: str) -> None:
    data = b"From - \n" + mail("1@x", body=body).encode() + b"From -\n" + mail("2@x").encode()
    first, _ = split(data)
    assert first.data.endswith(body.encode())


def test_mails_without_a_blank_line_between_them_are_parted() -> None:
    data = b"From -\n" + mail("1@x", body="end").encode() + b"\nFrom -\n" + mail("2@x").encode()
    assert len(split(data)) == 2


def test_lines_may_end_in_crlf_or_in_both() -> None:
    one, two = mbox(mail("1@x")), mbox(mail("2@x"))
    assert len(split(one.replace(b"\n", b"\r\n") + two)) == 2


def test_a_byte_order_mark_does_not_hide_the_first_mail() -> None:
    assert len(split(b"\xef\xbb\xbf" + mbox(mail("1@x"), mail("2@x")))) == 2


def test_a_mail_whose_separator_was_cut_off_is_kept() -> None:
    data = mail("0@x").encode() + b"\n" + mbox(mail("1@x"))
    assert [each.line for each in split(data)] == [1, 9]


def test_the_same_mails_come_whatever_the_steps_of_reading() -> None:
    data = mbox(*(mail(f"{number}@x", body="From here\n" * number + ">From there\n") for number in range(9)))
    whole = split(data)
    assert len(whole) == 9
    assert all(split(data, step) == whole for step in (1, 7, 64, 4096))


def test_lines_are_those_of_the_file() -> None:
    data = mbox(mail("1@x", body="a\nb\n"), mail("2@x"))
    assert [data.splitlines()[each.line - 1][:5] for each in split(data)] == [b"From "] * 2


def test_quoted_lines_lose_one_mark(tmp_path: Path) -> None:
    found = convert(tmp_path, mail(body="From afar\n>From a quote\n> From a reply\n"))
    assert found.message()["body_text"] == "From afar\n>From a quote\n> From a reply"


def test_an_eml_file_is_one_mail_whatever_it_holds(tmp_path: Path) -> None:
    body = ">From afar\nFrom -\nSubject: inside\n"
    found = of_files(tmp_path, {"one.eml": mail(body=body)})
    assert [each["body_text"] for each in found.messages] == [body.strip()]


def test_a_folder_of_eml_files_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    files = {f"mails/{number}.eml": mail(f"{number}@x", subject=f"S{number}") for number in (1, 2, 10)}
    kit.written(tmp_path / "in", files)
    assert len(of_files(tmp_path, files).messages) == 3


def test_a_mail_that_is_too_large_is_a_finding_and_the_rest_goes_on() -> None:
    data = mbox(mail("1@x"), mail("2@x", body="word\n" * 20_000), mail("3@x"))
    for step in (64, 1 << 16):
        first, large, last = split(data, step, most=10_000)
        assert isinstance(first, RawMail) and isinstance(last, RawMail)
        assert (large.rule, large.line) == ("BM115", 10)
        assert "larger than" in large.message


def test_memory_does_not_grow_with_the_file() -> None:
    class Long:
        name = "x.mbox"

        def __init__(self, count: int) -> None:
            one = mbox(mail("1@x", body="word word\n" * 1000))
            self.parts = itertools.repeat(one, count)

        def read(self, size: int = -1) -> bytes:
            return next(self.parts, b"")

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in mails(Long(count))) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(2000) < 1 << 18, "20 MB went through"


@pytest.mark.parametrize("step", [1, 50, 333])
def test_a_file_cut_anywhere_gives_no_error_and_keeps_all_whole_mails(tmp_path: Path, step: int) -> None:
    headers, body = multipart("mixed", text_part("Hello"), file_part("a.pdf"))
    data = mbox(mail("1@x"), mail("2@x", body=body, headers=headers))
    start = len(mbox(mail("1@x")))
    for end in range(start, len(data), max(step, 37)):
        found = of_files(tmp_path / f"{end}", {"x.mbox": data[:end]})
        assert "mbox-1@x" in {each["external_id"] for each in found.messages}


def test_a_mail_that_ends_within_a_part_is_told(tmp_path: Path) -> None:
    headers, body = multipart("mixed", text_part("Hello"), text_part("more"))
    found = convert(tmp_path, mail(body=body.replace("--=bound--\n", ""), headers=headers))
    assert found.notes["cut"] == 1


# -- coming in and going out -----------------------------------------------------------------------------------------


def test_own_addresses_and_domains_decide_the_direction(tmp_path: Path) -> None:
    found = convert(
        tmp_path,
        mail("1@x"),
        mail("2@x", by=f"Anna <{OWN}>", to=CUSTOMER),
        mail("3@x", by="help@shop.example", to=CUSTOMER),
        reading=Reading(own=("acme.example", "help@shop.example")),
    )
    assert found.types == ["incoming", "outgoing", "outgoing"]


def test_an_outgoing_mail_names_its_author_its_customer_and_the_addresses_on_the_wire(tmp_path: Path) -> None:
    one = mail("1@x", by="Anna <anna@acme.example>", to="Jane <jane@example.com>", headers={"Cc": "bob@example.com"})
    sent = convert(tmp_path, one).message()
    assert sent["sender"] == {"email": OWN}
    assert sent["receiver"] == {"email": CUSTOMER}
    assert sent["source"] == {
        "from": {"address": OWN, "name": "Anna"},
        "to": [{"address": CUSTOMER, "name": "Jane"}],
        "cc": [{"address": "bob@example.com"}],
    }
    assert sent["sent_datetime"] == "2024-03-01T10:00:00Z"


def test_without_own_addresses_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="came in or went out") as refused:
        convert(tmp_path, mail(), reading=Reading())
    assert "--own" in refused.value.hint


def test_a_domain_that_only_ends_alike_is_not_own(tmp_path: Path) -> None:
    assert convert(tmp_path, mail(by="eve@notacme.example")).types == ["incoming"]


def test_a_mail_to_oneself_comes_in_and_is_told(tmp_path: Path) -> None:
    found = convert(tmp_path, mail(by=OWN, to="support@acme.example"))
    assert (found.types, found.notes["own-to-own"]) == (["incoming"], 1)


@pytest.mark.parametrize("header", ["Reply-To", "X-Original-From"])
def test_a_contact_form_is_by_whom_it_names_only_when_asked(tmp_path: Path, header: str) -> None:
    form = mail(by="Shop <form@acme.example>", headers={header: f"Jane <{CUSTOMER}>"})
    plain = convert(tmp_path / "a", form)
    assert (plain.message()["sender"], plain.notes["reply-to"]) == ({"email": "form@acme.example"}, 1)
    asked = convert(tmp_path / "b", form, reading=Reading(own=("acme.example",), reply_to=True))
    assert (asked.message()["sender"], asked.types) == ({"email": CUSTOMER}, ["incoming"])


def test_of_several_authors_the_sender_counts_else_the_first(tmp_path: Path) -> None:
    both = "bob@example.com, jane@example.com"
    found = convert(tmp_path, mail("1@x", by=both, headers={"Sender": CUSTOMER}), mail("2@x", by=both))
    assert [each["sender"]["email"] for each in found.messages] == [CUSTOMER, "bob@example.com"]


@pytest.mark.parametrize("line", ["undisclosed-recipients:;", ""])
def test_recipients_that_nobody_names_are_no_error(tmp_path: Path, line: str) -> None:
    found = convert(tmp_path, mail(to=line))
    assert found.message()["source"]["to"] == [{"address": kit.MAILBOX}]


def test_a_mail_out_to_nobody_named_is_a_finding(tmp_path: Path) -> None:
    found = convert(tmp_path, mail("1@x"), mail("2@x", by=OWN, to="undisclosed-recipients:;"))
    assert (found.types, found.findings) == (["incoming"], {"no-recipient": 1})


@pytest.mark.parametrize(
    ("line", "email"),
    [
        ("Doe, Jane <jane@example.com>", CUSTOMER),
        ('"Doe, Jane" <jane@example.com>', CUSTOMER),
        ("J\u00fcrgen <jane@example.com>", CUSTOMER),
        ("=?utf-8?q?=3Ceve=40evil=2Eexample=3E?= <jane@example.com>", CUSTOMER),
        ("Jane <jane@example.com", CUSTOMER),
        ("jane@example.com (Jane)", CUSTOMER),
        ("Group: jane@example.com, bob@example.com;", CUSTOMER),
    ],
)
def test_odd_from_lines_give_the_address_that_was_meant(tmp_path: Path, line: str, email: str) -> None:
    assert convert(tmp_path, mail(by=line)).message()["sender"] == {"email": email}


@pytest.mark.parametrize("line", ["<>", "Jane Doe", "nobody at example.com"])
def test_a_mail_without_an_address_follows_missing_email(tmp_path: Path, line: str) -> None:
    whole = mail("2@x")
    assert convert(tmp_path / "a", mail(by=line), whole).findings == {"no-email": 1}
    stand_in = convert(tmp_path / "b", mail("a/b@x", by=line), missing_email="placeholder").message()
    assert stand_in["sender"]["email"].endswith("@missing.invalid")


# -- conversations ---------------------------------------------------------------------------------------------------


def thread() -> list[str]:
    return [
        mail("1@x"),
        mail("2@x", by=OWN, to=CUSTOMER, date="Fri, 01 Mar 2024 11:00:00 +0000", headers={"In-Reply-To": "<1@x>"}),
        mail("3@x", date="Fri, 01 Mar 2024 12:00:00 +0000", headers={"References": "<1@x>\n <2@x>"}),
        mail("4@x", date="Fri, 01 Mar 2024 13:00:00 +0000", headers={"In-Reply-To": "Jane's mail <3@x>"}),
    ]


def test_replies_join_by_message_id_in_reply_to_and_references(tmp_path: Path) -> None:
    (ticket,) = convert(tmp_path, *thread()).tickets
    assert ticket["external_id"] == "mbox-1@x"
    assert [each["external_id"] for each in ticket["messages"]] == [f"mbox-{number}@x" for number in (1, 2, 3, 4)]


def test_any_order_of_mails_gives_the_same_tickets(tmp_path: Path) -> None:
    wanted = convert(tmp_path / "wanted", *thread()).tickets
    for number, order in enumerate(itertools.permutations(thread())):
        assert convert(tmp_path / str(number), *order).tickets == wanted


def test_a_thread_whose_first_mail_is_missing_still_joins_and_keeps_its_name_when_it_grows(tmp_path: Path) -> None:
    (part,) = convert(tmp_path / "a", *thread()[1:3]).tickets
    (whole,) = convert(tmp_path / "b", *thread()[1:], mail("0@x", headers={"References": "<1@x>"})).tickets
    assert part["external_id"] == whole["external_id"] == "mbox-1@x"


def test_two_threads_that_a_late_mail_joins_get_the_older_name(tmp_path: Path) -> None:
    late = mail("9@x", date="Sat, 02 Mar 2024 10:00:00 +0000", headers={"References": "<b@x> <a@x>"})
    old, new = mail("a@x"), mail("b@x", date="Fri, 01 Mar 2024 12:00:00 +0000")
    for number, order in enumerate(itertools.permutations((old, new, late))):
        (ticket,) = convert(tmp_path / str(number), *order).tickets
        assert ticket["external_id"] == "mbox-a@x"


def test_mails_that_name_each_other_in_a_circle_are_one_ticket(tmp_path: Path) -> None:
    one, two = mail("1@x", headers={"In-Reply-To": "<2@x>"}), mail("2@x", headers={"In-Reply-To": "<1@x>"})
    assert len(convert(tmp_path, one, two).tickets) == 1


def test_gmails_thread_comes_before_references(tmp_path: Path) -> None:
    same = {"X-GM-THRID": "179260", "X-Gmail-Labels": "Inbox"}
    found = convert(
        tmp_path,
        mail("1@x", headers=same),
        mail("2@x", headers=same),
        mail("3@x", headers={"X-GM-THRID": "179261", "References": "<1@x>"}),
    )
    assert [each["external_id"] for each in found.tickets] == ["mbox-179260", "mbox-179261"]
    assert [len(each["messages"]) for each in found.tickets] == [2, 1]


def test_mails_without_any_id_join_by_subject_and_counterpart(tmp_path: Path) -> None:
    found = convert(
        tmp_path,
        mail("", subject="Kettle"),
        mail("", by=OWN, to=CUSTOMER, subject="AW: Re: Kettle", body="It is blue.\n"),
        mail("", by="bob@example.com", subject="Kettle", body="Mine too\n"),
    )
    assert sorted(len(each["messages"]) for each in found.tickets) == [1, 2]
    assert len({each["external_id"] for each in found.messages}) == 3


def test_the_same_words_in_mails_with_ids_join_nothing(tmp_path: Path) -> None:
    assert len(convert(tmp_path, mail("1@x"), mail("2@x", subject="Re: Order")).tickets) == 2


def test_a_mail_in_two_labels_or_mailboxes_counts_once_and_the_first_is_kept(tmp_path: Path) -> None:
    copy = mail("1@x", headers={"Received": "by mx.example; Fri, 01 Mar 2024 10:00:09 +0000"}, body="Copy\n")
    files = {"Inbox.mbox": mbox(mail("1@x")), "Sent.mbox": mbox(copy)}
    found = of_files(tmp_path, files)
    assert [each["body_text"] for each in found.messages] == ["Where is it?"]
    assert found.skips == {"a repeated record: another version of it counts": 1}


def test_different_mails_that_share_a_message_id_are_both_kept(tmp_path: Path) -> None:
    found = convert(tmp_path, mail("1@x"), mail("1@x", by="bob@example.com", body="Another\n"))
    assert len({each["external_id"] for each in found.messages}) == 2
    assert (found.message()["external_id"], found.notes["id-reused"]) == ("mbox-1@x", 1)


def test_long_message_ids_that_begin_alike_stay_two(tmp_path: Path) -> None:
    found = convert(tmp_path, mail("a" * 300 + "1@x"), mail("a" * 300 + "2@x"))
    assert len({each["external_id"] for each in found.messages}) == len(found.tickets) == 2


def test_a_ticket_is_closed_unless_the_map_says_otherwise(tmp_path: Path) -> None:
    assert convert(tmp_path / "a", mail()).tickets[0]["status"] == "closed"
    assert convert(tmp_path / "b", mail(), statuses={"closed": "open"}).tickets[0]["status"] == "open"


def test_a_tickets_subject_is_the_first_mails_without_re(tmp_path: Path) -> None:
    found = convert(tmp_path, mail(subject="Re: Fwd: AW: Order"))
    assert (found.tickets[0]["subject"], found.message()["subject"]) == ("Order", "Re: Fwd: AW: Order")


# -- what is left out, and what nobody wrote by hand -----------------------------------------------------------------


@pytest.mark.parametrize("label", ["Drafts", "Spam", "Trash", "Chat", "Entw\u00fcrfe", "Corbeille", '"Spam"'])
def test_labels_of_what_is_no_conversation_are_skipped(tmp_path: Path, label: str) -> None:
    word = base64.b64encode(f"Opened,{label}".encode()).decode()
    left = mail("2@x", headers={"X-Gmail-Labels": f"=?UTF-8?B?{word}?="})
    found = convert(tmp_path, mail("1@x"), left)
    assert len(found.messages) == 1
    assert found.skips == {f"the label {label.strip(chr(34))}": 1}


def test_more_labels_can_be_skipped(tmp_path: Path) -> None:
    one = mail("2@x", headers={"X-Gmail-Labels": "Inbox,Private things"})
    reading = Reading(own=("acme.example",), skip_labels=("private things",))
    assert convert(tmp_path, mail("1@x"), one, reading=reading).skips == {"the label Private things": 1}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Mozilla-Status": "0009"}, "deleted in the mail program"),
        ({"X-Status": "D"}, "deleted in the mail program"),
        ({"X-Status": "T"}, "a draft"),
    ],
)
def test_what_a_mail_program_only_marked_as_deleted_is_skipped(
    tmp_path: Path, headers: dict[str, str], reason: str
) -> None:
    kept = mail("1@x", headers={"X-Mozilla-Status": "0001"})
    assert convert(tmp_path, kept, mail("2@x", headers=headers)).skips == {reason: 1}


AUTOMATIC = [
    {"Auto-Submitted": "auto-replied (vacation)"},
    {"Precedence": "bulk"},
    {"Precedence": "auto_reply"},
    {"X-Autoreply": "yes"},
    multipart("report", text_part("It bounced."), more="; report-type=delivery-status")[0],
]


@pytest.mark.parametrize("headers", AUTOMATIC)
def test_automatic_mails_and_bounces_are_flagged_and_can_be_skipped(tmp_path: Path, headers: dict[str, str]) -> None:
    body = multipart("report", text_part("It bounced."))[1]
    found = convert(tmp_path / "a", mail("1@x"), mail("2@x", headers=headers, body=body))
    assert [each["meta"].get("flags") for each in found.messages] == [None, ["automation"]]
    reading = Reading(own=("acme.example",), bots="skip")
    skipped = convert(tmp_path / "b", mail("1@x"), mail("2@x", headers=headers, body=body), reading=reading)
    assert skipped.skips == {"sent automatically (--bots skip)": 1}


def test_a_mail_that_says_it_was_not_sent_automatically_has_no_flag(tmp_path: Path) -> None:
    assert "flags" not in convert(tmp_path, mail(headers={"Auto-Submitted": "no"})).message()["meta"]


def test_automatic_mails_can_be_notes(tmp_path: Path) -> None:
    one = mail("1@x", by=OWN, to=CUSTOMER, headers={"Auto-Submitted": "auto-replied"})
    reading = Reading(own=("acme.example",), bots="note")
    assert convert(tmp_path, one, reading=reading).types == ["internal-note"]


def test_a_bounce_keeps_its_report_and_the_mail_inside_as_files(tmp_path: Path) -> None:
    status = (
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; a@b.c\n"
    )
    inside = "Content-Type: message/rfc822\n\n" + mail("9@x", subject="The first", body="Words of the first\n")
    headers, body = multipart("report", text_part("It bounced."), status, inside)
    message = convert(tmp_path, mail(headers=headers, body=body)).message()
    assert message["body_text"] == "It bounced."
    assert [each["name"] for each in message["attachments"]] == ["part-1.txt", "The first.eml"]


# -- dates -----------------------------------------------------------------------------------------------------------

RECEIVED = {"Received": "from a by b; Fri, 01 Mar 2024 12:00:00 +0200"}


@pytest.mark.parametrize(
    ("date", "headers", "sent", "note"),
    [
        ("Fri, 01 Mar 2024 10:00:00 -0000", {}, "2024-03-01T10:00:00Z", None),
        ("Fri, 01 Mar 2024 10:00:00 +0200", {}, "2024-03-01T08:00:00Z", None),
        ("1 Mar 24 10:00 GMT", {}, "2024-03-01T10:00:00Z", None),
        ("Fri, 01 Mar 2024\n 10:00:00 +0000 (UTC)", {}, "2024-03-01T10:00:00Z", None),
        ("", RECEIVED, "2024-03-01T10:00:00Z", "date-received"),
        ("yesterday", RECEIVED, "2024-03-01T10:00:00Z", "date-received"),
        ("Thu, 01 Jan 1970 00:00:00 +0000", RECEIVED, "2024-03-01T10:00:00Z", "date-received"),
        ("Fri, 01 Mar 2124 10:00:00 +0000", RECEIVED, "2024-03-01T10:00:00Z", "date-received"),
        ("", {}, "2024-03-01T10:00:00Z", "date-envelope"),
        ("Fri, 32 Mar 2024 10:00:00 +9999", {}, "2024-03-01T10:00:00Z", "date-envelope"),
    ],
)
def test_a_missing_or_odd_date_gives_way_to_the_next_best(
    tmp_path: Path, date: str, headers: dict[str, str], sent: str, note: str | None
) -> None:
    found = convert(tmp_path, mail(date=date, headers=headers))
    assert found.message()["sent_datetime"] == sent
    assert [name for name in found.notes if name.startswith("date-")] == ([note] if note else [])


def test_gmails_separator_has_its_zone_before_the_year(tmp_path: Path) -> None:
    line = "From 179260@xxx Fri Mar 01 10:00:00 +0000 2024"
    found = of_files(tmp_path, {"x.mbox": mbox(mail(date=""), line=line)})
    assert found.message()["sent_datetime"] == "2024-03-01T10:00:00Z"


def test_a_mail_without_any_date_is_a_finding(tmp_path: Path) -> None:
    found = of_files(tmp_path, {"a.eml": mail("1@x", date=""), "b.eml": mail("2@x")})
    assert found.findings == {"no-time": 1}


# -- headers and charsets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        ("=?utf-8?q?K=C3=A4se?=", "K\u00e4se"),
        ("=?iso-8859-1?q?K=E4se?= =?utf-8?b?IHVuZA==?=", "K\u00e4se und"),
        ("=?utf-8?b?S8M=?= =?utf-8?b?pHNl?=", "K\u00e4se"),
        ("=?x-unknown?q?K=C3=A4se?=", "K\u00e4se"),
        ("=?windows-1252*en?q?K=E4se?=", "K\u00e4se"),
        ("=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="),
        ("\\ud83d =?utf-8?q?x?=", "\ufffd x"),
        ("a long\n line that\n\tis folded", "a long line that is folded"),
        ("K\u00e4se", "K\u00e4se"),
    ],
)
def test_subjects_are_decoded_and_unfolded(tmp_path: Path, raw: str, subject: str) -> None:
    assert convert(tmp_path, mail(subject=raw)).message()["subject"] == subject


def test_a_subject_in_raw_eight_bit_is_read(tmp_path: Path) -> None:
    one = mail(subject="K?se").encode().replace(b"K?se", b"K\xe4se")
    assert convert(tmp_path, one).message()["subject"] == "K\u00e4se"


@pytest.mark.parametrize(
    ("charset", "data", "text", "told"),
    [
        ("utf-8", b"K\xc3\xa4se \xe2\x82\xac", "K\u00e4se \u20ac", False),
        ("iso-8859-1", b"K\xe4se \x80", "K\u00e4se \u20ac", False),
        ("no-such-charset", b"K\xc3\xa4se", "K\u00e4se", True),
        ("no-such-charset", b"K\xe4se", "K\u00e4se", True),
        ("utf-8", b"K\xe4se", "K\u00e4se", True),
        ("gb2312", "\u9555".encode("gb18030"), "\u9555", False),
        ("iso-2022-jp", "\u65e5\u672c".encode("iso-2022-jp"), "\u65e5\u672c", False),
        ("us-ascii", b"K\xc3\xa4se", "K\u00e4se", False),
        ("", b"K\xe4se", "K\u00e4se", False),
        ("hex", b"4b", "4b", True),
        ("utf-7", b"a+2D3-b", "a+2D3-b", True),
    ],
)
def test_a_text_is_read_whatever_its_charset_claims(
    tmp_path: Path, charset: str, data: bytes, text: str, told: bool
) -> None:
    kind = f"text/plain; charset={charset}" if charset else "text/plain"
    found = convert(tmp_path, mail(body="", headers={"Content-Type": kind}).encode() + data)
    assert found.message()["body_text"] == text
    assert ("charset" in found.notes) is told


def test_the_encoding_that_is_given_counts_for_text_that_says_nothing(tmp_path: Path) -> None:
    data = mail(body="").encode() + "\u042f".encode("koi8-r")
    assert convert(tmp_path, data, encoding="koi8-r").message()["body_text"] == "\u042f"


def test_html_may_say_its_charset_itself(tmp_path: Path) -> None:
    markup = b'<meta charset="koi8-r"><p>' + "\u042f".encode("koi8-r") + b"</p>"
    found = convert(tmp_path, mail(body="", headers={"Content-Type": "text/html"}).encode() + markup)
    assert "<p>\u042f</p>" in found.message()["body_html"]


def test_nul_is_dropped(tmp_path: Path) -> None:
    assert convert(tmp_path, mail(body="a\0b\n")).message()["body_text"] == "ab"


# -- bodies and files ------------------------------------------------------------------------------------------------


def test_of_alternatives_both_bodies_are_kept(tmp_path: Path) -> None:
    headers, body = multipart("alternative", text_part("Hello"), text_part("<p>Hello</p>", "html"))
    message = convert(tmp_path, mail(headers=headers, body=body)).message()
    assert (message["body_text"], message["body_html"]) == ("Hello", "<p>Hello</p>")
    assert "attachments" not in message


def test_text_around_a_picture_is_kept_whole(tmp_path: Path) -> None:
    headers, body = multipart("mixed", text_part("Before"), file_part("a.png", kind="image/png"), text_part("After"))
    message = convert(tmp_path, mail(headers=headers, body=body)).message()
    assert message["body_text"] == "Before\n\nAfter"


def test_a_lists_footer_does_not_replace_the_html(tmp_path: Path) -> None:
    headers, body = multipart("mixed", text_part("<p>Hello</p>", "html"), text_part("a < b"))
    assert convert(tmp_path, mail(headers=headers, body=body)).message()["body_html"] == (
        "<p>Hello</p>\n<pre>a &lt; b</pre>"
    )


def test_signed_mails_have_their_text(tmp_path: Path) -> None:
    inner = 'Content-Type: multipart/alternative; boundary="in"\n\n--in\n' + text_part("Hello") + "\n--in--\n"
    headers, body = multipart("signed", inner, file_part("smime.p7s", kind="application/pkcs7-signature"))
    assert convert(tmp_path, mail(headers=headers, body=body)).message()["body_text"] == "Hello"


def test_an_encrypted_mail_is_kept_as_a_file_and_told(tmp_path: Path) -> None:
    sealed = "Content-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n"
    headers, body = multipart("encrypted", "Content-Type: application/pgp-encrypted\n\nVersion: 1\n", sealed)
    found = convert(tmp_path, mail(headers=headers, body=body))
    assert found.notes["encrypted"] == 1
    assert len(found.message()["attachments"]) == 2


def test_a_mail_inside_a_mail_is_a_file_and_its_text_stays_in_it(tmp_path: Path) -> None:
    inside = mail("9@x", subject="Inner", body="Inner words\n")
    headers, body = multipart("mixed", text_part("See below"), "Content-Type: message/rfc822\n\n" + inside)
    found = convert(tmp_path, mail(headers=headers, body=body))
    (file,) = found.message()["attachments"]
    assert (found.message()["body_text"], file["name"]) == ("See below", "Inner.eml")
    assert b"Inner words" in (found.folder / file["file"]).read_bytes()


def test_flowed_text_is_unwrapped(tmp_path: Path) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8; format=flowed"}
    body = "A line that \ngoes on\n> a quote \n> goes on\n From afar\n-- \nJane\n"
    text = "A line that goes on\n> a quote goes on\nFrom afar\n-- \nJane"
    assert convert(tmp_path, mail(headers=headers, body=body)).message()["body_text"] == text


def test_flowed_text_of_scripts_without_blanks_loses_those_of_its_lines(tmp_path: Path) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8; format=flowed; delsp=yes"}
    body = "\u65e5 \n\u672c\n"
    assert convert(tmp_path, mail(headers=headers, body=body)).message()["body_text"] == "\u65e5\u672c"


def test_files_are_written_beside_the_batch_and_named_in_it(tmp_path: Path) -> None:
    data = base64.b64encode(b"%PDF-1.4").decode()
    headers, body = multipart(
        "mixed", text_part("Hello"), file_part("Invoice 12.pdf", data, more="Content-Transfer-Encoding: base64\n")
    )
    found = convert(tmp_path, mail(headers=headers, body=body))
    (file,) = found.message()["attachments"]
    assert (file["name"], file["content_type"], file["size"]) == ("Invoice 12.pdf", "application/pdf", 8)
    assert (found.folder / file["file"]).read_bytes() == b"%PDF-1.4"
    assert file["file"].startswith("attachments/") and file["file"].endswith(".pdf")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../x.pdf", "x.pdf"),
        ("/etc/passwd", "passwd"),
        ("C:\\\\dir\\\\y.pdf", "y.pdf"),
        (".env", "env"),
        ("..", "part-1.pdf"),
        ("=?utf-8?q?K=C3=A4se=2Epdf?=", "K\u00e4se.pdf"),
    ],
)
def test_a_files_name_is_never_a_path(tmp_path: Path, name: str, shown: str) -> None:
    headers, body = multipart("mixed", text_part("Hello"), file_part(name))
    found = convert(tmp_path, mail(headers=headers, body=body))
    (file,) = found.message()["attachments"]
    assert file["name"] == shown
    assert (found.folder / file["file"]).resolve().is_relative_to(found.folder.resolve() / "attachments")


def test_files_of_one_name_and_of_one_content_do_not_meet(tmp_path: Path) -> None:
    headers, body = multipart("mixed", text_part("x"), file_part("a.pdf", "one"), file_part("a.pdf", "two"))
    again, other = multipart("mixed", text_part("y"), file_part("b.pdf", "one"))
    found = convert(tmp_path, mail("1@x", headers=headers, body=body), mail("2@x", headers=again, body=other))
    paths = [each["file"] for message in found.messages for each in message["attachments"]]
    assert len(paths) == 3 and len(set(paths)) == 2
    assert len([each for each in (found.folder / "attachments").rglob("*") if each.is_file()]) == 2


def test_dropped_files_and_those_of_skipped_mails_are_not_written(tmp_path: Path) -> None:
    headers, body = multipart("mixed", text_part("x"), file_part("a.pdf", "one"))
    found = convert(tmp_path / "a", mail("1@x", headers=headers, body=body), attachments="drop")
    assert found.notes["attachment-dropped"] == 1 and not (found.folder / "attachments").exists()
    spam = headers | {"X-Gmail-Labels": "Spam"}
    found = convert(tmp_path / "b", mail("1@x"), mail("2@x", headers=spam, body=body))
    assert not (found.folder / "attachments").exists()


def test_stand_ins_leave_files_out(tmp_path: Path) -> None:
    headers, body = multipart("mixed", text_part("x"), file_part("a.pdf", "one"))
    found = convert(tmp_path, mail("1@x", headers=headers, body=body), anonymise=True)
    assert "attachments" not in found.message() and not (found.folder / "attachments").exists()


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (file_part("winmail.dat", kind="application/ms-tnef"), "winmail"),
        ('Content-Type: message/partial; id="a"; number=1\n\nhalf\n', "partial"),
        (file_part("a.pdf", ""), "empty-file"),
        (text_part('<img src="cid:one">', "html"), "inline-image"),
    ],
)
def test_parts_that_lose_something_are_told(tmp_path: Path, part: str, code: str) -> None:
    headers, body = multipart("mixed", text_part("Hello"), part)
    assert convert(tmp_path, mail(headers=headers, body=body)).notes[code] == 1


def test_a_boundary_that_never_comes_leaves_the_text(tmp_path: Path) -> None:
    headers = {"Content-Type": 'multipart/mixed; boundary="none"'}
    assert convert(tmp_path, mail(headers=headers, body="Hello\n")).message()["body_text"] == "Hello"


def test_parts_within_parts_without_end_cost_only_their_mail(tmp_path: Path) -> None:
    deep = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(2000))
    one = mail("2@x", body="").rstrip("\n") + "\n" + deep + "\nend\n"
    found = convert(tmp_path, mail("1@x"), one)
    assert "mbox-1@x" in {each["external_id"] for each in found.messages}


def test_a_body_above_the_helpdesks_limit_is_a_finding(tmp_path: Path) -> None:
    found = convert(tmp_path, mail("1@x"), mail("2@x", body="word\n" * 250_000))
    assert found.findings == {"too-large": 1}


# -- other files, and the command ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [("x.json", '{"id": 1}'), ("x.csv", "a,b\n1,2\n"), ("x.pst", b"!BDN\0\0"), ("x.eml", "Hello\n"), ("x.mbox", "")],
)
def test_a_file_without_mails_says_what_to_give_instead(tmp_path: Path, name: str, data: str | bytes) -> None:
    with pytest.raises(InvalidBatch, match="nothing of Mails becomes a message") as refused:
        of_files(tmp_path, {name: data})
    assert "mbox" in refused.value.hint


def test_other_files_in_an_archive_are_skips(tmp_path: Path) -> None:
    found = of_files(tmp_path, {"t/All.mbox": mbox(mail()), "t/archive_browser.html": "<html></html>"})
    assert found.skips == {"a file that holds no mail": 1}


def test_a_first_mail_whose_header_is_broken_is_a_finding(tmp_path: Path) -> None:
    found = of_files(tmp_path, {"a.mbox": b"From -\n\0om: x\n\nHello\n", "b.mbox": mbox(mail())})
    assert (found.types, found.findings) == (["incoming"], {"broken": 1})


def test_what_stands_before_the_first_mail_is_a_finding(tmp_path: Path) -> None:
    found = of_files(tmp_path, {"x.mbox": b"garbage here\n" * 9000 + mbox(mail())})
    assert (found.types, found.findings) == (["incoming"], {"broken": 1})


def typed(*words: str, source: str = "mbox") -> Conversion:
    """What the command makes of its flags."""
    given = dict(command.make_context("convert", [source, "a.mbox", "-o", "out", *words]).params)
    for name in ("source", "files", "output", "listing"):
        del given[name]
    return conversion_of(ConvertArgs(source, ("a.mbox",), "out", given))


@pytest.mark.parametrize(
    ("words", "own"),
    [
        (["--own", "@ACME.example"], ("acme.example",)),
        (["--own-domain", "acme.example", "--own-address", OWN], ("acme.example", OWN)),
        (["--own", f"acme.example, {OWN}"], ("acme.example", OWN)),
        (["--mailbox", OWN], (OWN,)),
    ],
)
def test_own_addresses_can_be_told_in_several_ways(words: list[str], own: tuple[str, ...]) -> None:
    assert typed(*words).reading.own == own


def test_own_must_be_an_address_or_a_domain() -> None:
    with pytest.raises(UsageError, match="--own no domain"):
        typed("--own", "no domain")


def test_files_in_hand_need_no_download() -> None:
    assert typed("--attachments", "download").options.attachments == "download"
    with pytest.raises(UsageError, match="downloads nothing"):
        typed("--attachments", "download", source="zendesk")


def test_whatever_bytes_a_mail_holds_it_is_a_record_or_a_finding() -> None:
    """Mails that were damaged at random, always in the same way."""
    headers, body = multipart("mixed", text_part("Hello"), file_part("a.pdf"), text_part("<p>x</p>", "html"))
    whole = mail(subject="=?utf-8?q?K=C3=A4se?=", body=body, headers=headers).encode()
    damage = random.Random(7)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(damage.randrange(1, 12)):
            data[damage.randrange(len(data))] = damage.choice(b'\0\n\r"<>=?;:@,()\xff\xc3 a-')
        source = Bytes(b"From -\n" + bytes(data), 1 << 16)
        for each in mail_records(source, lambda data, ending: "attachments/x"):
            if isinstance(each, Record):
                json_text.dumps(each.value)
