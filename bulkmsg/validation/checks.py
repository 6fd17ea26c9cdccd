"""Checks of one message or ticket beyond its schema. Each yields what is wrong and where inside the entry; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bulkmsg.diagnostic import Severity
from bulkmsg.message import Kind, Mode
from bulkmsg.source import Json, Path
from bulkmsg.validation import values
from bulkmsg.validation.values import DateTrouble

_PERSON_REFERENCE = frozenset({"id", "email"})
_DATE_HINTS = {
    DateTrouble.FORM: "write it as RFC 3339: 2021-03-01T10:00:00Z, or with an offset: 2021-03-01T11:00:00+01:00",
    DateTrouble.CALENDAR: "check day, month, hour, minute and second",
    DateTrouble.ZONE: "add Z or an offset, or say once which zone is meant: `timezone: Europe/Paris` in the header, "
    "or `--assume-timezone Europe/Paris`",
    DateTrouble.SKIPPED: "give the offset that was meant",
    DateTrouble.ANCIENT: "spreadsheets write empty dates as 1899 or 1900: leave the cell empty, or mend the date",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing wrong (or doubtful) inside an entry; `path` is the value's path in the merged entry."""

    rule: str
    path: Path
    message: str
    hint: str
    severity: Severity | None = None


def normalise_dates(fields: dict[str, Json], names: tuple[str, ...], zone: ZoneInfo | None) -> list[Trouble]:
    """Put the dates of `fields` into the form in which they leave, in place; tells those that are none."""
    troubles: list[Trouble] = []
    for name in names:
        text = fields.get(name)
        if not isinstance(text, str):
            continue
        fields[name], trouble, doubled = values.utc(text, zone)
        if trouble is not None:
            rule = "BM403" if trouble is DateTrouble.ZONE else "BM401"
            said = f"{text!r} " if len(text) <= 40 else ""
            message = f"`{name}`: {said}{trouble.value}" if text else f"`{name}` is empty"
            hint = _DATE_HINTS[trouble] if text else "give a date, or leave the field out"
            troubles.append(Trouble(rule, (name,), message, hint))
        elif doubled:
            hint = "the first of the two was taken; give the offset if the second was meant"
            troubles.append(Trouble("BM404", (name,), f"`{name}`: the clock was put back over {text}", hint))
    return troubles


def message_troubles(kind: Kind, mode: Mode, fields: dict[str, Json], tomorrow: str) -> list[Trouble]:
    """All that is wrong with a merged message besides its schema and its dates' form."""
    troubles: list[Trouble] = []
    sent = fields.get("sent_datetime")
    if sent and isinstance(sent, str) and sent > tomorrow and sent[-1:] == "Z":
        hint = "a message that was sent lies in the past; check the year and the time zone"
        troubles.append(Trouble("BM402", ("sent_datetime",), f"`sent_datetime` {sent[:40]} is in the future", hint))
    channel = fields.get("channel")
    if isinstance(channel, str) and channel not in values.CHANNELS:
        troubles.append(_channel(channel))
    for name in ("sender", "receiver"):
        person = fields.get(name)
        if isinstance(person, dict):
            _look_at_person(name, person, troubles)
    source = fields.get("source")
    if isinstance(source, dict) and channel == "email":
        _look_at_addresses(source, troubles)
    for name in ("subject", "body_text", "body_html"):
        text = fields.get(name)
        if isinstance(text, str):
            _look_at_text(name, text, mode, troubles)
    return troubles


def ticket_troubles(fields: dict[str, Json], mode: Mode) -> list[Trouble]:
    """All that is wrong with a new ticket's own fields besides its schema and its dates' form."""
    troubles: list[Trouble] = []
    customer = fields.get("customer")
    if isinstance(customer, dict):
        _look_at_person("customer", customer, troubles)
    subject = fields.get("subject")
    if isinstance(subject, str):
        _look_at_text("subject", subject, mode, troubles)
    channel = fields.get("channel")
    if isinstance(channel, str) and channel not in values.CHANNELS:
        troubles.append(_channel(channel))
    return troubles


def secret_troubles(fields: dict[str, Json], secrets: tuple[str, ...]) -> Iterator[Trouble]:
    """The tool's own credentials, anywhere in an entry. Never says which or what."""
    for path, text in values.texts(fields):
        if any(secret in text for secret in secrets):
            hint = "take it out, and replace the key in the helpdesk's settings: it has been in a file"
            yield Trouble("BM409", path, "one of the credentials in use stands in this value", hint)


def _channel(channel: str) -> Trouble:
    meant = values.channel_trouble(channel)
    shown = repr(channel[:60])
    if meant is not None:
        return Trouble("BM406", ("channel",), f"the channel {shown} is not known", f"did you mean `{meant}`?")
    hint = "right if your account has a custom channel of that name; else see `bulkmsg schema incoming`"
    return Trouble("BM407", ("channel",), f"the channel {shown} is none of the helpdesk's own", hint)


# These look at every message, so they append to a list: making and draining generators would cost more than the looks.


def _look_at_person(name: str, person: dict[str, Json], troubles: list[Trouble]) -> None:
    email = person.get("email")
    if isinstance(email, str) and not values.is_address(email):
        troubles.append(_address((name, "email")))
    if not person.keys() <= _PERSON_REFERENCE:
        listed = ", ".join(f"`{field}`" for field in sorted(person.keys() - _PERSON_REFERENCE))
        # Gorgias API docs: any other field in a nested person updates that person's record.
        hint = "keep `email` or `id` alone, unless the record shall change"
        troubles.append(Trouble("BM412", (name,), f"{listed} would overwrite the record of this person", hint))


def _look_at_addresses(source: dict[str, Json], troubles: list[Trouble]) -> None:
    sender = source.get("from")
    if isinstance(sender, dict) and isinstance(sender.get("address"), str) and not values.is_address(sender["address"]):
        troubles.append(_address(("source", "from", "address")))
    for part in ("to", "cc", "bcc"):
        listed = source.get(part)
        if not isinstance(listed, list):
            continue
        for index, item in enumerate(listed):
            text = item.get("address") if isinstance(item, dict) else None
            if isinstance(text, str) and not values.is_address(text):
                troubles.append(_address(("source", part, index, "address")))


def _address(path: Path) -> Trouble:
    hint = "an address has one @, no blanks and no control characters, and at most 320 characters"
    return Trouble("BM405", path, "this is no e-mail address", hint)


def _look_at_text(name: str, text: str, mode: Mode, troubles: list[Trouble]) -> None:
    if name == "subject":
        if values.has_control(text):
            hint = "a subject is one line of text: take line breaks, tabs and control characters out"
            said = "the subject holds a line break or another control character"
            troubles.append(Trouble("BM410", (name,), said, hint))
    elif values.too_many_bytes(text):
        hint = "the helpdesk takes at most 1 MB; shorten it, or attach the text as a file"
        said = f"`{name}` is {len(text.encode()):,} bytes, over 1,000,000"
        troubles.append(Trouble("BM411", (name,), said, hint))
    left = values.placeholder_in(text)
    if left is not None:
        severity = Severity.ERROR if mode is Mode.SEND else Severity.WARNING
        hint = "fill it in; in a `from:` block a `template:` does that for each row"
        message = f"the placeholder {left!r} was left in `{name}`"
        troubles.append(Trouble("BM408", (name,), message, hint, severity))
