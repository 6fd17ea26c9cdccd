"""The sandbox's own doors beside the API: look at everything, change the faults, arrange tickets. Pure.

They need no credentials and cost no budget; the server lets only requests for a loopback host reach them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from bulkmsg.sandbox.api import Api
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.faults import FaultError, Faults
from bulkmsg.sandbox.front import Front
from bulkmsg.sandbox.rules import ticket_problems
from bulkmsg.sandbox.wire import Answer, Call, Json, answer, not_allowed, not_found, refusal


@dataclass(slots=True)
class House:
    """The parts of one running sandbox."""

    api: Api
    front: Front
    faults: Faults


def answer_control(house: House, call: Call, when: Moment) -> Answer:
    """Answer a call to `/_sandbox/...`."""
    house.api.settle(when)
    doors = DOORS.get(call.path)
    if doors is None:
        return not_found()
    door = doors.get(call.method)
    return door(house, call, when) if door else not_allowed()


def state(house: House, call: Call, when: Moment) -> Answer:
    numbers = {
        "requests": dict(house.front.requests),
        "answers": dict(house.front.answers),
        "throttled": house.front.throttled,
        "tokens": {"given_out": house.front.credentials.given_out, "refused": house.front.credentials.refused},
        "faults": {"spec": house.faults.text, "met": dict(house.faults.met)},
    }
    return answer({**house.api.state(when), **numbers})


def outbox(house: House, call: Call, when: Moment) -> Answer:
    return answer(house.api.desk.post.outbox)


def history(house: House, call: Call, when: Moment) -> Answer:
    desk = house.api.desk
    return answer({"created": desk.history, "deleted": desk.deletions, "uploaded": desk.uploads})


def faults(house: House, call: Call, when: Moment) -> Answer:
    return answer({"spec": house.faults.text, "seed": house.faults.seed, "met": dict(house.faults.met)})


def set_faults(house: House, call: Call, when: Moment) -> Answer:
    """Replace the faults: `{"spec": "...", "seed": 1}`, or the spec as plain text. The count begins anew."""
    wanted = _object(call) or {"spec": call.body.decode("utf-8", "replace")}
    try:
        house.faults = Faults(str(wanted.get("spec", "")), int(wanted.get("seed", house.faults.seed)))
    except (FaultError, TypeError, ValueError) as problem:
        return refusal(400, str(problem))
    return faults(house, call, when)


def renew(house: House, call: Call, when: Moment) -> Answer:
    """What an account's owner does: `{"email": "...", "api_key": "..."}` makes a new key, beside which no other counts;
    `{"refresh_token": "..."}` does so for apps (null: no app comes in any more), and all access tokens end;
    `{"quota": 500}` allows so many creates in all, null any number."""
    wanted = _object(call) or {}
    names: Json = {name: wanted[name] for name in ("email", "api_key", "quota", "refresh_token") if name in wanted}
    quota, token = names.get("quota"), names.get("refresh_token")
    whole = len(names.keys() & {"email", "api_key"}) != 1 and (token is None or isinstance(token, str))
    if not names or not whole or not (quota is None or isinstance(quota, int)):
        return refusal(400, "Give email and api_key together, or quota as a number or null, or refresh_token as text.")
    house.front.renew(names)
    return answer({"renewed": sorted(names)})


LISTS = ("agents", "mailboxes", "switched_off", "locked", "teams", "tags", "closed")
MAPPINGS = ("rules", "account_settings")
WORDS = ("role", "status")


def registry(house: House, call: Call, when: Moment) -> Answer:
    """What an administrator does: `{"agents": ["anna@acme.com"], "rules": {"Auto reply": "ticket-created"}}` and so on,
    by the names of the settings; each that is given replaces what was there."""
    wanted = _object(call) or {}
    shapes = {**dict.fromkeys(LISTS, list), **dict.fromkeys(MAPPINGS, dict), **dict.fromkeys(WORDS, str)}
    wrong = [name for name, value in wanted.items() if name not in shapes or not isinstance(value, shapes[name])]
    if wrong or not wanted:
        return refusal(400, f"Give lists: {', '.join(LISTS)}; mappings: {', '.join(MAPPINGS)}; texts: role, status.")
    house.api.desk.arrange({name: tuple(v) if name in LISTS else v for name, v in wanted.items()})
    return answer({"arranged": sorted(wanted)})


def arrange(house: House, call: Call, when: Moment) -> Answer:
    """Arrange a ticket: `{"action": "create|merge|trash|delete|change", "id": 1, ...}`."""
    wanted = _object(call) or {}
    action, number = ACTIONS.get(str(wanted.get("action"))), wanted.get("id")
    if action is None or not isinstance(number, int):
        return refusal(400, f"action must be one of {', '.join(ACTIONS)}, and id a number.")
    return action(house, number, wanted, when)


def create(house: House, number: int, wanted: Json, when: Moment) -> Answer:
    """A ticket with that id, and with fields and messages like those of `POST /api/tickets`."""
    desk = house.api.desk
    data = {key: value for key, value in wanted.items() if key not in ("action", "id")}
    problems = ticket_problems(data) if "messages" in data else {}
    if problems:
        return refusal(400, "Failed to create ticket", problems)
    desk.deleted.discard(number)
    desk.merged.pop(number, None)
    ticket = desk.keep(desk.tickets.get(number) or desk.virtual(number))
    for message in data.pop("messages", ()):
        desk.add_message(ticket, message, when)
    return answer(desk.complete(desk.change_ticket(ticket, data, when)), 201)


def merge(house: House, number: int, wanted: Json, when: Moment) -> Answer:
    into = wanted.get("into")
    if not isinstance(into, int) or into == number:
        return refusal(400, "into must be the id of another ticket.")
    house.api.desk.merge(number, into, when)
    return answer({"id": number, "into": into})


def trash(house: House, number: int, wanted: Json, when: Moment) -> Answer:
    return change(house, number, {"trashed_datetime": when.stamp}, when)


def change(house: House, number: int, wanted: Json, when: Moment) -> Answer:
    ticket = house.api.desk.ticket(number)
    return (
        answer(house.api.desk.complete(house.api.desk.change_ticket(ticket, wanted, when))) if ticket else (not_found())
    )


def delete(house: House, number: int, wanted: Json, when: Moment) -> Answer:
    ticket = house.api.desk.ticket(number)
    if ticket is None:
        return not_found()
    house.api.desk.delete_ticket(ticket, when)
    return answer({"id": number})


def _object(call: Call) -> Json | None:
    try:
        data = json.loads(call.body)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


DOORS: dict[str, dict[str, Callable[[House, Call, Moment], Answer]]] = {
    "/_sandbox/state": {"GET": state},
    "/_sandbox/outbox": {"GET": outbox},
    "/_sandbox/history": {"GET": history},
    "/_sandbox/faults": {"GET": faults, "POST": set_faults},
    "/_sandbox/account": {"POST": renew},
    "/_sandbox/registry": {"POST": registry},
    "/_sandbox/tickets": {"POST": arrange},
}
ACTIONS: dict[str, Callable[[House, int, Json, Moment], Answer]] = {
    "create": create,
    "merge": merge,
    "trash": trash,
    "delete": delete,
    "change": change,
}
