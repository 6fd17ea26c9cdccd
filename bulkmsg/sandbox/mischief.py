"""What a fault makes of an answer: a value that tells the shell how to misbehave. Pure."""

import gzip
import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from bulkmsg.sandbox.faults import Fault
from bulkmsg.sandbox.wire import HTML_TYPE, Answer, Call, refusal, too_many

ELSEWHERE = "http://elsewhere.invalid/login"
GARBAGE = b"\x16\x03\x03\x00\x02\x02\x28 not http at all\r\n\r\n"
BIG, BOMB = 10_000_000, 30_000_000
PORTAL = b"<!doctype html><title>Welcome to the hotel</title><p>Please accept our terms to use the network."

How = Literal["send", "drop", "garbage", "hang", "half", "drip"]


@dataclass(frozen=True, slots=True)
class Act:
    """What the shell does: wait, then send the answer in that manner."""

    how: How
    answer: Answer | None = None
    wait: float = 0.0


def act(fault: Fault | None, true: Answer | None, call: Call) -> Act:
    """The act for a fault. `true` is the helpdesk's own answer; None when the request was not applied."""
    if fault is None:
        return Act("send", true)
    match fault.kind.manner:
        case "drop" | "garbage" as how:
            return Act(how)
        case "hang":
            return Act("hang", wait=fault.seconds)
        case "send":
            return Act("send", true, fault.seconds)
        case "half":
            return Act("half", true)
        case "drip":
            return Act("drip", true, fault.seconds)
        case _:
            return Act("send", _changed(fault, true, call))


def _changed(fault: Fault, true: Answer | None, call: Call) -> Answer:
    match fault.kind.manner:
        case "status":
            return _trouble(int(fault.argument))
        case "throttle":
            return replace(too_many(), headers=_retry(fault.argument))
        case "redirect" | "away":
            where = ELSEWHERE if fault.kind.manner == "away" else "/api/account"
            return Answer(int(fault.argument), headers={"Location": where})
        case "big":
            return Answer(int(fault.argument), b"<p>trouble</p>" * (BIG // 14), HTML_TYPE)
        case "bomb":
            return Answer(int(fault.argument), _bomb(), HTML_TYPE, {"Content-Encoding": "gzip"})
        case _:
            return _lie(fault, true, call)


def _retry(argument: str) -> dict[str, str]:
    return {} if argument == "none" else {"Retry-after": argument}


def _trouble(status: int) -> Answer:
    """Bodies of 5xx are unknown and may be HTML: a gateway's are simulated so, the others as JSON."""
    if status in (502, 504):
        return Answer(status, b"<html><h1>Bad gateway</h1></html>", HTML_TYPE)
    if status == 404:
        return refusal(404, "Resource not found.")
    return refusal(status, "An external service had an issue." if status == 503 else "Something went wrong.")


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(BOMB), 6)


def _lie(fault: Fault, true: Answer | None, call: Call) -> Answer:
    """A success that cannot be believed. A refusal of the helpdesk keeps its status."""
    manner = fault.kind.manner
    if manner == "html":
        return Answer(true.status if true else 200, PORTAL, HTML_TYPE)
    if true is None or (manner != "cut" and not true.ok):
        return true or Answer(200, PORTAL, HTML_TYPE)
    if manner == "cut":
        return replace(true, body=true.body[: len(true.body) // 2])
    if manner in ("empty", "array"):
        return replace(true, body=b"" if manner == "empty" else b"[]")
    return replace(true, body=json.dumps(_twisted(manner, json.loads(true.body), call)).encode())


def _twisted(manner: str, data: Any, call: Call) -> Any:
    if not isinstance(data, dict):
        return data
    match manner:
        case "no-id":
            return {key: value for key, value in data.items() if key != "id"}
        case "text-id":
            return {**data, "id": f"m-{data.get('id')}"}
        case "other-id":
            return {**data, "external_id": "somebody-else"}
        case "loop" if "meta" in data:
            return {**data, "meta": {**data["meta"], "next_cursor": _same_page(call)}}
        case _:
            return data


def _same_page(call: Call) -> str:
    """A cursor to the page that was asked for; listing knows `start`."""
    return next(iter(call.query.get("cursor", ["start"])))
