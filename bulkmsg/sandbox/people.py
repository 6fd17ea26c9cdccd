"""Who is known: users and customers, kept apart as Gorgias keeps them since October 2022.

Gorgias changelog, "Stricter ticket messages validation": the sender of an incoming message is a customer, the
sender of an outgoing message or note an existing user, a receiver a customer; a missing one becomes the bot.
Any other field in a nested person overwrites that person's record, and an unknown address makes a customer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Json

Kind = Literal["customer", "user"]
Tentative = dict[str, Kind]
"""Kinds that addresses would get from earlier messages of the same request."""

FIRST_USER, FIRST_CUSTOMER = 400_000_001, 500_000_001
"""Far apart from each other and from tickets and messages, so that a mix-up of ids is found."""


@dataclass(slots=True)
class Person:
    """One user or customer."""

    kind: Kind
    data: Json

    @property
    def short(self) -> Json:
        """As nested in a message."""
        return {key: self.data[key] for key in ("id", "email", "name", "firstname", "lastname", "meta")}


class People:
    """The registry, with the rules on who may stand where."""

    def __init__(self, settings: SandboxSettings, created: str) -> None:
        self.open_users, self.open_ids, self.created = settings.agents is None, settings.auto_tickets, created
        self.by_id: dict[int, Person] = {}
        self.by_email: dict[str, Person] = {}
        self.reserved: dict[str, int] = {}
        self.overwrites: list[Json] = []
        self.next_id: dict[Kind, int] = {"user": FIRST_USER, "customer": FIRST_CUSTOMER}
        self.bot = self.add("user", f"bot@{settings.account}.invalid", {"name": "Gorgias Bot"}, role="bot")
        for email in settings.agents or ():
            self.add("user", email, {})
        for email in settings.customers:
            self.add("customer", email, {})

    def all(self, kind: Kind) -> Iterable[Person]:
        return (person for person in self.by_id.values() if person.kind == kind)

    def find(self, email: str) -> Person | None:
        return self.by_email.get(email.strip().lower())

    def problem(self, kind: Kind, ref: Json | None, tentative: Tentative) -> list[str] | None:
        """Why that reference may not stand where a person of that kind must; None when it may."""
        if not ref or not (ref.get("id") or ref.get("email")):
            return None if not ref else ["An id or an email is needed."]
        known = self._kind_of(ref, tentative)
        if known is None:
            return self._unknown(kind, ref, tentative)
        return None if known == kind else [f"Must be a {kind}, but this is a {known}."]

    def _kind_of(self, ref: Json, tentative: Tentative) -> Kind | None:
        if ref.get("id"):
            person = self.by_id.get(ref["id"])
            return person.kind if person else None
        email = ref["email"].strip().lower()
        return self.by_email[email].kind if email in self.by_email else tentative.get(email)

    def _unknown(self, kind: Kind, ref: Json, tentative: Tentative) -> list[str] | None:
        if ref.get("id") and not self.open_ids:
            return [f"No {kind} with this id."]
        if kind == "user" and not self.open_users:
            return ["No user with this id or email."]
        if ref.get("email"):
            tentative[ref["email"].strip().lower()] = kind
        return None

    def resolve(self, kind: Kind, ref: Json) -> Person:
        """The person of a reference that had no problem: found or made; extra fields overwrite."""
        person = self.by_id.get(ref.get("id", 0)) or self.find(ref.get("email") or "")
        extra = {key: value for key, value in ref.items() if key not in ("id", "email", "channels")}
        if person is None:
            return self.add(kind, ref.get("email"), extra, number=ref.get("id"))
        if extra:
            self.overwrites.append({"id": person.data["id"], "fields": sorted(extra)})
            person.data.update(_names(extra))
        return person

    def add(
        self, kind: Kind, email: str | None, extra: Json, *, number: int | None = None, role: str = "agent"
    ) -> Person:
        """A new person."""
        number = number or self.reserve(kind, email or "")
        person = Person(kind, _record(kind, number, email, self.created, role))
        person.data.update(_names(extra))
        self.by_id[number] = person
        if email:
            self.by_email[email.strip().lower()] = person
        return person

    def reserve(self, kind: Kind, email: str) -> int:
        """The id that this address has, or will have as a person of that kind."""
        key = f"{kind}:{email.strip().lower()}"
        if not email or key not in self.reserved:
            self.reserved[key] = self.next_id[kind]
            self.next_id[kind] += 1
        return self.reserved[key]

    def restrict(self, agents: Iterable[str]) -> None:
        """From now on only these are agents, beside the bot."""
        self.open_users = False
        gone = [person for person in self.all("user") if person is not self.bot]
        for person in gone:
            del self.by_id[person.data["id"]]
            self.by_email.pop((person.data["email"] or "").strip().lower(), None)
        for email in agents:
            self.add("user", email, {})

    def stranger_with(self, number: int) -> Person | None:
        """How an unknown id looks when any sender counts as a user. Registers nobody."""
        if not (self.open_users and self.open_ids) or number in self.by_id or number < 1:
            return None
        return Person("user", _record("user", number, None, self.created, "agent"))

    def stranger(self, email: str) -> Person | None:
        """How an unknown address looks among the users when any sender counts as one. Registers nobody."""
        if not self.open_users or self.find(email):
            return None
        number = self.reserve("user", email)
        return Person("user", _record("user", number, email, self.created, "agent"))


def _record(kind: Kind, number: int, email: str | None, created: str, role: str) -> Json:
    common: Json = {
        "id": number,
        "external_id": None,
        "active": True,
        "email": email,
        "name": None,
        "firstname": "",
        "lastname": "",
        "language": None,
        "timezone": None,
        "created_datetime": created,
        "updated_datetime": created,
        "meta": None,
    }
    if kind == "user":
        return {**common, "bio": None, "country": None, "deactivated_datetime": None, "role": {"name": role}}
    return {**common, "data": None, "note": None, "custom_fields": {}}


def _names(extra: Json) -> Json:
    name = extra.get("name")
    if not isinstance(name, str) or not name:
        return dict(extra)
    first, _, last = name.partition(" ")
    return {"firstname": first, "lastname": last, **extra}


def person_view(person: Person, created: str) -> dict[str, Any]:
    """A customer as embedded in a ticket: with channels."""
    number, name = person.data["id"], person.data["name"]
    twin = {"id": number, "name": name}
    channel = {
        "id": number + 100_000_000,
        "type": "email",
        "address": person.data["email"],
        "preferred": True,
        "created_datetime": created,
        "updated_datetime": created,
        "deleted_datetime": None,
        "user": twin,
        "customer": twin,
    }
    rest = {"data": None, "customer": None, "integrations": {}, "external_id": person.data["external_id"]}
    channels = [channel] if person.data["email"] else []
    return {**person.short, "channels": channels, **rest, "note": person.data.get("note")}
