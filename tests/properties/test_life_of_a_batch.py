"""A batch lives: it is run, killed, edited, reordered, extended, cut short, and run again, in a world where all fails.

After each step the helpdesk's own history and the tool's own report are held against each other: nothing twice,
nothing lost, order kept, nobody mailed twice, and no text, address or credential in anything that was written.

The lives are derived from this file alone, so that a failure repeats itself. BATCH_LIVES=2000 asks for as many others,
at random; a failure prints how to repeat it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bulkmsg.app.history import History
from bulkmsg.app.prepare import RunOptions, prepare
from bulkmsg.app.result import RunResult
from bulkmsg.app.run import Sending, idle
from bulkmsg.errors import BulkmsgError, ExitCode, InvalidBatch, LogUnusable
from bulkmsg.events import RunView
from bulkmsg.journal.files import RESERVE_BYTES
from bulkmsg.message import Mode
from bulkmsg.outcome import State
from bulkmsg.ports import Silence
from bulkmsg.sandbox.faults import Faults
from bulkmsg.settings import Credentials
from bulkmsg.validation.survey import BatchFile
from tests.properties.world import Death, Fate, World
from tests.virtual_clock import run_virtual

LIVES = int(os.environ.get("BATCH_LIVES", "0"))
SETTLE = 5.0
CANARY = "canary-7f3a"
ADDRESS = "canary.7f3a@example.com"
SECRET = "secret-canary-7f3a-0123456789"
TICKETS = (1, 2, None)  # None: each in a new ticket of its own
KINDS = ("incoming", "outgoing", "internal-note")
# What may befall a request that creates, and one that reads, in the sandbox's words.
WRITE_FAULTS = (
    *("drop-before", "drop-after", "garbage", "garbage-after", "hang-before", "hang", "429", "503", "500-before"),
    *("500-after", "502-after", "408-after", "409-before", "cut", "html", "empty", "array", "no-id", "text-id"),
    *("cut-body", "captive", "redirect"),
    *("drop-after", "hang", "500-after", "garbage-after") * 3,  # the answer is lost and the message is there
)
LIST_FAULTS = (
    *("list-429@1", "list-500@1", "list-500=1", "list-404=1", "list-garbage=1", "list-drop=1", "list-cut=1"),
    *("list-html=1", "list-loop=1", "list-hang@1"),
)


def weather_of(seed: int) -> str:
    """What befalls the requests of one run, in the sandbox's words: some of the first writes, at times the listings."""
    chance = Random(seed)
    writes = [f"{chance.choice(WRITE_FAULTS)}@{nth}" for nth in range(1, 7) if chance.random() < 0.5]
    listings = [chance.choice(LIST_FAULTS)] if chance.random() < 0.4 else []
    return ",".join([*writes, *listings]) if seed else ""


# Drawn as a seed, since Hypothesis prefers simple weather, and simple weather proves little.
WEATHER = st.integers(0, 9999).map(weather_of)


@dataclass(frozen=True)
class Entry:
    """An entry of the batch: which it is, how often it was edited, and whether the helpdesk dislikes its text."""

    number: int
    ticket: int | None
    kind: str
    version: int = 0
    bad: bool = False

    @property
    def key(self) -> str:
        return f"entry-{self.number}" if self.number % 3 else f"{self.number}.{ADDRESS}"

    @property
    def text(self) -> str:
        return f"{CANARY} entry {self.number} version {self.version}{' bad' if self.bad else ''}"

    def written(self, mode: Mode) -> dict[str, Any]:
        """As it stands in the batch; a new ticket around it where it has none."""
        agent = {"address": "support@acme.example"}, {"email": "anna@acme.example"}
        customer = {"address": f"{self.number}.{ADDRESS}"}, {"email": f"{self.number}.{ADDRESS}"}
        ours, theirs = (agent, customer) if self.kind != "incoming" else (customer, agent)
        body: dict[str, Any] = {"type": self.kind, "key": self.key, "sender": ours[1], "body_text": self.text}
        if self.kind != "internal-note":
            body |= {"channel": "email", "source": {"from": ours[0], "to": [theirs[0]]}}
        if mode is Mode.IMPORT:
            body["sent_datetime"] = "2024-03-01T10:00:00Z"
        if self.ticket is not None:
            return {**body, "ticket_id": self.ticket}
        return {"messages": [body], "customer": customer[1]}


def entry_of(message: dict[str, Any]) -> int:
    """Which entry a message of the helpdesk came from."""
    return int(message["body_text"].split()[2])


class Nobody:
    """Watches no run, and keeps what was said."""

    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    async def watch(self, view: Callable[[], RunView]) -> None:
        return

    def note(self, text: str) -> None:
        self._heard.append(text)


class LifeOfABatch(RuleBasedStateMachine):
    """The rules of such a life; subclasses say in which mode it is lived."""

    mode = Mode.IMPORT

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.batch = self.folder / "batch.yaml"
        self.world = World(self.folder, self.folder / "batch.yaml.acme.progress.jsonl")
        self.world.desk.refuses = lambda message: message["body_text"].endswith(" bad")
        self.entries: list[Entry] = []
        self.removed: list[Entry] = []
        self.told: dict[str, State] = {}  # where each entry stands, by the tool's word after the last run
        self.forms: dict[str, Entry] = {}  # all that ever stood in the batch, by text
        self.numbered: dict[str, int] = {}  # entries by key
        self.fixed: dict[int, set[Entry]] = {}  # in which forms an entry may stand in the helpdesk
        self.numbers = 0
        self.runs = 0
        self.said: list[str] = []  # all that was told: events, errors, reports

    def teardown(self) -> None:
        try:
            self.ends_well()
        finally:
            shutil.rmtree(self.folder)

    # -- the batch changes -------------------------------------------------------------------------------------------

    @initialize(data=st.data())
    def begins(self, data: st.DataObject) -> None:
        for _ in range(data.draw(st.integers(4, 8))):
            self.grows(data.draw(st.sampled_from(TICKETS)), data.draw(st.sampled_from(KINDS)), bad=False)

    @precondition(lambda self: len(self.entries) < 12)
    @rule(ticket=st.sampled_from(TICKETS), kind=st.sampled_from(KINDS), bad=st.booleans())
    def grows(self, ticket: int | None, kind: str, bad: bool) -> None:
        self.numbers += 1
        self.entries.append(Entry(self.numbers, ticket, kind, bad=bad))
        self._write()

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), bad=st.booleans())
    def is_edited(self, data: st.DataObject, bad: bool) -> None:
        at = data.draw(st.integers(0, len(self.entries) - 1))
        entry = self.entries[at]
        self.entries[at] = replace(entry, version=entry.version + 1, bad=bad)
        self._write()

    @precondition(lambda self: self._edited())
    @rule()
    def gets_its_old_texts_back(self) -> None:
        self.entries = [self._as_sent(entry) for entry in self.entries]
        self._write()

    @rule(data=st.data())
    def is_reordered(self, data: st.DataObject) -> None:
        self.entries = data.draw(st.permutations(self.entries))
        self._write()

    @precondition(lambda self: len(self.entries) > 1)
    @rule(data=st.data())
    def loses_an_entry(self, data: st.DataObject) -> None:
        self.removed.append(self.entries.pop(data.draw(st.integers(0, len(self.entries) - 1))))
        self._write()

    @precondition(lambda self: self.removed)
    @rule()
    def gets_an_entry_back(self) -> None:
        self.entries.append(self.removed.pop())
        self._write()

    # -- the world changes -------------------------------------------------------------------------------------------

    @rule(lists=st.sampled_from((0.0, 1.0, SETTLE - 0.5)), commits=st.sampled_from((0.0, 2.0, SETTLE - 0.5)))
    def the_helpdesk_lags(self, lists: float, commits: float) -> None:
        self.world.desk.lag_listings(lists)
        self.world.desk.commit_lag = commits

    @rule(writes=st.integers(0, 3))
    def the_key_is_revoked(self, writes: int) -> None:
        self.world.desk.revoke_in = writes

    @precondition(lambda self: self.world.desk.revoke_in is not None)
    @rule()
    def a_new_key_is_given(self) -> None:
        self.world.desk.revoke_in = None

    @rule(room=st.integers(0, 3000), reserve=st.booleans())
    def the_disk_fills_up(self, room: int, reserve: bool) -> None:
        log = self.world.log.stat().st_size if self.world.log.exists() else 0
        self.world.disk.room = log + room + (RESERVE_BYTES if reserve else 0)

    @precondition(lambda self: self.world.disk.room is not None)
    @rule()
    def the_disk_is_freed(self) -> None:
        self.world.disk.room = None

    @rule()
    def the_next_flush_fails(self) -> None:
        self.world.disk.bad_fsyncs = 1

    @rule(seconds=st.sampled_from((0.5, SETTLE, 3600.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.at += seconds

    # -- runs --------------------------------------------------------------------------------------------------------

    @rule(weather=WEATHER, allow=st.booleans())
    def is_run(self, weather: str, allow: bool) -> None:
        self._run(None, weather, allow)

    @rule(weather=WEATHER, step=st.integers(1, 90), arrives=st.booleans())
    def is_run_and_killed(self, weather: str, step: int, arrives: bool) -> None:
        self._run(Fate(step, arrives=arrives), weather)

    @rule(weather=WEATHER, step=st.integers(1, 90), kept=st.floats(0, 1), zeroes=st.booleans(), arrives=st.booleans())
    def is_run_and_the_power_goes(self, weather: str, step: int, kept: float, zeroes: bool, arrives: bool) -> None:
        self._run(Fate(step, True, kept, zeroes, arrives), weather)

    @rule(weather=WEATHER, step=st.integers(1, 40), signals=st.integers(1, 2))
    def is_run_and_told_to_stop(self, weather: str, step: int, signals: int) -> None:
        self._run(Fate(step, signals=signals), weather)

    def _run(self, fate: Fate | None, weather: str = "", allow: bool = False) -> RunResult | None:
        """One process: the result that it told; None if it died or was refused."""
        self.runs += 1
        self.world.desk.run = self.runs
        self.world.desk.faults = Faults(weather)
        before, edited, gone = self._landed(), self._edited(), self._gone()
        reasons = bool(gone or self._perhaps_edited()) and not allow
        failing = self.world.disk.room is not None or self.world.disk.bad_fsyncs > 0
        self.world.begin(fate)
        result: RunResult | None = None
        try:
            result = ended = self._process(allow)
        except Death:
            pass
        except BulkmsgError as error:
            self.said += [error.message, error.hint]
            self._was_right_to_refuse(error, reasons, failing, before)
        else:
            assert allow or not edited, f"sent although {edited} were edited after they were created"
            assert allow or not gone, f"sent although {gone} are gone"
            self._told_the_truth(ended, failing)
        finally:
            self.world.end()
        self._remember(allow)
        self.nothing_stands_twice_and_nothing_is_claimed_that_is_not_so()
        self.order_was_kept(before)
        self.nobody_is_mailed_twice_and_in_import_nobody_at_all()
        self.what_is_in_doubt_is_not_sent_again_where_people_are_mailed()
        self.nothing_private_is_written_or_said()
        return result

    def _process(self, allow: bool) -> RunResult:
        options = RunOptions(
            "acme",
            credentials=Credentials(email="anna@acme.example", api_key=SECRET),
            settle=SETTLE,
            allow_changed=allow,
            allow_removed=allow,
        )
        sink = Silence()
        prepared = prepare(BatchFile(self.batch, "batch.yaml"), options, self.world.now, self.world.disk)
        try:
            sending = Sending(
                prepared,
                sink,
                Nobody(self.said),
                self.world.now,
                consent=99,
                run=f"run-{self.runs}",
                random=Random(self.runs),
                reach=self.world.reach,
            )
            return idle(prepared) or run_virtual(sending.send())
        finally:
            prepared.close()
            self.said += [str(event) for event in sink.events]

    # -- what must hold ----------------------------------------------------------------------------------------------

    def _was_right_to_refuse(
        self, error: BulkmsgError, reasons: bool, failing: bool, before: list[dict[str, Any]]
    ) -> None:
        assert self._landed() == before, "refused, and sent something"
        if isinstance(error, InvalidBatch):
            assert error.exit_code is ExitCode.INVALID
            assert reasons, f"refused without a reason: {error}"
        else:
            assert isinstance(error, LogUnusable), f"refused: {error}"
            assert failing, f"the disk is sound: {error}"

    def _told_the_truth(self, result: RunResult, failing: bool) -> None:
        self.said.append(str(result))
        assert sum(result.counts.values()) == result.total == len(self.entries)
        if result.exit_code is ExitCode.OK:
            assert result.counts["created"] == result.total
        assert not result.duplicates
        failed = result.exit_code in (ExitCode.LOG, ExitCode.SIGTERM)
        assert failed or not self.world.disk.failed
        assert failing or result.exit_code is not ExitCode.LOG

    def order_was_kept(self, before: list[dict[str, Any]]) -> None:
        """On each ticket what this run brought follows the batch, and all that stands before it there is created."""
        ours = {arrival.message["body_text"] for arrival in self.world.desk.arrivals if arrival.run == self.runs}
        known = {message["id"] for message in before}
        new = [each for each in self._landed() if each["id"] not in known and each["body_text"] in ours]
        place = {entry.number: at for at, entry in enumerate(self.entries)}
        there = {entry_of(message) for message in self._landed()}
        for ticket in (1, 2):
            came = [place[entry_of(message)] for message in new if message["ticket_id"] == ticket]
            assert came == sorted(came), f"out of order on ticket {ticket}: {came}"
            ahead = [e.number for e in self.entries[: max(came, default=0)] if e.ticket == ticket]
            assert set(ahead) <= there, f"overtaken on ticket {ticket}: {set(ahead) - there}"

    def _remember(self, allow: bool) -> None:
        """What the tool says now of each entry; what is there, or may be, is fixed in the form in which it was sent."""
        history = History(BatchFile(self.batch, "batch.yaml"), "acme", None, self.world.log)
        self.told = {result.key: result.outcome for result in history.results()}
        there = {entry_of(message): self.forms[message["body_text"]] for message in self._landed()}
        for entry in self.entries:
            state = self.told[entry.key]
            if state is State.CREATED and entry.number in there:
                self.fixed[entry.number] = {there[entry.number]}
            elif state is State.IN_DOUBT and (allow or entry.number not in self.fixed):
                self.fixed.setdefault(entry.number, set()).add(entry)
            elif state is not State.IN_DOUBT:
                self.fixed.pop(entry.number, None)

    def _edited(self) -> list[int]:
        """Entries that were surely changed since they were sent."""
        return [entry.number for entry in self.entries if entry not in self.fixed.get(entry.number, {entry})]

    def _perhaps_edited(self) -> list[int]:
        return [entry.number for entry in self.entries if self.fixed.get(entry.number, {entry}) != {entry}]

    def _as_sent(self, entry: Entry) -> Entry:
        forms = self.fixed.get(entry.number, {entry})
        return entry if entry in forms else min(forms, key=lambda form: form.version)

    def _gone(self) -> list[int]:
        """What was created or is in doubt and left the batch, where that is refused."""
        if self.mode is not Mode.SEND:
            return []
        return [entry.number for entry in self.removed if entry.number in self.fixed]

    def _landed(self) -> list[dict[str, Any]]:
        return self.world.desk.landed()

    def _write(self) -> None:
        self.forms |= {entry.text: entry for entry in self.entries}
        self.numbered |= {entry.key: entry.number for entry in self.entries}
        written = [(entry.ticket, entry.written(self.mode)) for entry in self.entries]
        batch = {
            "version": 1,
            "name": "life",
            "mode": self.mode.value,
            "messages": [entry for ticket, entry in written if ticket is not None],
            "tickets": [entry for ticket, entry in written if ticket is None],
        }
        self.batch.write_text(json.dumps(batch, indent=1))

    def nothing_stands_twice_and_nothing_is_claimed_that_is_not_so(self) -> None:
        there = Counter(entry_of(message) for message in self._landed())
        assert set(there.values()) <= {1}, f"twice: {there}"
        for key, state in self.told.items():
            number = self.numbered[key]
            if state is State.CREATED:
                assert there[number] == 1, f"{key} is said to be created"
            elif state is not State.IN_DOUBT:
                assert there[number] == 0, f"{key} stands in the helpdesk and is said to be {state.value}"

    def nobody_is_mailed_twice_and_in_import_nobody_at_all(self) -> None:
        outbox = self.world.desk.model.outbox
        mailed = Counter(tuple(mail["to"]) for mail in outbox)
        assert set(mailed.values()) <= {1}, f"mailed twice: {mailed}"
        if self.mode is Mode.IMPORT:
            assert not mailed
            public = [a.message for a in self.world.desk.arrivals if a.message["channel"] != "internal-note"]
            assert all(message.get("sent_datetime") for message in public)

    def what_is_in_doubt_is_not_sent_again_where_people_are_mailed(self) -> None:
        """In send mode a public message whose answer did not come may arrive at any time later: it leaves once."""
        asked = [arrival.message for arrival in self.world.desk.arrivals if arrival.message["channel"] == "email"]
        if self.mode is Mode.SEND:
            assert set(Counter(entry_of(message) for message in asked).values()) <= {1}

    def nothing_private_is_written_or_said(self) -> None:
        files = [p.read_bytes() for p in self.folder.iterdir() if p != self.batch and not p.name.endswith("reserve")]
        told = b"\n".join([*files, *(text.encode() for text in self.said)])
        for canary in (CANARY, ADDRESS, ADDRESS.split("@")[0], SECRET, "@"):
            assert canary.encode() not in told, canary

    def ends_well(self) -> None:
        """All is mended, and the batch is run until nothing is left to do."""
        self.a_new_key_is_given()
        self.the_disk_is_freed()
        self.world.disk.bad_fsyncs = 0
        self.entries, self.removed = self.entries + self.removed, []
        for _ in range(3):
            self.time_passes(3600.0)
            sent = [self._as_sent(entry) for entry in self.entries]
            self.entries = [entry if entry.number in self.fixed else replace(entry, bad=False) for entry in sent]
            self._write()
            assert self._run(None, allow=bool(self._perhaps_edited())) is not None
        left = {key: state for key, state in self.told.items() if state is not State.CREATED}
        if self.mode is Mode.IMPORT:
            assert not left
            assert {entry_of(message) for message in self._landed()} == {entry.number for entry in self.entries}
        elif left:  # what was not found is never mailed again unasked, and holds back its ticket
            assert State.IN_DOUBT in left.values()
            assert set(left.values()) <= {State.IN_DOUBT, State.HELD_BACK}


class Sent(LifeOfABatch):
    mode = Mode.SEND


_PROFILE = settings(
    max_examples=LIVES or 80,
    stateful_step_count=25,
    deadline=None,
    derandomize=not LIVES,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
TestImported = LifeOfABatch.TestCase
TestImported.settings = _PROFILE
TestSent = Sent.TestCase
TestSent.settings = _PROFILE
