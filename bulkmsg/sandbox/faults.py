"""Faults: planned misbehaviour, read from a text and decided by a seed.

A spec is a list of items: `drop-after=0.05` with a probability, `slow=0.02:1.5` with an argument as well, or
`drop-after@3` for exactly the third write. `heavy` stands for HEAVY. Write faults meet POST, list faults
(their names begin with `list-`) meet GET. The n-th write of a seed always meets the same fault. What each
fault does to the answer is in `mischief`.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

Side = Literal["write", "list"]
Manner = Literal[
    "drop", "garbage", "hang", "send", "half", "drip", "status", "throttle", "redirect", "away",
    "cut", "html", "empty", "array", "no-id", "text-id", "other-id", "loop", "big", "bomb",
]  # fmt: skip


class FaultError(ValueError):
    """A fault spec that cannot be read; the text says what is wrong in it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to misbehave."""

    name: str
    manner: Manner
    applied: bool
    """Whether the write is applied all the same: the dangerous half of all faults."""
    default: str = ""
    """The argument when none is given: seconds, a status, or a Retry-after."""

    @property
    def side(self) -> Side:
        return "list" if self.name.startswith("list-") else "write"

    @property
    def loses_answer(self) -> bool:
        """Whether the true answer never reaches the client: the write may as well be applied later."""
        return self.applied and self.manner in ("drop", "garbage", "hang", "status")


@dataclass(frozen=True, slots=True)
class Fault:
    """The misbehaviour that one request meets."""

    kind: Kind
    argument: str

    @property
    def seconds(self) -> float:
        return float(self.argument)


def _kinds() -> dict[str, Kind]:
    kinds = [
        Kind("drop-before", "drop", False),
        Kind("drop-after", "drop", True),
        Kind("garbage", "garbage", False),
        Kind("garbage-after", "garbage", True),
        Kind("hang-before", "hang", False, "3600"),
        Kind("hang", "hang", True, "3600"),
        Kind("429", "throttle", False, "1"),
        Kind("503", "status", False, "503"),
        Kind("slow", "send", True, "1.5"),
        Kind("drip", "drip", True, "1"),
        Kind("captive", "html", False),
        Kind("redirect", "redirect", False, "302"),
        Kind("redirect-away", "away", False, "302"),
        Kind("big", "big", False, "500"),
        Kind("bomb", "bomb", False, "500"),
        *(Kind(name, name, True) for name in _LIES),
        Kind("cut-body", "half", True),
    ]
    for status in ("408", "409", "500", "502", "504"):
        kinds.append(Kind(f"{status}-before", "status", False, status))
        kinds.append(Kind(f"{status}-after", "status", True, status))
    kinds += [Kind(f"list-{s}", "status", False, s) for s in ("404", "500", "502", "503", "504")]
    kinds += [Kind(f"list-{name}", manner, False, default) for name, manner, default in _LIST]
    return {kind.name: kind for kind in kinds}


_LIES: tuple[Manner, ...] = ("cut", "html", "empty", "array", "no-id", "text-id", "other-id")
_LIST: tuple[tuple[str, Manner, str], ...] = (
    ("drop", "drop", ""), ("garbage", "garbage", ""), ("hang", "hang", "3600"), ("slow", "send", "1.5"),
    ("429", "throttle", "1"), ("cut", "cut", ""), ("cut-body", "half", ""), ("html", "html", ""),
    ("redirect", "redirect", "302"), ("loop", "loop", ""), ("big", "big", "500"), ("bomb", "bomb", "500"),
)  # fmt: skip
KINDS: Mapping[str, Kind] = _kinds()

HEAVY = (
    "drop-before=0.05,drop-after=0.05,500-before=0.03,500-after=0.03,502-after=0.02,503=0.03,429=0.02,"
    "garbage=0.03,garbage-after=0.02,cut=0.02,cut-body=0.01,html=0.01,list-500=0.05,list-garbage=0.03,list-drop=0.03"
)
"""A bad day: nearly a third of the writes and a tenth of the readings go wrong."""


@dataclass(frozen=True, slots=True)
class Odds:
    """A fault and how likely it is."""

    fault: Fault
    chance: float


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec that was read: odds, and faults fixed to the n-th request of their side."""

    odds: tuple[Odds, ...] = ()
    fixed: Mapping[tuple[Side, int], Fault] = field(default_factory=dict)


def parse(text: str) -> Spec:
    """Read a spec, or say with a FaultError what is wrong in it."""
    odds: list[Odds] = []
    fixed: dict[tuple[Side, int], Fault] = {}
    for item in _items(text):
        name, mark, rest = _split(item)
        number, _, argument = rest.partition(":")
        fault = _fault(name, argument, item)
        if mark == "@":
            fixed[(fault.kind.side, _ordinal(number, item))] = fault
        else:
            odds.append(Odds(fault, _chance(number, item)))
    _check_sums(odds)
    return Spec(tuple(odds), fixed)


def _items(text: str) -> list[str]:
    expanded = ",".join(HEAVY if part.strip() == "heavy" else part for part in text.split(","))
    return [part.strip() for part in expanded.split(",") if part.strip()]


def _split(item: str) -> tuple[str, str, str]:
    for mark in "=@":
        name, found, rest = item.partition(mark)
        if found:
            return name.strip(), mark, rest.strip()
    raise FaultError(f"fault {item!r}: write it as NAME=PROBABILITY or NAME@NUMBER")


def _fault(name: str, argument: str, item: str) -> Fault:
    kind = KINDS.get(name)
    if kind is None:
        near = get_close_matches(name, KINDS, n=1)
        raise FaultError(f"no fault is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    fault = Fault(kind, argument.strip() or kind.default)
    if kind.manner in ("send", "hang", "drip"):
        _not_negative(fault.argument, item)
    elif kind.manner in ("redirect", "away", "status", "big", "bomb") and not fault.argument.isdigit():
        raise FaultError(f"fault {item!r}: the part after the colon must be a status")
    return fault


def _not_negative(text: str, item: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise FaultError(f"fault {item!r}: {text!r} is not a number") from None
    if not 0 <= number < float("inf"):
        raise FaultError(f"fault {item!r}: {text} is out of range")
    return number


def _chance(text: str, item: str) -> float:
    chance = _not_negative(text, item)
    if chance > 1:
        raise FaultError(f"fault {item!r}: a probability lies between 0 and 1")
    return chance


def _ordinal(text: str, item: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise FaultError(f"fault {item!r}: the part after @ counts requests from 1")
    return int(text)


def _check_sums(odds: list[Odds]) -> None:
    for side in ("write", "list"):
        total = sum(each.chance for each in odds if each.fault.kind.side == side)
        if total > 1 + 1e-9:
            raise FaultError(f"the {side} faults add up to {total:g}, more than 1")


class Faults:
    """Decides for each request in turn; remembers only how many there were and what they met."""

    def __init__(self, text: str = "", seed: int = 0) -> None:
        self.text, self.seed, self.spec = text, seed, parse(text)
        self.asked: Counter[str] = Counter()
        self.met: Counter[str] = Counter()

    def next(self, side: Side) -> Fault | None:
        """The fault of the next request on that side, if any."""
        self.asked[side] += 1
        number = self.asked[side]
        fault = self.spec.fixed.get((side, number)) or self._drawn(side, number)
        if fault is not None:
            self.met[fault.kind.name] += 1
        return fault

    def _drawn(self, side: Side, number: int) -> Fault | None:
        draw = random.Random(f"{self.seed}:{side}:{number}").random()  # noqa: S311 -- a schedule, no secret
        for each in self.spec.odds:
            if each.fault.kind.side == side:
                draw -= each.chance
                if draw < 0:
                    return each.fault
        return None
