"""What a run asks before it sends: who we are, and whether this batch ran before and lost its progress log."""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any

from bulkmsg.app.prepare import Errand, Prepared
from bulkmsg.desk import Desk, Halt, Stopped, explore
from bulkmsg.errors import ExitCode, LogUnusable
from bulkmsg.gorgias import wire
from bulkmsg.looking import Look, Pause, ReadingStep, Refusal, Sight, look_for
from bulkmsg.message import NewTicket
from bulkmsg.retry import backoff

_PROBES = 5  # tries of a question about the account, before the run goes on without its answer


async def who_we_are(desk: Desk, errand: Errand, random: Random) -> int | None:
    """The id of the user behind the credentials, where it is told; the account's limit comes with the header.

    The first request goes alone. What must end the run halts the desk.
    """
    try:
        reply = await _probe(desk, wire.get_account(), random)
        real = errand.options.base_url is None and not errand.options.sandbox
        if real and reply.status == 404 and not reply.is_json:  # a wrong host answers with a page of HTML
            hint = f"check the name: it is the first part of https://{errand.account}.gorgias.com"
            desk.stop(Halt(ExitCode.REFUSED, f"there is no account {errand.account}", hint))
        if reply.status == 0:
            hint = "check the connection and the account's name, then run the same command again"
            desk.stop(Halt(ExitCode.STOPPED, f"the helpdesk cannot be reached: {reply.reason}", hint))
        if desk.halt is not None:
            return None
        me = await _probe(desk, wire.get_me(), random)
    except Stopped:
        return None
    return wire.integer_id(me.json.get("id")) if isinstance(me.json, dict) else None


async def look_for_lost_log(desk: Desk, prepared: Prepared, random: Random) -> None:
    """A run that finds no log looks for its first and last entry: they must not stand there already.

    Raises:
        LogUnusable: one does.
    """
    found = prepared.review
    ends = [found.first] if found.first is found.last else [found.first, found.last]
    for message in ends if not prepared.options.sandbox else []:
        if message is None:
            continue
        try:
            (seen,) = await explore(look_for([message], None, random), desk)
        except Stopped:
            return
        # A new ticket that stands there is ours, or else would be there twice.
        if seen.sight is Sight.FOUND or (seen.tickets and isinstance(message.ticket, NewTicket)):
            raise LogUnusable(
                f"messages of this batch stand in the helpdesk already, and its progress log {prepared.path} "
                "is missing; nothing was sent",
                "put the log back beside the batch, or name it with --progress-log; if it is lost, "
                "`bulkmsg run BATCH --rebuild-log` reads from the helpdesk what was sent",
            )
        if seen.sight is Sight.UNREADABLE and seen.status not in (301, 403, 404):
            hint = "run the same command again when the helpdesk answers"
            reason = f"could not look whether this batch ran before: {seen.reason}"
            desk.stop(Halt(ExitCode.STOPPED, reason, hint))


async def _probe(desk: Desk, request: Any, random: Random) -> Any:
    """A question about the account itself: only 401 ends the run, since a token may lack the right to ask."""

    def ask() -> Generator[ReadingStep, Any, Any]:
        reply = None
        for tries in range(_PROBES):
            reply = yield Look(request)
            if reply.status == 401 and reply.again:
                continue
            if reply.status == 401:
                yield Refusal(401, wire.error_text(reply))
                return reply
            if reply.status and reply.status < 500 and reply.status != 429:
                return reply
            yield Pause(backoff(tries, random, 10.0), reply.reason)
        return reply

    return await explore(ask(), desk)
