"""What each route does with tickets and messages: body check, state change, answer."""

import json
from typing import Any

from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.listing import listed, numbered
from bulkmsg.sandbox.model import Helpdesk, Message, Ticket
from bulkmsg.sandbox.rules import change_problems, message_problems, ticket_problems
from bulkmsg.sandbox.wire import JSON_TYPE, Answer, Call, Json, answer, not_found, refusal

ACTIONS = ("force", "retry", "cancel")


def json_body(call: Call) -> Json | Answer:
    """The JSON object of a request. Form data and XML are refused: Gorgias's page "Querying the API"."""
    if call.content_type != JSON_TYPE:
        return refusal(400, "The request body must be JSON.")
    try:
        data = json.loads(call.body)
    except (ValueError, RecursionError):
        return refusal(400, "The request body is not valid JSON.")
    return data if isinstance(data, dict) else refusal(400, "The request body must be a JSON object.")


# -- messages ---------------------------------------------------------------------------------------------


def create_message(desk: Helpdesk, call: Call, when: Moment, ticket_id: int) -> Answer:
    ticket, data = desk.ticket(ticket_id), json_body(call)
    if ticket is None:
        return not_found()
    if isinstance(data, Answer):
        return data
    problems = message_problems(data) or _query_problems(call) or desk.people_problems(data, {})
    if problems:
        return refusal(400, "Failed to create message", problems)
    message = desk.add_message(ticket, data, when)
    return answer(message.data, desk.settings.success_status)


def _query_problems(call: Call) -> Json:
    wrong = {name: ["Unsupported argument."] for name in call.query if name != "action"}
    if any(value not in ACTIONS for value in call.query.get("action", ())):
        wrong["action"] = ["Not a valid choice."]
    return wrong


def message_of(desk: Helpdesk, ticket_id: int, number: int) -> Message | None:
    message = desk.messages.get(number)
    return message if message and message.data["ticket_id"] == ticket_id else None


def get_message(desk: Helpdesk, call: Call, when: Moment, ticket_id: int, number: int) -> Answer:
    message = message_of(desk, ticket_id, number)
    return answer(message.data) if message else not_found()


def put_message(desk: Helpdesk, call: Call, when: Moment, ticket_id: int, number: int) -> Answer:
    message, data = message_of(desk, ticket_id, number), json_body(call)
    if message is None:
        return not_found()
    if isinstance(data, Answer):
        return data
    problems = message_problems(data) or _query_problems(call) or desk.people_problems(data, {})
    if problems:
        return refusal(400, "Failed to update message", problems)
    return answer(desk.change_message(message, data, when).data, 202)


def delete_message(desk: Helpdesk, call: Call, when: Moment, ticket_id: int, number: int) -> Answer:
    message = message_of(desk, ticket_id, number)
    if message is None:
        return not_found()
    desk.delete_message(message, when)
    return Answer(204)


def ticket_messages(desk: Helpdesk, call: Call, when: Moment, ticket_id: int) -> Answer:
    ticket = desk.ticket(ticket_id)
    return numbered(call, ticket_id, _visible(desk, ticket, when)) if ticket else not_found()


def all_messages(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """Newest first by default. The list of a merged ticket's id is empty: its messages moved."""
    wanted = call.query.get("ticket_id")
    if wanted is None:
        items = [m.data for m in desk.messages.values() if desk.visible(m, when)]
    elif not wanted[-1].isdigit():
        return refusal(400, "Invalid arguments.", {"ticket_id": ["Not a valid integer."]})
    else:
        items = _visible(desk, desk.ticket(int(wanted[-1])), when)
    return listed(call, items, ["ticket_id"], more_meta={"total_resources": len(items)})


def _visible(desk: Helpdesk, ticket: Ticket | None, when: Moment) -> list[Json]:
    return [m.data for m in ticket.messages if desk.visible(m, when)] if ticket else []


# -- tickets ----------------------------------------------------------------------------------------------


def create_ticket(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    data = json_body(call)
    if isinstance(data, Answer):
        return data
    problems = ticket_problems(data) or desk.ticket_problems(data)
    if problems:
        return refusal(400, "Failed to create ticket", problems)
    ticket = desk.add_ticket(data, when)
    return answer(desk.complete(ticket), desk.settings.success_status)


def get_ticket(desk: Helpdesk, call: Call, when: Moment, ticket_id: int) -> Answer:
    ticket = desk.ticket(ticket_id)
    return answer(desk.full(ticket, when)) if ticket else not_found()


def put_ticket(desk: Helpdesk, call: Call, when: Moment, ticket_id: int) -> Answer:
    ticket, data = desk.ticket(ticket_id), json_body(call)
    if ticket is None:
        return not_found()
    if isinstance(data, Answer):
        return data
    problems: Json = change_problems(data)
    person = desk.people.problem("customer", data.get("customer"), {}) if not problems else None
    if problems or person:
        return refusal(400, "Failed to update ticket", problems or {"customer": person})
    return answer(desk.complete(desk.change_ticket(ticket, data, when)))


def delete_ticket(desk: Helpdesk, call: Call, when: Moment, ticket_id: int) -> Answer:
    ticket = desk.ticket(ticket_id)
    if ticket is None:
        return not_found()
    desk.delete_ticket(ticket, when)
    return Answer(204)


TICKET_FILTERS = ("customer_id", "external_id", "view_id", "rule_id", "ticket_ids", "trashed")


def list_tickets(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """Compact items. Trashed ones are included unless refused: Gorgias reference, "List tickets"."""
    tickets = [t for t in _asked(desk, call) if desk.visible(t, when) and _matches(t, call)]
    if not tickets and desk.settings.named_tickets and (name := _looked_for(call)):
        tickets = [desk.named(name)]
    shown = {ticket.id: ticket for ticket in tickets}
    return listed(
        call,
        [ticket.data for ticket in tickets],
        TICKET_FILTERS,
        ("created_datetime", "updated_datetime"),
        {"total_resources": None},
        lambda row: desk.compact(shown[row["id"]], when),
    )


def _asked(desk: Helpdesk, call: Call) -> list[Ticket]:
    """All tickets, or those asked for by id, which exist by policy even if nobody wrote to them yet."""
    numbers = call.query.get("ticket_ids")
    if numbers is None:
        return list(desk.tickets.values())
    found = (desk.ticket(int(text)) for text in dict.fromkeys(numbers) if text.isdigit())
    return [ticket for ticket in found if ticket]


def _looked_for(call: Call) -> str | None:
    """The external id by which an existing ticket is looked for; whoever looks for what a lost answer may have created
    looks in the trash as well."""
    wanted = {name: values[-1] for name, values in call.query.items()}
    return wanted.get("external_id") if wanted.get("trashed", "true").lower() == "false" else None


def _matches(ticket: Ticket, call: Call) -> bool:
    wanted: dict[str, Any] = {name: values[-1] for name, values in call.query.items()}
    if wanted.get("trashed", "true").lower() == "false" and ticket.data["trashed_datetime"]:
        return False
    if "external_id" in wanted and ticket.data["external_id"] != wanted["external_id"]:
        return False
    customer = ticket.customer.data["id"] if ticket.customer else None
    return "customer_id" not in wanted or str(customer) == wanted["customer_id"]


# -- tags of a ticket -------------------------------------------------------------------------------------


def change_tags(desk: Helpdesk, call: Call, when: Moment, ticket_id: int) -> Answer:
    """POST adds, PUT sets, DELETE removes; `{ids?, names?}`; empty answers."""
    ticket, data = desk.ticket(ticket_id), json_body(call)
    if ticket is None:
        return not_found()
    if isinstance(data, Answer):
        return data
    refs = [{"id": i} for i in data.get("ids") or ()] + [{"name": n} for n in data.get("names") or ()]
    tags, old = desk.tagged(refs), ticket.data["tags"]
    numbers = {tag["id"] for tag in tags}
    rest = [tag for tag in old if tag["id"] not in numbers]
    changed = {"POST": rest + tags, "PUT": tags, "DELETE": rest}[call.method]
    desk.change_ticket(ticket, {"tags": changed}, when)
    return Answer({"POST": 201, "PUT": 202, "DELETE": 204}[call.method])
