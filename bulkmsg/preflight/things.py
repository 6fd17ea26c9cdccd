"""What an account holds, as values: read from answers of any form, with nothing invented where an answer says nothing.

Forms: Gorgias reference, "List users" and "List integrations", and recorded answers of `/api/account`. Rules, teams and
tags have no page of the reference that this project knows: what is read of rules are the fields that recorded ones had.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bulkmsg.gorgias.wire import integer_id
from bulkmsg.source import Json

_MAIL = frozenset({"email", "gmail", "outlook"})
_EVENT = re.compile(r"[a-z]+(?:-[a-z]+)+")


@dataclass(frozen=True, slots=True)
class Account:
    """The account: `status` is its own word, such as `active`; None where it says none."""

    domain: str | None
    status: str | None
    deactivated: bool
    settings: dict[str, Json] = field(default_factory=dict)

    @staticmethod
    def read(body: Json) -> Account | None:
        """From the answer of `/api/account`; None for anything else."""
        if not isinstance(body, dict):
            return None
        status = body.get("status")
        word = status.get("status") if isinstance(status, dict) else status
        listed = body.get("settings")
        settings = {
            each["type"]: each.get("data")
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, dict) and isinstance(each.get("type"), str)
        }
        return Account(_text(body.get("domain")), _text(word), bool(body.get("deactivated_datetime")), settings)

    def is_on(self, setting: str) -> bool | None:
        """Whether a setting is switched on; None where it is not there, or in a form that does not say."""
        found = list(_switches(self.settings.get(setting)))
        return any(found) if found else None


def _switches(data: Json) -> Iterator[bool]:
    """The switches in a setting: `enabled`, and `send_survey_for_...`, as recorded settings have them."""
    for name, value in data.items() if isinstance(data, dict) else ():
        if isinstance(value, bool) and (name == "enabled" or name.startswith("send_survey")):
            yield value
        elif isinstance(value, dict):
            yield from _switches(value)


@dataclass(frozen=True, slots=True)
class User:
    """A user (agent) of the account."""

    id: int | None
    email: str | None
    name: str | None
    role: str | None

    @staticmethod
    def read(item: Json) -> User | None:
        """From an item of the list, or the answer of `/api/users/0`; None where it names nobody."""
        if not isinstance(item, dict):
            return None
        role = item.get("role")
        word = _text(role.get("name")) if isinstance(role, dict) else _text(role)
        user = User(integer_id(item.get("id")), _text(item.get("email")), _text(item.get("name")), word)
        return user if user.id is not None or user.email is not None else None

    @property
    def names(self) -> frozenset[str | int]:
        """By what a batch may refer to them."""
        return frozenset(name for name in (self.email.lower() if self.email else None, self.id) if name is not None)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An integration; `address` where it is one for e-mail. `off` says why nothing goes out through it, else empty."""

    id: int | None
    type: str
    name: str | None
    address: str | None
    off: str

    @staticmethod
    def read(item: Json) -> Mailbox | None:
        """From an item of `/api/integrations`; its address stands in `meta.address` as recorded for `email`."""
        if not isinstance(item, dict):
            return None
        kind, meta = _text(item.get("type")) or "", item.get("meta")
        address = _text(meta.get("address")) if isinstance(meta, dict) and kind in _MAIL else None
        off = "deactivated" if item.get("deactivated_datetime") else "locked" if item.get("locked_datetime") else ""
        return Mailbox(integer_id(item.get("id")), kind, _text(item.get("name")), address, off)


@dataclass(frozen=True, slots=True)
class Rule:
    """An automation rule. `events` are what sets it off; empty where it does not say."""

    id: int | None
    name: str
    active: bool
    events: frozenset[str]

    @staticmethod
    def read(item: Json) -> Rule | None:
        """From an item of `/api/rules`. Events stand in `event_types`, a text or a list; older rules name them in
        their code."""
        if not isinstance(item, dict) or not (item.get("name") or item.get("id")):
            return None
        name = _text(item.get("name")) or f"rule {item.get('id')}"
        events = frozenset(_events(item.get("event_types"))) or frozenset(_events(_ticket_events(item.get("code"))))
        return Rule(integer_id(item.get("id")), name, not item.get("deactivated_datetime"), events)

    @property
    def fires(self) -> bool:
        """Whether a new message or a new ticket sets it off; one that does not say what does may well."""
        return self.active and (not self.events or not self.events.isdisjoint(NEW))

    @property
    def follows(self) -> bool:
        """Whether it is set off by changes of a ticket, which a new message may bring (help centre, "Rules FAQs")."""
        return self.active and not self.fires and "ticket-updated" in self.events


NEW = frozenset({"ticket-created", "ticket-message-created"})


def _events(value: Json) -> Iterator[str]:
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str):
            yield from _EVENT.findall(text)


def _ticket_events(code: Json) -> list[str]:
    return re.findall(r"['\"](ticket-[a-z-]+)['\"]", code) if isinstance(code, str) else []


@dataclass(frozen=True, slots=True)
class Named:
    """A team or a tag."""

    id: int | None
    name: str

    @staticmethod
    def read(item: Json) -> Named | None:
        name = _text(item.get("name")) if isinstance(item, dict) else None
        return Named(integer_id(item.get("id")), name) if name else None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
