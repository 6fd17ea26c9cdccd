"""The flags of `python -m bulkmsg.sandbox`: every setting has one. Parsing is not running."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from bulkmsg.sandbox.settings import SandboxSettings

Add = Callable[..., Any]


def parser() -> argparse.ArgumentParser:
    """One flag for each setting, named after it."""
    made = argparse.ArgumentParser(
        prog="python -m bulkmsg.sandbox",
        description="A loopback helpdesk. Its URL is the first line on stdout; it runs until told to stop.",
        argument_default=argparse.SUPPRESS,
    )
    for group in (_budget, _access, _timing, _behaviour, _world):
        group(made.add_argument)
    return made


def _budget(add: Add) -> None:
    add("--port", type=int, help="0 chooses a free one (default)")
    add("--account", help="name of the account")
    add("--limit", type=int, help="requests per window (default 40)")
    add("--window", type=float, help="seconds (default 20)")
    add("--limiter", choices=["leaky", "window"])
    add("--fractional-retry-after", action=argparse.BooleanOptionalAction)
    add("--neighbour", type=float, metavar="N", help="requests a second taken by another application")


def _access(add: Add) -> None:
    add("--email", help="with --api-key: the only Basic credentials accepted")
    add("--api-key")
    add("--token", help="the only Bearer token accepted")
    add("--token-life", type=float, metavar="SECONDS")
    add("--oauth", action=argparse.BooleanOptionalAction, help="only access tokens that it gave out are accepted")
    add("--client-id", help="the only app that /oauth/ knows")
    add("--client-secret")
    add("--refresh-token", help="the only refresh token accepted at first")
    add("--rotate-refresh-tokens", action=argparse.BooleanOptionalAction, help="each counts once and brings the next")
    add("--life-untold", action=argparse.BooleanOptionalAction, help="answer expires_in: 0")
    add("--consent", action=argparse.BooleanOptionalAction, help="whether the owner agrees (default)")
    add("--revoke-after", type=int, metavar="WRITES", help="401 from then on")
    add("--quota", type=int, metavar="CREATES", help="403 from then on")


def _timing(add: Add) -> None:
    add("--list-lag", type=float, metavar="SECONDS", help="before something new shows in a listing")
    add("--commit-lag", type=float, metavar="SECONDS", help="by which a write without an answer is late")
    add("--send-delay", type=float, metavar="SECONDS", help="until a message sent has its outcome")
    add("--latency", type=_range, metavar="LOW:HIGH", help="seconds for an answer")


def _behaviour(add: Add) -> None:
    add("--success-status", type=int, help="of a create (default 201)")
    add("--upload-limit", type=int, metavar="BYTES", help="413 for larger files")
    add("--strict-integrations", action=argparse.BooleanOptionalAction)
    add("--named-tickets", action=argparse.BooleanOptionalAction)
    add("--external-ids", choices=["keep", "strip", "cut"])
    add("--reopen", action=argparse.BooleanOptionalAction)
    add("--auto-tickets", action=argparse.BooleanOptionalAction, help="any ticket id exists (default)")
    add("--seed", type=int)
    add("--faults", metavar="SPEC", help="such as drop-after=0.05,slow=0.02:1.5,500-after@3 or heavy")


def _world(add: Add) -> None:
    add("--tickets", action="extend", nargs="+", type=int, metavar="ID")
    add("--merged", action="extend", nargs="+", type=_pair_of_ids, metavar="ID:SURVIVOR")
    add("--deleted", action="extend", nargs="+", type=int, metavar="ID")
    add("--agents", action="extend", nargs="+", metavar="EMAIL", help="the users (default: any sender)")
    add("--customers", action="extend", nargs="+", metavar="EMAIL")
    add("--mailboxes", action="extend", nargs="+", metavar="EMAIL", help="the integrations (default: any)")
    add("--rules", action="extend", nargs="+", type=_rule, metavar="NAME=EVENTS")
    add("--account-settings", type=json.loads, metavar="JSON")
    add("--switched-off", action="extend", nargs="+", metavar="NAME", help="rules and mailboxes that are deactivated")
    add("--locked", action="extend", nargs="+", metavar="EMAIL", help="mailboxes that are locked")
    add("--teams", action="extend", nargs="+", metavar="NAME")
    add("--tags", action="extend", nargs="+", metavar="NAME")
    add("--role", help="of whoever is authenticated (default agent)")
    add("--status", help="of the account (default active)")
    add("--closed", action="extend", nargs="+", metavar="LIST", help="lists that answer 403, such as rules")


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    return float(low), float(high or low)


def _pair_of_ids(text: str) -> tuple[int, int]:
    gone, _, survivor = text.partition(":")
    return int(gone), int(survivor)


def _rule(text: str) -> tuple[str, str]:
    name, _, events = text.partition("=")
    return name, events or "ticket-message-created"


_SHAPES: dict[str, Callable[[Any], Any]] = {
    "tickets": tuple,
    "agents": tuple,
    "customers": tuple,
    "mailboxes": tuple,
    "deleted": frozenset,
    "merged": dict,
    "rules": dict,
    **dict.fromkeys(("switched_off", "locked", "teams", "tags", "closed"), tuple),
}


def parse(arguments: Sequence[str] | None = None) -> SandboxSettings:
    """The settings that a command line asks for."""
    given = vars(parser().parse_args(arguments))
    names = {each.name for each in fields(SandboxSettings)}
    values = {name: _SHAPES.get(name, lambda v: v)(value) for name, value in given.items() if name in names}
    return SandboxSettings(**values)
