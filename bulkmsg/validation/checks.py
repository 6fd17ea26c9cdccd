"""Checks of one message or ticket beyond its schema. Each yields what is wrong and where inside the entry; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bulkmsg.diagnostic import RULES, Related, Severity
from bulkmsg.message import Kind, Mode
from bulkmsg.source import Json, Path, path_text
from bulkmsg.validation import values
from bulkmsg.validation.values import DateTrouble

_PERSON_REFERENCE = frozenset({"id", "email"})
# What a person's record holds besides (Gorgias reference, "Create a message"); any other name is an unknown field.
_PERSON_RECORD = frozenset({"name", "external_id", "note", "timezone", "language", "meta", "channels"})
# Where something like a key is looked for: not in people's words, nor in addresses of files, which hold signed parts.
_SEARCHED = ("meta", "headers", "external_id", "message_id", "key", "tags", "custom_fields")
_PEOPLE = ("sender", "receiver", "customer")

Fields = tuple[tuple[str, ...], ...]
MESSAGE_NUMBERS: Fields = (
    ("ticket_id",),
    ("integration_id",),
    ("sender", "id"),
    ("receiver", "id"),
    ("mention_ids", "*"),
    ("macros", "*", "id"),
    ("attachments", "*", "size"),
)
TICKET_NUMBERS: Fields = (
    ("customer", "id"),
    ("assignee_user", "id"),
    ("assignee_team", "id"),
    ("custom_fields", "*", "id"),
)
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
    related: tuple[Related, ...] = ()

    @property
    def level(self) -> Severity:
        return self.severity or RULES[self.rule].severity


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
            said = values.quotable(text)
            message = f"`{name}` {said + ' ' if said else ''}{trouble.value}" if text else f"`{name}` is empty"
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
    if isinstance(source, dict):
        if channel == "email":
            _look_at_addresses(source, troubles)
        _look_at_sides(kind, fields, source, troubles)
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


def secret_troubles(fields: dict[str, Json], secrets: tuple[str, ...]) -> list[Trouble]:
    """The tool's own credentials anywhere, and what looks like a key outside people's words. Never says which."""
    troubles: list[Trouble] = []
    if secrets:
        for path, text in values.texts(fields):
            if any(secret in text for secret in secrets):
                hint = "take it out, and replace the key in the helpdesk's settings: it has been in a file"
                troubles.append(Trouble("BM409", path, "one of the credentials in use stands in this value", hint))
    for name in _SEARCHED:
        if name in fields and values.any_text(fields[name], values.like_a_key):
            troubles.extend(_like_keys(fields[name], name))
    for name in _PEOPLE:
        person = fields.get(name)
        if isinstance(person, dict) and len(person) > 1 and values.any_text(person, values.like_a_key):
            troubles.extend(_like_keys(person, name))
    return troubles


def _like_keys(value: Json, name: str) -> Iterator[Trouble]:
    for path, text in values.texts(value, (name,)):
        if values.like_a_key(text):
            hint = "take it out: everybody who can read the ticket could read it"
            yield Trouble("BM409", path, "something like a secret key stands in this value", hint)


def identity_troubles(fields: dict[str, Json]) -> list[Trouble]:
    """A key or external id with a line break or another control character, which nobody could type or search for."""
    troubles: list[Trouble] = []
    for name in ("key", "external_id"):
        text = fields.get(name)
        if isinstance(text, str) and values.has_control(text):
            message = f"`{name}` holds a line break or another control character"
            troubles.append(Trouble("BM410", (name,), message, "use printable characters only"))
    return troubles


def number_troubles(fields: dict[str, Json], paths: Fields) -> list[Trouble]:
    """Whole numbers written with a decimal point: to JSON Schema 5.0 is a whole number, in a URL it is not 5.

    Args:
        paths: where whole numbers stand; "*" goes through a list.
    """
    troubles: list[Trouble] = []
    for path in paths:
        value = fields.get(path[0])
        if isinstance(value, (float, list)) or (isinstance(value, dict) and path[-1] in value):
            for at, number in _floats(value, path[1:], path[:1]):
                hint = f"write {number:.0f}" if number == int(number) else "write it without a decimal point"
                message = f"`{path_text(at)}` is {number!r}, a number with a decimal point; it must be a whole number"
                troubles.append(Trouble("BM203", at, message, hint))
    return troubles


def _floats(value: Json, rest: Path, path: Path) -> Iterator[tuple[Path, float]]:
    if not rest:
        if isinstance(value, float):
            yield path, value
    elif rest[0] == "*":
        for index, item in enumerate(value) if isinstance(value, list) else ():
            yield from _floats(item, rest[1:], (*path, index))
    elif isinstance(value, dict) and rest[0] in value:
        yield from _floats(value[rest[0]], rest[1:], (*path, rest[0]))


def _channel(channel: str) -> Trouble:
    meant = values.channel_trouble(channel)
    shown = values.quotable(channel) or "written here"
    if meant is not None:
        return Trouble("BM406", ("channel",), f"the channel {shown} is not known", f"did you mean `{meant}`?")
    hint = "right if your account has a custom channel of that name; else see `bulkmsg schema incoming`"
    return Trouble("BM407", ("channel",), f"the channel {shown} is none of the helpdesk's own", hint)


# These look at every message, so they append to a list: making and draining generators would cost more than the looks.


def _look_at_person(name: str, person: dict[str, Json], troubles: list[Trouble]) -> None:
    email = person.get("email")
    if isinstance(email, str) and not values.is_address(email):
        troubles.append(_address((name, "email")))
    if not person.keys() <= _PERSON_REFERENCE and (written := person.keys() & _PERSON_RECORD):
        listed = ", ".join(f"`{field}`" for field in sorted(written))
        # Gorgias API docs: any other field in a nested person updates that person's record.
        hint = "keep `email` or `id` alone, unless the record shall change"
        said = f"`{name}` would overwrite {listed} in this person's record"
        troubles.append(Trouble("BM412", (name,), said, hint))


def _look_at_addresses(source: dict[str, Json], troubles: list[Trouble]) -> None:
    sender = source.get("from")
    if isinstance(sender, dict) and isinstance(sender.get("address"), str) and not values.is_address(sender["address"]):
        troubles.append(_address(("source", "from", "address")))
    for part in ("to", "cc", "bcc"):
        listed = source.get(part)
        if not isinstance(listed, list):
            continue
        for index, item in enumerate(listed):
            if not isinstance(item, dict):
                continue
            text = item.get("address")
            if text is None:
                troubles.append(_no_address(("source", part, index, "address")))
            elif isinstance(text, str) and not values.is_address(text):
                troubles.append(_address(("source", part, index, "address")))


def _look_at_sides(kind: Kind, fields: dict[str, Json], source: dict[str, Json], troubles: list[Trouble]) -> None:
    """A sender who is among those whom the message goes to writes for the other side, or to himself."""
    sender, listed = fields.get("sender"), source.get("to")
    email = sender.get("email") if isinstance(sender, dict) else None
    if not isinstance(email, str) or not isinstance(listed, list):
        return
    for item in listed:
        text = item.get("address") if isinstance(item, dict) else None
        if isinstance(text, str) and len(text) == len(email) and text.lower() == email.lower():
            who = "an agent" if kind is not Kind.INCOMING else "a customer"
            hint = f"`sender` must be {who}: the one who wrote the message, not the one who got it"
            troubles.append(Trouble("BM414", ("sender",), "the sender is also one of the recipients", hint))
            return


def _address(path: Path) -> Trouble:
    hint = "an address has one @, no blanks and no control characters, and at most 320 characters"
    return Trouble("BM405", path, f"`{path_text(path)}` is no e-mail address", hint)


def _no_address(path: Path) -> Trouble:
    return Trouble("BM202", path, f"`{path_text(path)}` is missing", "give each recipient an address, or take it out")


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
        message = f"a placeholder was left in `{name}`: {left}" if left else f"a placeholder was left in `{name}`"
        troubles.append(Trouble("BM408", (name,), message, hint, severity))
