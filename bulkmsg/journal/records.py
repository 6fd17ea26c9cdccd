"""One line of the progress log: its fields, its bytes, and the chain of checksums that ties it to the line
before.

Pure: no file, no clock, and no knowledge of which records may follow which (that is `ledger` and `fold`). The
one place that says what may stand in the log, so it is also here that addresses are hidden and texts are cut.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from bulkmsg import json_text
from bulkmsg.message import Mode, log_name
from bulkmsg.outcome import COUNTED, Outcome, State, without_addresses
from bulkmsg.ports import Fate, Identity, Intent, RetryVerdict, TicketNote
from bulkmsg.source import Json

FORMAT = 1
MAX_LINE = 65_536  # bytes of a record with its newline; none of ours comes near
CHAIN_START = b"bulkmsg progress log"  # stands where the first line would have the sum of the line before
MAX_TEXT = 300

_SUM_FIELD = b',"sum":"'
_END = b'"}\n'
_TAIL = len(_SUM_FIELD) + 32 + len(_END)


@dataclass(frozen=True)
class LogIdentity:
    """Which batch a log belongs to, and the tool that began it. Out of a log, `batch` is as logs show it."""

    account: str
    mode: Mode
    batch: str
    tool: str


@dataclass(frozen=True)
class RunInfo:
    """One run, as its first record tells it.

    Args:
        run: the run's id.
        user: the helpdesk's id of the user behind the credentials, where known.
        flags: what was asked for, as text.
        digest: the batch's hash.
        consent: how many people were agreed to be mailed, None where nobody had to be asked.
        command: what opened it: run, resolve, or rebuild for `run --rebuild-log`.
    """

    run: str
    host: str
    user: int | None
    flags: dict[str, str]
    digest: str
    consent: int | None
    sandbox: bool
    command: str = "run"


def checksum(previous: bytes, body: bytes) -> bytes:
    """The 32 hex characters that end a line: over the sum of the line before and the line without its own."""
    return hexlify(sha256(previous + body).digest()[:16])


def encode(body: Mapping[str, Json], previous: bytes) -> bytes:
    """The line of a record, newline included.

    Raises:
        ValueError: it would be longer than any reader accepts.
    """
    data = json_text.dumps(body)
    line = data[:-1] + _SUM_FIELD + checksum(previous, data) + _END
    if len(line) > MAX_LINE:
        raise ValueError(f"a record of {len(line)} bytes does not belong in the progress log")
    return line


def sum_of(line: bytes) -> bytes:
    """The sum in a line that `encode` made or `decode` accepted."""
    return line[-35:-3]


def decode(line: bytes, previous: bytes) -> dict[str, Json] | None:
    """The record in a line, or None if a byte of it, newline included, is not as `encode` writes it."""
    body = line[:-_TAIL] + b"}"
    if line[-_TAIL:] != _SUM_FIELD + checksum(previous, body) + _END:
        return None
    try:
        record = json_text.loads(line)
    except json_text.JSONDecodeError:
        return None
    return record if json_text.dumps_line(record) == line else None


def find_record(data: bytes, previous: bytes) -> bytes | None:
    """The line of the whole record that `data` begins with, as it ought to be, or None.

    Its newline need not be there; the rest of it has to be.
    """
    at = data.find(_SUM_FIELD)
    while at >= 0:
        line = data[: at + _TAIL - 1] + b"\n"
        if decode(line, previous) is not None:
            return line
        at = data.find(_SUM_FIELD, at + 1)
    return None


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def visible(text: str) -> str:
    """The text with all that would not show (controls, bidi overrides, lone surrogates) written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def discreet(text: str) -> str:
    """A text as the log may hold it: no address, nothing invisible, at most 300 characters."""
    shown = visible(without_addresses(text))
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"


def header(identity: LogIdentity, at: str, *, rebuild: bool = False) -> dict[str, Json]:
    """The first line. With `rebuild` the log says less than was sent until a `rebuilt` record stands in it."""
    body: dict[str, Json] = {
        "record": "log",
        "format": FORMAT,
        "tool": identity.tool,
        "account": identity.account,
        "mode": identity.mode.value,
        "batch": log_name(identity.batch),
        "created": at,
    }
    return {**body, "rebuild": True} if rebuild else body


def identity_of(record: Mapping[str, Json]) -> LogIdentity:
    return LogIdentity(record["account"], Mode(record["mode"]), record["batch"], record["tool"])


def run_body(info: RunInfo, at: str) -> dict[str, Json]:
    body: dict[str, Json] = {
        "record": "run",
        "run": info.run,
        "at": at,
        "host": discreet(info.host),
        "user": info.user,
        "flags": {name: discreet(value) for name, value in info.flags.items()},
        "digest": info.digest,
        "consent": info.consent,
        "sandbox": info.sandbox,
    }
    return body if info.command == "run" else {**body, "command": info.command}


def run_of(record: Mapping[str, Json]) -> RunInfo:
    names = ("run", "host", "user", "flags", "digest", "consent", "sandbox")
    return RunInfo(**{name: record[name] for name in names}, command=record.get("command", "run"))


def intent_body(run: str, at: str, intent: Intent) -> dict[str, Json]:
    body: dict[str, Json] = {
        **_about("intent", run, at, intent.key, intent.attempt),
        "kind": intent.kind.value,
        "content": intent.content,
        "payload": intent.payload,
        "ticket": intent.ticket,
    }
    if intent.ticket_external_id is not None:
        body["ticket_external_id"] = log_name(intent.ticket_external_id)
    if intent.ticket_content:
        body["ticket_content"] = intent.ticket_content
    if intent.thread:
        body["thread"] = intent.thread
    return {**body, "external_id": log_name(intent.external_id)}


def ticket_body(run: str, at: str, note: TicketNote) -> dict[str, Json]:
    body: dict[str, Json] = {
        "record": "ticket",
        "run": run,
        "at": at,
        "ticket_external_id": log_name(note.external_id),
        "ticket_id": note.known.id,
        "how": note.how.value,
    }
    return {**body, "ticket_content": note.known.content} if note.known.content else body


def parts(bodies: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Records of one write, each saying which part of it it is; a record that is written alone says nothing.

    `scan` argues from it what a crash in the middle of such a write may leave.
    """
    if len(bodies) == 1:
        return list(bodies)
    return [{**body, "part": number, "of": len(bodies)} for number, body in enumerate(bodies, 1)]


def outcome_body(run: str, at: str, fate: Fate, said_by: str = "") -> dict[str, Json]:
    outcome = fate.outcome
    body: dict[str, Json] = {
        **_about("outcome", run, at, fate.key, fate.attempt),
        "outcome": outcome.state.value,
        "content": fate.content,
        "message_id": outcome.message_id,
        "ticket_id": outcome.ticket_id,
        "status": outcome.status or None,
        "error": None if outcome.error is None else discreet(outcome.error),
        "found": True if outcome.found else None,
        "duplicates": list(outcome.duplicates) or None,
        "hold": True if outcome.hold else None,
        "said_by": discreet(said_by) or None,
    }
    return {name: value for name, value in body.items() if value is not None}


def learned_body(run: str, at: str, who: Identity, outcome: Outcome) -> dict[str, Json]:
    """An outcome of which this log holds no intent: it brings along what an intent would have said."""
    body = {**outcome_body(run, at, Fate(who.key, 0, who.content, outcome)), "kind": who.kind.value}
    if who.ticket is not None:
        body["ticket_id"] = who.ticket
    if who.ticket_external_id is not None:
        body["ticket_external_id"] = log_name(who.ticket_external_id)
    return {**body, "external_id": log_name(who.external_id)}


def retry_body(
    run: str, at: str, key: str, attempt: int, verdict: RetryVerdict, status: int, reason: str, said_by: str = ""
) -> dict[str, Json]:
    body = {**_about("retry", run, at, key, attempt), "verdict": verdict.value}
    if status:
        body["status"] = status
    body["reason"] = discreet(reason) or verdict.value
    return {**body, "said_by": discreet(said_by)} if said_by else body


def rebuilt_body(run: str, at: str) -> dict[str, Json]:
    return {"record": "rebuilt", "run": run, "at": at}


def end_body(
    run: str,
    at: str,
    exit_code: int,
    counts: Mapping[State, int],
    requests: int,
    throttled: int,
    seconds: float,
) -> dict[str, Json]:
    return {
        "record": "end",
        "run": run,
        "at": at,
        "exit_code": int(exit_code),
        "counts": {state.value: counts.get(state, 0) for state in COUNTED},
        "requests": requests,
        "throttled": throttled,
        "seconds": round(float(seconds), 3),
    }


def _about(record: str, run: str, at: str, key: str, attempt: int) -> dict[str, Json]:
    return {"record": record, "run": run, "at": at, "key": log_name(key), "attempt": attempt}
