"""Files on their way to the helpdesk: uploaded right before the message that carries them, each content once in a run.

An upload creates no message, so one that is in doubt is simply repeated. What it answered is kept only for contents
that other messages of the batch carry as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import dataclass, field
from random import Random

from bulkmsg.desk import Desk, Halt, Stopped, refusal
from bulkmsg.errors import ExitCode
from bulkmsg.events import Event, Name
from bulkmsg.gorgias import wire
from bulkmsg.message import Message, Upload, log_name, with_uploaded
from bulkmsg.outcome import Outcome, State
from bulkmsg.ports import Reply
from bulkmsg.readers.attached import Kept
from bulkmsg.readers.sent import holds_the_same, is_untouched
from bulkmsg.readers.text import shown
from bulkmsg.retry import MOST_RENEWALS, Judgement, Verdict, backoff, judge_upload
from bulkmsg.source import Json

ATTEMPTS = 5  # uploads of one file that brought nothing, after which its message has failed
_MOST_KEPT = 50_000  # answers; a content whose answer was dropped is uploaded once more

Found = dict[str, Json]


@dataclass
class Uploader:
    """Uploads what messages carry.

    Args:
        desk: the helpdesk at its pace.
        shared: hashes (`Upload.hash64`) of the files that several messages carry.
    """

    desk: Desk
    shared: Set[int] = frozenset()
    random: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        self._known: Kept[tuple[str, str, str], Found | Judgement] = Kept(_MOST_KEPT)
        self._going: dict[tuple[str, str, str], asyncio.Event] = {}

    async def attach(self, message: Message) -> Message | Outcome:
        """The message as it can be sent, its files uploaded; or its outcome, where one of them could not be.

        Raises:
            Stopped: the run is stopping, perhaps because of a file that was changed meanwhile.
        """
        found: list[Found] = []
        for upload in message.uploads:
            told = await self._shared(upload, message) if upload.hash64 in self.shared else None
            told = told or await self._upload(upload, message)
            if isinstance(told, Judgement):
                return _outcome(told, upload)
            found.append(told)
        return with_uploaded(message, found) if found else message

    async def _shared(self, upload: Upload, message: Message) -> Found | Judgement:
        """The answer for a file that several messages carry: only one of them uploads it, the others wait for it."""
        key = upload.identity
        while (going := self._going.get(key)) is not None:
            await going.wait()
        known = self._known.get(key)
        if known is not None:
            return known
        self._going[key] = going = asyncio.Event()
        try:
            told = await self._upload(upload, message)
        finally:
            del self._going[key]
            going.set()
        lasting = not isinstance(told, Judgement) or told.verdict is Verdict.REJECTED
        return self._known.put(key, told) if lasting else told

    async def _upload(self, upload: Upload, message: Message) -> Found | Judgement:
        vain = tries = renewals = 0
        while True:
            await self._require_unchanged(upload, message)
            reply = await self._send(upload, message)
            told = judge_upload(reply, upload)
            if not isinstance(told, Judgement) or told.verdict is Verdict.REJECTED:
                return told
            if reply.again and renewals < MOST_RENEWALS:
                renewals += 1
                continue
            if told.verdict is Verdict.REFUSED:
                self.desk.stop(refusal(told.status, told.error))
                raise Stopped
            if told.verdict is Verdict.THROTTLED:
                continue  # everybody waits, and it counts as no try
            vain += told.verdict is Verdict.IN_DOUBT
            if vain >= ATTEMPTS:
                return told
            await self.desk.sleep(backoff(tries, self.random))
            tries += 1

    async def _send(self, upload: Upload, message: Message) -> Reply:
        key, size = log_name(message.key), upload.size

        def begin() -> None:
            self.desk.sink.tell(Event(Name.UPLOAD_STARTED, key, {"bytes": size}))

        reply = await self.desk.call(wire.upload(upload), begin)
        seconds = round(reply.received - reply.sent, 3)
        told = {"bytes": size, "status": reply.status or None, "verdict": reply.contact.value, "seconds": seconds}
        self.desk.sink.tell(Event(Name.UPLOAD_FINISHED, key, told))
        return reply

    async def _require_unchanged(self, upload: Upload, message: Message) -> None:
        """Stop the run before a file is sent that is not what was validated."""
        if is_untouched(upload) or await asyncio.to_thread(holds_the_same, upload):
            return
        reason = f"the file {shown(upload.file)} was changed while the run was going on ({message.file}:{message.line})"
        hint = "its message was not sent; run the same command again to go on with the batch as it is now"
        self.desk.stop(Halt(ExitCode.INVALID, reason, hint))
        raise Stopped


def _outcome(told: Judgement, upload: Upload) -> Outcome:
    """What becomes of a message whose file could not be uploaded: surely it is not there."""
    label = f"the file {shown(upload.file)} ({upload.size:,} bytes)"
    status = told.status or None
    if told.verdict is Verdict.REJECTED:
        why = "is too large for the helpdesk" if told.status == 413 else "was refused"
        return Outcome(State.REJECTED, status=status, error=f"{label} {why}: {told.error}")
    return Outcome(State.FAILED, status=status, error=f"{label}: {ATTEMPTS} uploads, none arrived: {told.error}")
