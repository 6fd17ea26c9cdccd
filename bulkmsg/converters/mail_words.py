"""What mails say between the lines: whose they are, which conversation they belong to, who sent them without a hand."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

from bulkmsg.converters.texts import one_line
from bulkmsg.converters.words import Address, Kin
from bulkmsg.message import short_hash
from bulkmsg.source import Json
from bulkmsg.validation.values import is_address

_ID = 200  # characters of a Message-ID that are kept; keys may have 255 with what stands before them
_NEWEST = 10  # references that are looked at, besides the first: each mail of a thread names those before it
# Replies and forwards, as mail programs in many languages mark them.
_MARKS = re.compile(r"^(?:\s*(?:re|aw|antw|sv|vs|ref|rif|res|tr|fw|fwd|wg|enc|rv|i|odp)(?:\[\d+\])?\s*:\s*)+", re.I)

# Gmail's own labels for what is no conversation, as Takeout writes them in the account's language.
SKIPPED_LABELS = frozenset(
    """
    draft drafts spam trash bin chat chats entwürfe papierkorb brouillons corbeille borradores papelera rascunhos
    lixeira bozze cestino concepten prullenbak
    """.split()  # noqa: SIM905
)
_EXPUNGED = 0x0008  # of X-Mozilla-Status: deleted, and still in the file until it is compacted


def pairs(value: Json) -> tuple[Address, ...]:
    """Addresses of a header; what is no address, such as an undisclosed list, is left out."""
    found = (Address(each[0], one_line(each[1])) for each in value or [])
    return tuple(each for each in found if is_address(each.address))


class Own:
    """Whose mails went out."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def __bool__(self) -> bool:
        return bool(self._names)

    def __call__(self, address: str) -> bool:
        address = address.lower()
        return address in self._names or address.rpartition("@")[2] in self._names


def author(value: dict[str, Json]) -> Address | None:
    """Who wrote a mail: From; of several Sender, else the first (RFC 5322, 3.6.2)."""
    writers, senders = pairs(value.get("from")), pairs(value.get("sender"))
    if len(writers) > 1 and senders:
        return senders[0]
    return next(iter((*writers, *senders)), None)


def key_of(value: dict[str, Json]) -> str:
    """What a mail is known by: its Message-ID, else what it says."""
    return short_id(value["message_id"]) if value.get("message_id") else f"no-id-{fingerprint(value, whole=True)}"


def fingerprint(value: dict[str, Json], *, whole: bool = False) -> str:
    """Tells mails apart that share a Message-ID. Copies of one mail differ in all that is added on the way."""
    words = [value.get("sent") if value.get("sent_by") == "date" else "", *(each.address for each in _writer(value))]
    if whole:
        words += [value.get("sent"), value.get("subject"), value.get("text"), value.get("html")]
        words += [each["path"] for each in value.get("files") or []]
    return _mark(*words)


def _mark(*words: Json) -> str:
    return short_hash("\0".join(str(each or "") for each in words).encode())


def _writer(value: dict[str, Json]) -> Iterator[Address]:
    found = author(value)
    if found:
        yield found


def short_id(id: str) -> str:
    """A Message-ID as a key; a very long one by its hash, lest two become one when they are cut."""
    return id if len(id) <= _ID else f"{id[:100]}-{_mark(id)}"


def kin(value: dict[str, Json], own: Own) -> Kin:
    """All names by which a mail knows its conversation: Gmail's thread, else the mails before it, else its subject."""
    id = [short_id(value["message_id"])] if value.get("message_id") else []
    since = value.get("sent") or "9999"
    if value.get("x-gm-thrid"):
        return Kin((value["x-gm-thrid"].strip(), *id), since)
    before = [short_id(each) for each in (*value["references"], *value["in_reply_to"][:1])]
    names = tuple(dict.fromkeys((*before[:1], *before[-_NEWEST:], *id)))
    return Kin(names or (f"subject-{_subject_key(value, own)}",), since)


def _subject_key(value: dict[str, Json], own: Own) -> str:
    """Mails without any id belong together by what they are about, and with whom."""
    people = (*_writer(value), *pairs(value.get("to")), *pairs(value.get("cc")))
    other = next((each.address.lower() for each in people if not own(each.address)), "")
    return _mark(plain_subject(value.get("subject")).lower(), other)


def plain_subject(subject: Json) -> str:
    """Without Re: and Fwd:."""
    line = one_line(subject)
    return _MARKS.sub("", line) or line


def unwanted(value: dict[str, Json], skip_labels: Sequence[str]) -> str:
    """Why a mail is no part of a conversation; "" if it is."""
    labels = next(csv.reader([one_line(value.get("labels"))]), [])
    for label in labels:
        word = label.strip().strip('"').lower()
        if word in SKIPPED_LABELS or word in {each.lower() for each in skip_labels}:
            return f"the label {label.strip()}"
    try:
        status = int(str(value.get("x-mozilla-status") or "0"), 16)
    except ValueError:
        status = 0
    flags = str(value.get("x-status") or "")
    if status & _EXPUNGED or "D" in flags:
        return "deleted in the mail program"
    return "a draft" if "T" in flags else ""


def is_automatic(value: dict[str, Json]) -> bool:
    """Whether nobody wrote it by hand: out of office, bounces, bulk (RFC 3834)."""
    submitted = str(value.get("auto-submitted") or "no").split(";")[0].strip().lower()
    precedence = str(value.get("precedence") or "").strip().lower()
    autoreply = str(value.get("x-autoreply") or value.get("x-autorespond") or "no").strip().lower()
    return submitted != "no" or precedence in ("bulk", "auto_reply") or autoreply != "no" or bool(value.get("report"))
