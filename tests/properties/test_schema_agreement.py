"""The fast engine never says yes where the explaining one says no, and the Checker's verdict is the latter's.

Volume comes from a seeded generator that breaks good entries in every way that reliability.md's hostile
input knows; odd shapes come from hypothesis. BULKMSG_AGREEMENT=20000 asks for more.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkmsg import schema
from bulkmsg.schema import Checker, checker

VOLUME = int(os.environ.get("BULKMSG_AGREEMENT", "5400"))

FULL: dict[str, Any] = {
    "key": "row-17",
    "ticket_id": 348149927,
    "via": "api",
    "sender": {"id": 5, "email": "anna@acme.com", "channels": [{"type": "email", "address": "anna@acme.com"}]},
    "source": {
        "from": {"name": "Support", "address": "support@acme.com"},
        "to": [{"address": "jane@example.com"}, {"name": "John", "address": "john@example.com"}],
        "cc": [{"address": "cc@example.com"}],
    },
    "subject": "Where is my order?",
    "body_text": "Hi",
    "body_html": "<p>Hi</p>",
    "external_id": "zendesk-99",
    "sent_datetime": "2021-03-01T10:00:00Z",
    "created_datetime": "2021-03-01T10:00:00.5+01:00",
    "attachments": [{"url": "https://x.example/a.png", "name": "a.png", "content_type": "image/png", "size": 3}],
    "meta": {"a": [1, {"b": None}]},
    "headers": {"In-Reply-To": "<x@y>"},
    "macros": [{"id": 311}],
}
BASES: dict[str, dict[str, Any]] = {
    "incoming": {"type": "incoming", "channel": "email", **FULL},
    "outgoing": {"type": "outgoing", "channel": "email", "receiver": {"id": 7}, **FULL},
    "internal-note": {"type": "internal-note", **FULL, "source": {"type": "internal-note"}, "mention_ids": [8842]},
}
INSIDE = {kind: {k: v for k, v in base.items() if k != "ticket_id"} for kind, base in BASES.items()}
TICKET: dict[str, Any] = {
    "external_id": "zendesk-1042",
    "customer": {"email": "jane@example.com"},
    "status": "closed",
    "tags": ["vip"],
    "custom_fields": [{"id": 1, "value": True}],
    "created_datetime": "2021-03-01T10:00:00Z",
    "messages": list(INSIDE.values()),
}
BATCH: dict[str, Any] = {
    "version": 1,
    "name": "x",
    "account": "acme",
    "defaults": {"via": "api", "outgoing": {"channel": "email"}, "ticket": {"spam": False}},
    "messages": [
        *BASES.values(),
        {"from": "a.csv", "template": {"type": "internal-note", "created_datetime": "{{ d }}"}},
    ],
    "tickets": [TICKET, {"from": ["a.csv"], "columns": {"A": "b"}, "template": {"subject": "{{ s }}"}}],
}  # fmt: skip

SUBJECTS: list[tuple[Checker, dict[str, Any]]] = [
    *((checker(kind, mode, "on_ticket"), base) for kind, base in BASES.items() for mode in ("import", "send")),
    *((checker(kind, "import", "in_ticket"), base) for kind, base in INSIDE.items()),
    *((checker(f"{kind}#entry"), base) for kind, base in BASES.items()),
    (checker("ticket", "import"), TICKET),
    (checker("batch"), BATCH),
    *((checker("progress-log"), d["examples"][0]) for d in schema.load("progress-log")["$defs"].values()),
    *((checker("event"), d["examples"][0]) for d in schema.load("event")["$defs"].values()),
]

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 5.0, 1.5, 1e400, -1e400, float("nan"), 2**53 - 1, 2**53, 2**64, 10**400, -0.0),
    *("", " ", "\n", "\x00", "x", "api", "email", "internal-note", "incoming", "emial", "{{ x }}", "#" + "0" * 32),
    *("a@b", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "\ta@b", "ü@ex.com", "a@b\u00a0", "\u202ea@b"),
    *("a@\u2028b", "a\x85@b"),
    *("2021-03-01T10:00:00Z", "2021-03-01T10:00:00Z\n", "2021-03-01T10:00:00"),
    *("2021-03-01 10:00:00z", "2016-12-31T23:59:60Z"),
    *("\u0662\u0660\u0662\u0661-03-01T10:00:00Z", "2021-03-01T10:00:00+0100", "2021-03-01"),
    *("2021-13-41T99:99:99Z", "{{ when }}"),
    *("https://x.example/a b", "https://x", "HTTP://x", "ftp://x", "image/png\n", "a" * 255, "a" * 256),
    *("a" * 320 + "@b", "a" * 318 + "@b"),
    *("é" * 255, "\U0001f600" * 255, "\U0001f600" * 256, "\ud800", "x" * 998, "x" * 999, "x" * 1_000_001),
    *([], {}, [None], [[]], [{}], [1, "1"], {"address": "a@b"}, {"id": 1}, {"id": "1"}, {5: "x"}, {"from": "x"}, b"x"),
]  # fmt: skip
NAMES = [
    "type",
    "zzz",
    "vai",
    "receiver",
    "mention_ids",
    "actions",
    "public",
    "from_agent",
    "ticket_external_id",
    "channel",
    7,
]


def spots(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inner:
        yield from spots(value, (*path, name))


def mutated(entry: dict[str, Any], rng: random.Random) -> Any:
    """A copy with a few things removed, replaced or added, often none."""
    new = copy.deepcopy(entry)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        *way, last = rng.choice([p for p in spots(new) if p])
        owner: Any = new
        for part in way:
            owner = owner[part]
        what = rng.random()
        if what < 0.3:
            del owner[last]
        elif what < 0.75:
            owner[last] = copy.deepcopy(rng.choice(ODD))
        elif isinstance(owner, dict):
            owner[rng.choice(NAMES)] = copy.deepcopy(rng.choice(ODD))
        else:
            owner.append(copy.deepcopy(rng.choice(ODD)))
        if len(new) < 2:
            break
    return new


def agree(check: Checker, instance: Any, *, explain: bool = True) -> tuple[bool, bool]:
    """Both engines' verdicts, after making sure that nothing is lost between them or in the explanation."""
    fast = check.is_valid(instance)
    slow = schema._compile_slow(check._schema) if check._slow is None else check._slow
    check._slow = slow
    truth = slow.is_valid(instance)
    assert truth or not fast, "the fast engine accepts what jsonschema refuses"
    assert not explain or truth == (not check.violations(instance))
    return fast, truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_false_yes_among_thousands_of_broken_entries(seed: int) -> None:
    rng = random.Random(seed)
    seen = {(False, False): 0, (True, True): 0, (False, True): 0}
    for i in range(VOLUME // 3):
        # The big documents are slow to explain and hold the same parts: they get a small share.
        check, base = SUBJECTS[i % 12] if i % 20 else rng.choice(SUBJECTS[12:])
        # Explaining walks the whole schema, a verdict stops at the first error: every fifth is explained.
        seen[agree(check, mutated(base, rng), explain=i % 5 == 0)] += 1
    assert seen[True, True] > VOLUME // 30 and seen[False, False] > VOLUME // 30, "the generator is lopsided"
    # What only jsonschema accepts costs time, not correctness; there should be next to none.
    assert seen[False, True] <= VOLUME // 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(ODD[16:60]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({f for kind in BASES for f in schema.load(kind)["$defs"]["entry"]["properties"]})
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@RELAXED
@given(st.sampled_from(SUBJECTS[:12]), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_fields_of_any_shape(subject: tuple[Checker, dict[str, Any]], fields: dict[str, Any]) -> None:
    check, base = subject
    agree(check, {**base, **fields})


@RELAXED
@given(st.sampled_from(["sender", "source", "attachments", "meta"]), JSON, st.text(max_size=12))
def test_inner_objects_of_any_shape(field: str, value: Any, name: str) -> None:
    for check, base in SUBJECTS[:6:2]:
        inner = base.get(field)
        agree(check, {**base, field: {**inner, name: value} if isinstance(inner, dict) else [value]})


@RELAXED
@given(
    st.text(alphabet=st.characters(codec=None), max_size=8),
    st.text(max_size=8),
    st.sampled_from(["@", "", "@@", "@\n"]),
)
def test_addresses_of_any_letters(name: str, host: str, between: str) -> None:
    check, base = SUBJECTS[0]
    agree(check, {**base, "sender": {"email": name + between + host}})


@RELAXED
@given(st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?.{0,6}\n?\Z"))
def test_dates_of_nearly_the_right_shape(value: str) -> None:
    for check, base in SUBJECTS[:6:2]:
        fast, truth = agree(check, {**base, "sent_datetime": value})
        assert not ((fast or truth) and "\n" in value)
