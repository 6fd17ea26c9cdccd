"""What one seed stands for: a small batch, how it is to be run, and the weather it meets. Values only."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random
from typing import Any

KINDS = ("incoming", "outgoing", "internal-note")

# Troubles that a creating request may meet, as `helpdesk.POSTS` plays them.
CALM_POSTS = ("slow",)
POSTS = (
    "refused",
    "lost request",
    "lost answer",
    "part stored",
    "late commit",
    "hang",
    "hang after",
    "5xx before",
    "5xx after",
    "cut answer",
    "cut answer before",
    "html 200 before",
    "odd 2xx before",
    "odd 2xx after",
    "408 409 before",
    "408 409 after",
    "redirect before",
    "redirect after",
    "html 4xx before",
    "html 4xx after",
    "cut 4xx",
    "429",
    "slow",
)
RARE_POSTS = ("rejected", "refused rights", "other echo")
# Troubles that a reading request may meet, as `helpdesk.READS` plays them.
READS = (
    "lost",
    "5xx",
    "html",
    "cut",
    "429",
    "404",
    "wrong form",
    "no ids",
    "repeated page",
    "cursor loop",
    "slow",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the batch. `text` is its body, different in each: by it the server's history knows it.

    Args:
        ticket: the number of an existing ticket, or the external id of a new one.
    """

    key: str
    kind: str
    ticket: int | str
    text: str


@dataclass(frozen=True, slots=True)
class World:
    """One seed's world. All times are seconds.

    Args:
        settle: the flag; the helpdesk keeps to it (`lag`, late commits) unless `beyond`.
        in_doubt: the flag; None leaves the default.
        limit: requests that the helpdesk allows in 20 s, on a strict leaking bucket.
        others: requests a second that another application sends.
        lag: how long an accepted message may stay out of the listings.
        page: items on a page of a listing; `style` how the next page is named; `newest`: newest first.
        strangers: messages of others in each ticket.
        strip: what becomes of external ids: "" kept, "null" not returned, "cut" shortened.
        beyond: commits come later than `settle`: only where nothing absent is sent again.
        trouble, read_trouble: the share of creating and reading requests that meet trouble.
        merge, delete: when an existing ticket is merged into another or deleted, or None.
        runs: stormy runs, before calm ones bring the batch to its end.
        reads_later: reading meets no trouble before a message was posted.
        once: only the first attempt of each message meets trouble.
        early: the first run dies while it begins the progress log.
        deadly: how likely a stormy run ends by a crash; `power` how likely such a crash takes unsynced bytes along.
        disk_trouble: how likely the disk fails in a stormy run.
        lost_log: the progress log disappears at the end, and the batch is run once more.
    """

    seed: int
    mode: str
    in_doubt: str | None
    settle: float
    timeout: float
    entries: tuple[Entry, ...]
    limit: int
    others: float
    bursts: bool
    lag: float
    page: int
    style: str
    newest: bool
    strangers: int
    strip: str
    beyond: bool
    trouble: float
    read_trouble: float
    posts: tuple[str, ...]
    reads: tuple[str, ...]
    merge: float | None
    delete: float | None
    runs: int
    deadly: float
    power: float
    disk_trouble: float
    signals: float
    concurrency: int
    retry_rejected: bool
    lost_log: bool
    early: bool
    reads_later: bool
    once: bool

    def resends(self, entry: Entry) -> bool:
        """Whether an absent message may be sent again: what docs/exactly-once.md says of `--in-doubt`."""
        if self.in_doubt is not None:
            return self.in_doubt == "resend"
        return self.mode == "import" or entry.kind == "internal-note"

    @property
    def first_run_is_calm(self) -> bool:
        """Where external ids do not come back, looking proves nothing once one success was seen: so one must be."""
        return bool(self.strip) and any(self.resends(entry) for entry in self.entries)

    @property
    def alone(self) -> bool:
        return self.others == 0

    def batch(self) -> bytes:
        """The batch as JSON Lines: the messages of a new ticket together on one line."""
        lines = []
        for ticket, entries in groupby(self.entries, key=lambda entry: entry.ticket):
            messages = [_message(self.mode, entry) for entry in entries]
            if isinstance(ticket, int):
                lines += [{**message, "ticket_id": ticket} for message in messages]
            else:
                person = {"email": "jane@example.com"}
                lines.append({"external_id": ticket, "subject": "s", "customer": person, "messages": messages})
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    @property
    def threads(self) -> dict[str, list[Entry]]:
        """The entries of each new ticket."""
        told: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if isinstance(entry.ticket, str):
                told.setdefault(entry.ticket, []).append(entry)
        return told


def _message(mode: str, entry: Entry) -> dict[str, Any]:
    message: dict[str, Any] = {"type": entry.kind, "key": entry.key, "body_text": entry.text}
    if entry.kind == "internal-note":
        message |= {"sender": {"email": "anna@acme.example"}}
    else:
        ours, theirs = {"address": "support@acme.example"}, {"address": f"{entry.key}@example.com"}
        source, target = (theirs, ours) if entry.kind == "incoming" else (ours, theirs)
        sender = source["address"] if entry.kind == "incoming" else "anna@acme.example"
        message |= {"channel": "email", "sender": {"email": sender}, "source": {"from": source, "to": [target]}}
    if mode == "import":
        message |= {"sent_datetime": "2024-03-01T10:00:00Z"}
    return message


def world(seed: int) -> World:
    """The world of a seed: always the same."""
    random = Random(f"world {seed}")
    mode = random.choice(("import", "import", "send"))
    in_doubt = random.choice((None, None, "resend", "hold"))
    long = random.random() < 0.05
    bad_reader = random.random() < 0.15
    if long or bad_reader:
        in_doubt = random.choice((None, "resend"))
    settle = random.choice((3.0, 6.0, 20.0))
    limit = random.choice((6, 12, 40, 80))
    heavy = random.random()
    beyond = in_doubt == "hold" and random.random() < 0.5
    moody = random.random() < 0.2
    chosen = tuple(kind for kind in POSTS if random.random() < 0.4) or ("lost answer",)
    rare = tuple(kind for kind in RARE_POSTS if random.random() < 0.15)
    early = random.random() < 0.06
    reads = tuple(kind for kind in READS if random.random() < 0.4)
    parts = random.random() < 0.1  # a helpdesk that stores new tickets in part
    if parts:
        chosen, heavy = ("part stored", "lost answer"), 0.9
    if long or bad_reader:
        chosen, rare = ("lost answer",), ()
        reads = ("capped",) if long else (random.choice(("repeated page", "404", *READS)),)
    return World(
        seed=seed,
        mode=mode,
        in_doubt=in_doubt,
        settle=settle,
        timeout=random.choice((2.0, 10.0)),
        entries=_entries(random),
        limit=limit,
        others=limit / 20.0 * random.choice((0.0, 0.0, 0.0, 0.2, 0.8)),
        bursts=random.random() < 0.5,
        lag=settle * random.choice((0.0, 0.0, 0.3, 0.9, 1.0)),
        page=100 if long else random.choice((1, 2, 3, 100)),
        style=random.choice(("cursor", "cursor", "number")),
        newest=not long and random.random() < 0.3,
        strangers=random.choice((105, 120, 200)) if long else random.choice((0, 0, 1, 3)),
        strip=random.choice(("null", "cut")) if random.random() < 0.15 else "",
        beyond=beyond,
        trouble=0.6 if long or bad_reader else 0.0 if heavy < 0.15 else heavy**2 * 0.8,
        read_trouble=0.8 if long or bad_reader else random.choice((0.0, 0.05, 0.3)),
        posts=(*chosen, *rare) + (("late commit",) if beyond else ()),
        reads=reads,
        merge=random.uniform(0, 60) if moody and random.random() < 0.6 else None,
        delete=random.uniform(0, 60) if moody and random.random() < 0.4 else None,
        runs=3 if early else random.choice((1, 2, 2, 3)),
        deadly=1.0 if early else random.choice((0.0, 0.6, 0.9)),
        power=1.0 if early else random.choice((0.2, 0.8)),
        disk_trouble=random.choice((0.0, 0.0, 0.0, 0.4)),
        signals=random.choice((0.0, 0.0, 0.6)),
        concurrency=random.choice((1, 3, 8)),
        retry_rejected=random.random() < 0.2,
        lost_log=random.random() < 0.12,
        early=early,
        reads_later=long or bad_reader,
        once=False,
    )


def _entries(random: Random) -> tuple[Entry, ...]:
    existing = [101 + number for number in range(random.choice((0, 1, 1, 2)))]
    new = [f"new-{number}" for number in range(random.choice((0, 1, 1, 2)) if existing else 2)]
    blocks: list[list[int | str]] = [[ticket] for ticket in existing for _ in range(random.choice((1, 2, 3)))]
    blocks += [[ticket] * random.choice((1, 1, 2, 3, 6)) for ticket in new]
    random.shuffle(blocks)
    tickets = [ticket for block in blocks for ticket in block]
    return tuple(
        Entry(f"m{number}", random.choice(KINDS), ticket, f"text of m{number}") for number, ticket in enumerate(tickets)
    )


def calm(given: World, **changes: Any) -> World:
    """The same world in fair weather, or in the weather that is named."""
    fair: dict[str, Any] = {
        "others": 0.0,
        "lag": 0.0,
        "strip": "",
        "beyond": False,
        "trouble": 0.0,
        "read_trouble": 0.0,
        "merge": None,
        "delete": None,
        "deadly": 0.0,
        "disk_trouble": 0.0,
        "signals": 0.0,
        "retry_rejected": False,
        "lost_log": False,
        "early": False,
        "reads_later": False,
        "once": False,
    }
    return replace(given, **{**fair, **changes})
