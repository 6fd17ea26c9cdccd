"""Rebuilding a lost log against the fake helpdesk, on a clock that jumps: what is noted, and what would be sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.app.prepare import RunOptions
from bulkmsg.app.rebuilder import Rebuilder
from bulkmsg.desk import Desk, Halt, Stopped
from bulkmsg.errors import ExitCode
from bulkmsg.journal import Fold, LogIdentity, ProgressLog, read_fold
from bulkmsg.message import Mode
from bulkmsg.outcome import UNTOUCHED, Outcome, Standing, State
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Identity, Reply, Request, Silence
from bulkmsg.retry import Breaker
from bulkmsg.settings import InDoubt, Rate
from bulkmsg.validation.survey import BatchFile, messages, survey
from tests.fakes import FakeHelpdesk, Landed, answers
from tests.unit.journal.kit import Clock, QuietDisk
from tests.virtual_clock import run_virtual

SETTLE = 5.0
CREATED, PENDING, IN_DOUBT = State.CREATED, State.PENDING, State.IN_DOUBT


@dataclass
class Texts(FakeHelpdesk):
    """Lists messages with their texts, as the real one does; `texts` by id, those that are not ours included."""

    texts: dict[int, tuple[str, bool]] = field(default_factory=dict)

    def _list(self, query: dict[str, str], now: float) -> Reply:
        reply = super()._list(query, now)
        assert isinstance(reply.json, dict)
        for item in reply.json["data"]:
            item["body_text"], item["from_agent"] = self.texts.get(item["id"], ("", False))
        return reply


class World:
    """A batch, a helpdesk in which a part of it stands, and a log that is to be rebuilt."""

    def __init__(self, folder: Path, tickets: list[int], mode: Mode = Mode.IMPORT, **options: Any) -> None:
        self.path = folder / "log"
        self.folder, self.mode = folder, mode
        self.desk = Texts()
        self.options = RunOptions(settle=SETTLE, **options)
        self.write(tickets)

    def write(self, tickets: list[int], keys: list[str] | None = None) -> None:
        lines = ["version: 1", "name: spring", f"mode: {self.mode.value}", "messages:"]
        for number, ticket in enumerate(tickets):
            key = f"key: k{number}, " if keys is None else (f"key: {keys[number]}, " if keys[number] else "")
            people = f"source: {{from: {{address: a@x.example}}, to: [{{address: b{number}@x.example}}]}}"
            side = "outgoing" if self.mode is Mode.SEND else "incoming"
            sent = "" if self.mode is Mode.SEND else f", sent_datetime: 2024-01-01T00:00:{number:02}Z"
            lines.append(
                f"  - {{type: {side}, {key}ticket_id: {ticket}, channel: email, body_text: text {number}, "
                f"sender: {{email: a@x.example}}, {people}{sent}}}"
            )
        (self.folder / "batch.yaml").write_text("\n".join(lines))
        self.batch = BatchFile(self.folder / "batch.yaml", "batch.yaml")
        self.survey = survey(self.batch)
        assert self.survey.valid, self.survey.findings.kept
        self.messages = list(messages(self.batch, self.survey, "acme"))

    def land(self, *numbers: int, strip: bool = False, at: float = 0.0) -> None:
        """These messages of the batch stand in the helpdesk."""
        for number in numbers:
            message, own = self.messages[number], 2000 + len(self.desk.landed)
            ticket = message.ticket.id  # type: ignore[union-attr]
            self.desk.landed.append(Landed(own, ticket, "" if strip else message.external_id, at))
            self.desk.texts[own] = str(message.body["body_text"]), message.body["from_agent"]

    def log(self) -> ProgressLog:
        identity = LogIdentity("acme", self.mode, "spring", "bulkmsg 0.1.0")
        if self.path.exists():
            return ProgressLog.open(self.path, identity, Clock(), QuietDisk(), rebuilding=True)
        return ProgressLog.rebuild(self.path, identity, Clock(), QuietDisk())[0]

    def rebuild(self, *, stop_after: int | None = None, witness: Fold | None = None, **more: Any) -> Rebuilder:
        """Rebuild the log; `stop_after` so many requests it is stopped."""
        log = self.log()
        rebuilder = Rebuilder(self.batch, self.survey, "acme", self.options, log, witness, **more)

        async def go() -> None:
            desk = Desk(Stopping(self.desk, stop_after), Pacer(Rate(1000, 1.0)), Breaker(), Silence(), 3)
            desk.helpdesk.desk = desk  # type: ignore[attr-defined]
            try:
                await rebuilder.work(desk, None)
            except Stopped:
                assert stop_after is not None
            rebuilder.end(ExitCode.OK, desk)

        try:
            run_virtual(go())
        finally:
            log.close()
        return rebuilder

    @property
    def fold(self) -> Fold:
        return read_fold(self.path)

    def states(self) -> list[State]:
        return [self.fold.standing(message.key).state for message in self.messages]

    def listed(self) -> Counter[str]:
        """How often the listing of each ticket was begun."""
        queries = (dict(call.query) for call in self.desk.calls if call.path == "/api/messages")
        return Counter(query["ticket_id"] for query in queries if "cursor" not in query)


class Killed(Exception):
    """The process ends right here."""


@dataclass
class Stopping:
    """The helpdesk, until so many requests were answered."""

    inner: FakeHelpdesk
    left: int | None
    desk: Desk | None = None

    async def call(self, request: Request) -> Reply:
        reply = await self.inner.call(request)
        if self.left is not None:
            self.left -= 1
            if self.left <= 0 and self.desk is not None:
                self.desk.stop(Halt(ExitCode.SIGINT, "stopped"))
        return reply


def test_what_stands_there_is_created_and_what_does_not_is_sent_by_the_run(tmp_path: Path) -> None:
    world = World(tmp_path, [1, 1, 2, 2, 3])
    world.land(0, 2, 3)
    rebuilder = world.rebuild()
    assert world.states() == [CREATED, PENDING, CREATED, CREATED, PENDING]
    assert world.fold.standing("k0") == Standing(
        CREATED, world.messages[0].content, 0, 2000, 1, external_id=world.messages[0].external_id, run=rebuilder.run
    )
    assert (world.fold.rebuilding, world.fold.rebuilt) == (False, True)
    assert world.fold.last_end is not None
    assert world.fold.last_end["counts"]["created"] == 3
    assert world.fold.last_end["counts"]["pending"] == 2


def test_each_ticket_is_read_once_however_far_apart_its_messages_stand(tmp_path: Path) -> None:
    world = World(tmp_path, [1 + number % 7 for number in range(59)])
    world.desk.page = 3
    world.land(*range(0, 59, 2))
    rebuilder = world.rebuild(waiting=4)  # far fewer than the batch has, so that it is read several times
    assert world.listed() == {str(ticket): 1 for ticket in range(1, 8)}
    assert rebuilder.tickets == 7
    assert world.states() == [PENDING if number % 2 else CREATED for number in range(59)]


def test_what_was_still_on_its_way_is_waited_for(tmp_path: Path) -> None:
    """Stored within one settle, shown within another: the killed run's last message is seen all the same."""
    world = World(tmp_path, [1])
    world.desk.lag = 0.95 * SETTLE
    world.land(0, at=1000.0 + 0.95 * SETTLE)  # the clock begins at 1000
    world.rebuild()
    assert world.states() == [CREATED]


@pytest.mark.parametrize(
    ("mode", "in_doubt", "state"),
    [
        (Mode.IMPORT, None, PENDING),
        (Mode.IMPORT, InDoubt.HOLD, IN_DOUBT),
        (Mode.SEND, None, IN_DOUBT),
        (Mode.SEND, InDoubt.RESEND, PENDING),
    ],
)
def test_what_is_absent_is_sent_where_the_policy_sends_again(
    tmp_path: Path, mode: Mode, in_doubt: InDoubt | None, state: State
) -> None:
    world = World(tmp_path, [1, 2], mode, in_doubt=in_doubt)
    world.land(0)
    world.rebuild()
    assert world.states() == [CREATED, state]
    assert not world.fold.standing("k1").hold


def test_a_message_that_stands_there_twice_is_created_and_told(tmp_path: Path) -> None:
    world = World(tmp_path, [1])
    world.land(0, 0)
    assert world.rebuild().duplicates == [("k0", (2000, 2001))]
    assert world.states() == [CREATED]


def test_a_ticket_that_cannot_be_read_leaves_its_messages_in_doubt(tmp_path: Path) -> None:
    world = World(tmp_path, [1, 1])
    world.land(0)
    world.desk.list_tricks = [answers(404)]
    world.rebuild()
    assert world.states() == [IN_DOUBT, IN_DOUBT]
    assert "404" in (world.fold.standing("k1").error or "")
    assert not world.fold.standing("k1").hold, "it may be looked for again"


# -- where looking proves nothing ----------------------------------------------------------------------------------


def test_where_external_ids_are_not_kept_nothing_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path, [1, 1, 2, 3])
    world.land(0, 2, strip=True)
    rebuilder = world.rebuild()
    assert world.states() == [IN_DOUBT] * 4
    assert all(world.fold.standing(message.key).hold for message in world.messages)
    assert (rebuilder.nothing_of_ours, rebuilder.counts[IN_DOUBT], rebuilder.counts[PENDING]) == (True, 4, 0)


def test_one_message_of_ours_shows_that_they_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path, [1, 2])
    world.land(0)
    world.land(1, strip=True)
    world.options = RunOptions(settle=SETTLE, concurrency=1)
    rebuilder = world.rebuild()
    assert world.states() == [CREATED, PENDING]
    assert not rebuilder.nothing_of_ours


def test_the_suspicion_outlives_a_stop(tmp_path: Path) -> None:
    """Stopped after the one ticket that looked suspicious was noted: the second try still believes no absence."""
    world = World(tmp_path, [1, 2, 3, 4])
    world.land(0, strip=True)
    world.rebuild(stop_after=3, waiting=1)
    assert world.fold.rebuilding
    assert IN_DOUBT in world.states()
    rebuilder = world.rebuild()
    assert world.states() == [IN_DOUBT] * 4
    assert (rebuilder.nothing_of_ours, rebuilder.held) == (True, 4)


def test_an_edited_entry_is_not_sent_beside_what_it_was(tmp_path: Path) -> None:
    world = World(tmp_path, [1, 2])
    world.write([1, 2], keys=["", ""])
    world.land(0, 1)
    text = (tmp_path / "batch.yaml").read_text().replace("text 0", "another text")
    (tmp_path / "batch.yaml").write_text(text)
    world.survey = survey(world.batch)
    world.messages = list(messages(world.batch, world.survey, "acme"))
    world.rebuild()
    assert world.states() == [IN_DOUBT, CREATED]
    assert "before it was edited" in (world.fold.standing(world.messages[0].key).error or "")


def test_what_the_damaged_log_says_was_created_is_not_sent_again(tmp_path: Path) -> None:
    class Told(Fold):
        def __init__(self) -> None: ...

        def standing(self, key: str) -> Standing:
            return Standing(CREATED, message_id=77) if key == "k0" else UNTOUCHED

    world = World(tmp_path, [1, 1])
    world.rebuild(witness=Told())
    assert world.states() == [IN_DOUBT, IN_DOUBT], "nothing of ours was met at all, so no absence is believed"
    assert "message 77" in (world.fold.standing("k0").error or "")
    (tmp_path / "more").mkdir()
    again = World(tmp_path / "more", [1, 1, 2])
    again.land(2)
    again.rebuild(witness=Told())
    assert again.states() == [IN_DOUBT, PENDING, CREATED]


# -- stopped and gone on with --------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(1, 11))
def test_stopped_anywhere_the_same_command_goes_on_and_reads_no_ticket_twice_that_it_knows(
    tmp_path: Path, after: int
) -> None:
    world = World(tmp_path, [1, 2, 3, 4, 5, 6, 1, 2, 3])
    world.land(0, 1, 4, 6)
    world.rebuild(stop_after=after, waiting=2)
    known = {str(m.ticket.id) for m in world.messages if world.fold.standing(m.key) is not UNTOUCHED}  # type: ignore[union-attr]
    before = world.listed()
    assert world.fold.rebuilding
    world.rebuild(waiting=2)
    assert world.states() == [CREATED, CREATED, PENDING, PENDING, CREATED, PENDING, CREATED, PENDING, PENDING]
    assert {ticket for ticket in known if world.listed()[ticket] != before[ticket]} == set()


def test_a_ticket_that_was_noted_in_part_has_no_strangers(tmp_path: Path) -> None:
    """The process died between two records of one ticket; the first is no message of an edited entry."""
    world = World(tmp_path, [1, 1])
    world.write([1, 1], keys=["", ""])
    world.land(0)
    log = world.log()
    rebuilder = Rebuilder(world.batch, world.survey, "acme", world.options, log)

    async def half() -> None:
        desk = Desk(world.desk, Pacer(Rate(1000, 1.0)), Breaker(), Silence(), 1)
        task = asyncio.create_task(rebuilder.work(desk, None))
        learn, learned = log.learn, Counter[str]()

        def once(who: Identity, outcome: Outcome) -> None:
            if learned.total():
                raise Killed
            learned[who.key] += 1
            learn(who, outcome)

        log.learn = once  # type: ignore[method-assign]
        await task

    with pytest.raises(Killed):
        run_virtual(half())
    log.close()
    assert world.states() == [CREATED, PENDING]
    assert world.fold.size == 1
    world.rebuild()
    assert world.states() == [CREATED, PENDING]
    assert world.fold.size == 2
    assert not world.fold.standing(world.messages[1].key).hold
