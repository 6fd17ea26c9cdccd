"""Uploads before their messages, on a clock that jumps: once for each content, repeated in doubt, never a storm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bulkmsg import schema, uploads
from bulkmsg.desk import Desk, Stopped
from bulkmsg.errors import ExitCode
from bulkmsg.message import Message, Upload
from bulkmsg.outcome import Outcome, State
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Contact, Reply, Request, Silence
from bulkmsg.readers.attached import Attached, Digests, Folder
from bulkmsg.retry import Breaker
from bulkmsg.settings import Rate
from bulkmsg.uploads import ATTEMPTS, Uploader
from tests.fakes import message
from tests.virtual_clock import run_virtual

LOST = Reply(Contact.LOST, reason="no answer in time")
REFUSED = Reply(Contact.NEVER_LEFT, reason="the connection was refused")


def answer(status: int, body: Any = None, **more: Any) -> Reply:
    return Reply(Contact.ANSWERED, status, body, body is not None, **more)


class Store:
    """A helpdesk that takes files: answers as planned first, then as it should."""

    def __init__(self, *planned: Reply, latency: float = 0.1) -> None:
        self.planned = list(planned)
        self.latency = latency
        self.asked: list[Upload] = []

    async def call(self, request: Request) -> Reply:
        assert request.path == "/api/upload"
        assert request.upload is not None
        self.asked.append(request.upload)
        await asyncio.sleep(self.latency)
        if self.planned:
            return self.planned.pop(0)
        return answer(
            201, [{"url": f"https://f.example/{len(self.asked)}", "name": "x", "size": 1, "content_type": "a/b"}]
        )


class Case:
    """A store, and the uploader before it."""

    def __init__(self, *planned: Reply, shared: tuple[Upload, ...] = (), rate: Rate = Rate(1000, 1.0)) -> None:  # noqa: B008 -- frozen
        self.store = Store(*planned)
        self.sink = Silence()
        self.desk = Desk(self.store, Pacer(rate), Breaker(), self.sink)
        self.uploader = Uploader(self.desk, frozenset(each.hash64 for each in shared), Random(1))


def play(test: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return run_virtual(test())


@pytest.fixture
def file(tmp_path: Path) -> Upload:
    (tmp_path / "12.pdf").write_bytes(b"an invoice")
    found = Folder(tmp_path, Digests()).look("12.pdf")
    assert isinstance(found, Attached)
    return Upload(1, "12.pdf", found.path, found.digest, found.size, found.mark, "12.pdf", "application/pdf")


def carrying(number: int, *files: Upload) -> Message:
    listed = [{"url": "https://x.example/a", "name": "a", "content_type": "a/b"}, {"name": "12.pdf"}]
    return replace(message(number, attachments=listed), uploads=files)


def test_what_the_helpdesk_answered_goes_into_the_message_and_the_entry_stays_the_same(file: Upload) -> None:
    case, before = Case(), carrying(1, file)
    after = play(lambda: case.uploader.attach(before))
    assert after.body["attachments"] == [
        before.body["attachments"][0],
        {"url": "https://f.example/1", "name": "12.pdf", "size": 1, "content_type": "a/b"},
    ]
    assert (after.uploads, after.content, after.key) == ((), before.content, before.key)
    assert "url" not in before.body["attachments"][1]


def test_a_message_without_files_costs_nothing(file: Upload) -> None:
    case, plain = Case(), message(1)
    assert play(lambda: case.uploader.attach(plain)) is plain
    assert case.store.asked == []


def test_what_several_messages_carry_is_uploaded_once_also_at_the_same_time(file: Upload) -> None:
    case = Case(shared=(file,))

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(case.uploader.attach(carrying(number, file)) for number in range(20)))

    found = play(all_at_once)
    assert len(case.store.asked) == 1
    assert {each.body["attachments"][1]["url"] for each in found} == {"https://f.example/1"}


def test_another_name_or_type_is_another_upload(file: Upload) -> None:
    others = (file, replace(file, name="13.pdf"), replace(file, content_type="text/plain"))
    case = Case(shared=others)

    async def one_by_one() -> None:
        for each in (*others, *others):
            await case.uploader.attach(carrying(1, each))

    play(one_by_one)
    assert case.store.asked == list(others)


def test_only_what_is_needed_again_is_kept(file: Upload) -> None:
    case = Case()
    play(lambda: case.uploader.attach(carrying(1, file)))
    assert case.uploader._known.get(file.identity) is None
    assert case.uploader._going == {}


@pytest.mark.parametrize("trouble", [LOST, REFUSED, answer(502), answer(201, []), answer(301, {}), answer(409, {})])
def test_an_upload_in_doubt_is_simply_repeated(trouble: Reply, file: Upload) -> None:
    case = Case(trouble, trouble)
    after = play(lambda: case.uploader.attach(carrying(1, file)))
    assert after.body["attachments"][1]["url"] == "https://f.example/3"


def test_a_throttled_upload_waits_as_told_and_is_no_attempt(file: Upload) -> None:
    case = Case(*[answer(429, retry_after="7")] * (ATTEMPTS + 1))

    async def timed() -> float:
        begun = asyncio.get_running_loop().time()
        await case.uploader.attach(carrying(1, file))
        return asyncio.get_running_loop().time() - begun

    assert 7.0 * (ATTEMPTS + 2) > play(timed) >= 7.0 * (ATTEMPTS + 1)


def test_an_upload_that_never_gets_an_answer_fails_after_some_attempts(file: Upload) -> None:
    case = Case(*[LOST] * 99)
    told = play(lambda: case.uploader.attach(carrying(1, file)))
    assert isinstance(told, Outcome)
    assert told.state is State.FAILED
    assert told.error == "the file 12.pdf (10 bytes): 5 uploads, none arrived: no answer in time"
    assert len(case.store.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (answer(413), "the file 12.pdf (10 bytes) is too large for the helpdesk: the helpdesk answered 413"),
        (answer(400, {"error": {"msg": "Not a file"}}), "the file 12.pdf (10 bytes) was refused: Not a file"),
    ],
)
def test_a_refused_file_rejects_its_messages_and_is_not_sent_again(refusal: Reply, error: str, file: Upload) -> None:
    case = Case(refusal, shared=(file,))

    async def three() -> list[Any]:
        return await asyncio.gather(*(case.uploader.attach(carrying(number, file)) for number in range(3)))

    found = play(three)
    assert [(each.state, each.status, each.error) for each in found] == [(State.REJECTED, refusal.status, error)] * 3
    assert len(case.store.asked) == 1


def test_a_failed_upload_is_tried_again_for_the_next_message(file: Upload) -> None:
    case = Case(*[LOST] * ATTEMPTS, shared=(file,))

    async def two() -> list[Any]:
        return [await case.uploader.attach(carrying(number, file)) for number in range(2)]

    first, second = play(two)
    assert first.state is State.FAILED
    assert isinstance(second, Message)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_stop_the_run(status: int, file: Upload) -> None:
    case = Case(answer(status, {"error": {"msg": "Unauthorized."}}), shared=(file,))

    async def two() -> list[Any]:
        both = (case.uploader.attach(carrying(number, file)) for number in range(2))
        return await asyncio.gather(*both, return_exceptions=True)

    assert [type(each) for each in play(two)] == [Stopped, Stopped]
    assert case.desk.halt is not None
    assert case.desk.halt.code is ExitCode.REFUSED
    assert len(case.store.asked) == 1


def test_a_file_that_was_changed_meanwhile_stops_the_run_before_it_is_sent(file: Upload) -> None:
    Path(file.path).write_bytes(b"another one")
    case = Case()

    async def once() -> None:
        with pytest.raises(Stopped):
            await case.uploader.attach(carrying(7, file))

    play(once)
    assert case.store.asked == []
    assert case.desk.halt is not None
    assert case.desk.halt.code is ExitCode.INVALID
    assert case.desk.halt.reason == "the file 12.pdf was changed while the run was going on (batch.yaml:7)"


def test_a_file_that_was_only_touched_is_sent(file: Upload) -> None:
    Path(file.path).touch()
    case = Case()
    assert isinstance(play(lambda: case.uploader.attach(carrying(1, file))), Message)


def test_one_who_gives_up_leaves_the_upload_to_the_next(file: Upload) -> None:
    case = Case(shared=(file,))

    async def given_up() -> Any:
        first = asyncio.create_task(case.uploader.attach(carrying(1, file)))
        second = asyncio.create_task(case.uploader.attach(carrying(2, file)))
        await asyncio.sleep(0.05)
        first.cancel()
        return await second

    assert isinstance(play(given_up), Message)
    assert len(case.store.asked) == 2


def test_uploads_keep_the_pace_and_are_announced_without_names(file: Upload) -> None:
    case = Case(rate=Rate(2, 1.0))

    async def ten() -> float:
        begun = asyncio.get_running_loop().time()
        for number in range(10):
            await case.uploader.attach(carrying(number, file))
        return asyncio.get_running_loop().time() - begun

    assert 10.0 > play(ten) >= 3.9, "ten at two a second"
    assert case.desk.requests == 10
    told = [event.as_json("r", "2026-03-01T10:00:00Z") for event in case.sink.events]
    assert {each["event"] for each in told} >= {"upload_started", "upload_finished"}
    checker = schema.checker("event")
    for each in told:
        assert checker.violations(each) == []
        assert "12.pdf" not in str(each)


def test_answers_that_are_kept_are_bounded(file: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_MOST_KEPT", 2)
    files = [replace(file, name=f"{number}.pdf") for number in range(5)]
    case = Case(shared=tuple(files))

    async def every() -> None:
        for each in files:
            await case.uploader.attach(carrying(1, each))

    play(every)
    assert [case.uploader._known.get(each.identity) is not None for each in files] == [False] * 3 + [True] * 2
