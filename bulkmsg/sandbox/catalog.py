"""What surrounds tickets: account, users, customers, mailboxes, rules, teams, tags, uploads."""

from typing import Any
from urllib.parse import quote

from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.listing import listed
from bulkmsg.sandbox.model import Helpdesk
from bulkmsg.sandbox.resources import json_body
from bulkmsg.sandbox.rules import customer_problems
from bulkmsg.sandbox.wire import Answer, Call, Json, answer, duplicate, not_found, refusal, too_large

FIRST_MAILBOX, FIRST_RULE, FIRST_SETTING, FIRST_TEAM = 126_001, 120_001, 360_001, 18_001
UPLOADS = ("public_attachment", "attachment", "profile_picture", "widget_picture")
FILES = "https://uploads.sandbox.invalid"
"""Stored files are not fetchable: nothing is stored, and the host does not exist."""


def account_settings(desk: Helpdesk) -> list[Json]:
    """Those that a recorded account has and that matter to a sender, and those that were asked for."""
    settings: dict[str, Any] = {
        "satisfaction-surveys": {"send_survey_for_chat": False, "send_survey_for_email": False},
        "ticket-assignment": {"unassign_on_reply": False},
        "auto-merge": {"tickets": {"enabled": False, "merging_window_days": 5}},
        "auto-split": {"email": {"enabled": True, "split_after_days": 10}},
        "default-integration": {"email": FIRST_MAILBOX},
        **desk.settings.account_settings,
    }
    return [{"id": FIRST_SETTING + i, "type": t, "data": d} for i, (t, d) in enumerate(settings.items())]


def account(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    return answer(
        {
            "created_datetime": desk.start.stamp,
            "deactivated_datetime": desk.start.stamp if desk.settings.status == "deactivated" else None,
            "domain": desk.settings.account,
            "status": {"status": desk.settings.status},
            "settings": account_settings(desk),
            "meta": {},
            "current_subscription": {"plan": "sandbox", "status": "active"},
        }
    )


def settings_list(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    return answer({"data": account_settings(desk), "object": "list", "uri": call.uri, "meta": {}})


# -- people -----------------------------------------------------------------------------------------------

USER_FILTERS = ("email", "external_id", "search", "roles", "available_first")
USER_ORDERS = ("created_datetime", "name", "email", "role.name")


def users(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """The bot is among them, as on a real account."""
    items = [p.data for p in desk.people.all("user") if _person_matches(p.data, call)]
    email = call.query.get("email", [""])[-1]
    stranger = desk.people.stranger(email) if email else None
    return listed(call, items + ([stranger.data] if stranger else []), USER_FILTERS, USER_ORDERS)


def current_user(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """`/api/users/0` is whoever is authenticated."""
    person = desk.people.resolve("user", {"email": desk.owner(call.authorization)})
    return answer({**person.data, "role": {"name": desk.settings.role}})


def user(desk: Helpdesk, call: Call, when: Moment, number: int) -> Answer:
    person = desk.people.by_id.get(number) or desk.people.stranger_with(number)
    return answer(person.data) if person and person.kind == "user" else not_found()


CUSTOMER_FILTERS = (
    "email", "external_id", "name", "language", "timezone", "view_id", "channel_type", "channel_address",
)  # fmt: skip


def customers(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    items = [p.data for p in desk.people.all("customer") if _person_matches(p.data, call)]
    return listed(call, items, CUSTOMER_FILTERS, ("created_datetime", "updated_datetime"))


def customer(desk: Helpdesk, call: Call, when: Moment, number: int) -> Answer:
    person = desk.people.by_id.get(number)
    return answer(person.data) if person and person.kind == "customer" else not_found()


def create_customer(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """The e-mail is the one given, or that of the first e-mail channel; a known one is a conflict."""
    data = json_body(call)
    if isinstance(data, Answer):
        return data
    problems = customer_problems(data)
    if problems:
        return refusal(400, "Failed to create customer", problems)
    channels = (c["address"] for c in data.get("channels") or () if c["type"] == "email")
    email = data.get("email") or next(channels, None)
    if email and desk.people.find(email):
        return duplicate()
    extra = {key: value for key, value in data.items() if key not in ("email", "channels")}
    return answer(desk.people.add("customer", email, extra).data, desk.settings.success_status)


def _person_matches(data: Json, call: Call) -> bool:
    for name in ("email", "external_id", "name"):
        wanted = call.query.get(name)
        if wanted and (data[name] or "").lower() != wanted[-1].lower():
            return False
    roles = [*call.query.get("roles", ()), *call.query.get("roles[]", ())]
    return not roles or data.get("role", {}).get("name") in roles


# -- the rest ---------------------------------------------------------------------------------------------


def integrations(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """The mailboxes; none where any address is one."""
    boxes = enumerate(desk.post.mailboxes)
    items = [mailbox(FIRST_MAILBOX + i, address, desk) for i, address in boxes]
    wanted = call.query.get("type")
    items = [item for item in items if not wanted or item["type"] in wanted]
    return listed(call, items, ["type"], more_meta={"total_resources": None})


def mailbox(number: int, address: str, desk: Helpdesk) -> Json:
    verified = {"domain": True, "single_sender": False}
    return {
        "id": number,
        "type": "email",
        "name": address,
        "description": None,
        "created_datetime": desk.start.stamp,
        "updated_datetime": desk.start.stamp,
        "deactivated_datetime": desk.start.stamp if address in desk.settings.switched_off else None,
        "locked_datetime": desk.start.stamp if address in desk.settings.locked else None,
        "meta": {
            "address": address,
            "provider": "sandbox",
            "verified": True,
            "preferred": number == FIRST_MAILBOX,
            "outbound_verification_status": verified,
            "email_forwarding_activated": True,
        },
        "user": {"id": desk.people.bot.data["id"]},
        "uri": f"/api/integrations/{number}/",
    }


def rules(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """Automation rules, in the shape of recorded ones."""
    items: list[Json] = [
        {
            "id": FIRST_RULE + i,
            "name": name,
            "description": None,
            "created_datetime": desk.start.stamp,
            "updated_datetime": desk.start.stamp,
            "deactivated_datetime": desk.start.stamp if name in desk.settings.switched_off else None,
            "event_types": events,
            "code": 'Action("addTags", { tags: "sandbox" })',
            "code_ast": {},
            "priority": i + 1,
            "type": "user",
            "uri": f"/api/rules/{FIRST_RULE + i}/",
        }
        for i, (name, events) in enumerate(desk.settings.rules.items())
    ]
    return listed(call, items, ["search"], ("created_datetime", "updated_datetime"))


def teams(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    made: Json = {"created_datetime": desk.start.stamp, "description": None, "decoration": {}, "members": []}
    named = enumerate(desk.settings.teams)
    items = [{"id": FIRST_TEAM + i, "name": n, "uri": f"/api/teams/{FIRST_TEAM + i}/", **made} for i, n in named]
    return listed(call, items, ["search"], ("created_datetime", "name"))


def tags(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    made: Json = {"created_datetime": desk.start.stamp, "deleted_datetime": None, "decoration": {}}
    items = [{"id": i, "name": n, "uri": f"/api/tags/{i}/", **made} for n, i in desk.tags.items()]
    return listed(call, items, ["search"], ("created_datetime", "name"))


def upload(desk: Helpdesk, call: Call, when: Moment) -> Answer:
    """An array of the objects that go into `attachments`; the field's name becomes the file's name."""
    kind = call.query.get("type", ["attachment"])[-1]
    if kind not in UPLOADS:
        return refusal(400, "Failed to upload", {"type": ["Not a valid choice."]})
    if not call.uploads:
        return refusal(400, "Failed to upload", {"file": ["Missing data for required field."]})
    limit = desk.settings.upload_limit
    if limit is not None and any(f.size > limit for f in call.uploads):
        return too_large()
    files = [
        {
            "content_type": f.content_type,
            "name": f.name,
            "size": f.size,
            "url": f"{FILES}/{f.digest}/{quote(f.name, safe='')}",
        }
        for f in call.uploads
    ]
    desk.uploads.extend(files)
    return answer(files, 201)
