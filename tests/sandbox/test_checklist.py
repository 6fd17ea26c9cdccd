"""What a faithful loopback helpdesk must do, one test or more for each point, through a real HTTP client."""

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest

from bulkmsg.sandbox.limiter import HEADER

from .kit import KEY, SENT, Client, incoming, note, outgoing, with_sandbox

LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


def test_01_basic_and_bearer_are_taken_and_others_get_the_known_401() -> None:
    async def test(client: Client) -> None:
        assert (await client.call("GET", "/api/account"))[0] == 200
        assert (await client.call("GET", "/api/account", auth="Bearer t"))[0] == 200
        status, _, data = await client.call("GET", "/api/account", auth="")
        assert (status, data) == (401, {"error": {"msg": "Unauthorized."}})

    with_sandbox(test)


def test_01_outside_the_api_a_404_is_html() -> None:
    async def test(client: Client) -> None:
        status, headers, _ = await client.call("GET", "/elsewhere")
        assert (status, headers["Content-Type"]) == (404, "text/html; charset=utf-8")

    with_sandbox(test)


def test_02_a_strict_body_check_answers_400_with_msg_and_data() -> None:
    async def test(client: Client) -> None:
        status, headers, data = await client.post({"colour": "red"})
        assert (status, set(data["error"]), set(data["error"]["data"])) == (
            400,
            {"msg", "data"},
            {"colour", "channel", "from_agent"},
        )
        assert headers["Content-Type"] == "application/json"

    with_sandbox(test)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"channel=email", "application/x-www-form-urlencoded"),
        (json.dumps(note()).encode(), "application/x-www-form-urlencoded"),
        (b"[" * 99999, "application/json"),
    ],
)
def test_02_what_is_no_json_answers_400(content: bytes, kind: str) -> None:
    async def test(client: Client) -> None:
        headers = {"Authorization": KEY, "Content-Type": kind}
        url = client.sandbox.url + "/api/tickets/5/messages"
        async with client.session.post(url, data=content, headers=headers) as reply:
            assert reply.status == 400
            assert "msg" in (await reply.json())["error"]

    with_sandbox(test)


def test_03_people_are_two_registries_and_the_rules_per_type_hold() -> None:
    async def test(client: Client) -> None:
        assert (await client.post(outgoing(sender={"email": "nobody@acme.com"})))[0] == 400
        assert (await client.post(incoming(sender={"email": "anna@acme.com"})))[0] == 400
        assert (await client.post(incoming(sender={"email": "new@example.com"})))[0] == 201
        found = await client.call("GET", "/api/customers?email=new@example.com")
        assert len(found[2]["data"]) == 1
        bare = {key: value for key, value in outgoing().items() if key != "sender"}
        assert (await client.post(bare))[2]["sender"]["email"] == "bot@sandbox.invalid"

    with_sandbox(test, agents=("anna@acme.com",))


def test_04_email_without_ends_is_refused_and_a_wrong_mailbox_fails_later() -> None:
    async def test(client: Client) -> None:
        assert (await client.post(outgoing(source={})))[0] == 400
        status, _, message = await client.post(outgoing())
        assert (status, message["failed_datetime"]) == (201, None)
        _, _, later = await client.call("GET", message["uri"])
        assert later["last_sending_error"]["error"]

    with_sandbox(test, mailboxes=("other@acme.com",))


def test_05_only_unsent_outgoing_public_messages_reach_the_outbox() -> None:
    async def test(client: Client) -> None:
        for body in (incoming(), note(), outgoing(sent_datetime=SENT)):
            await client.post(body)
        assert (await client.call("GET", "/_sandbox/outbox"))[2] == []
        _, _, message = await client.post(outgoing())
        assert message["sent_datetime"] is None
        (mail,) = (await client.call("GET", "/_sandbox/outbox"))[2]
        assert (mail["message_id"], mail["to"]) == (message["id"], ["jane@example.com"])
        assert (await client.call("GET", message["uri"]))[2]["sent_datetime"]

    with_sandbox(test)


def test_06_ids_ascend_over_concurrent_requests() -> None:
    async def test(client: Client) -> None:
        replies = await asyncio.gather(*(client.post(incoming(), ticket=n) for n in range(1, 21)))
        assert len({reply[2]["id"] for reply in replies}) == 20
        history = (await client.call("GET", "/_sandbox/history"))[2]["created"]
        ids = [row["message_id"] for row in history]
        assert ids == sorted(ids)

    with_sandbox(test)


def test_07_create_answers_201_put_202_delete_204() -> None:
    async def test(client: Client) -> None:
        status, _, message = await client.post(incoming())
        put = await client.call("PUT", message["uri"], incoming(body_text="x"))
        delete = await client.call("DELETE", message["uri"])
        ticket = await client.call("POST", "/api/tickets", {"messages": [note()]})
        assert (status, put[0], delete[0], ticket[0]) == (201, 202, 204, 201)
        assert delete[2] == ""

    with_sandbox(test)


def test_08_every_route_that_a_sender_reads_is_there() -> None:
    async def test(client: Client) -> None:
        await client.post(incoming())
        reads = "account users/0 users customers integrations rules teams tags tickets messages"
        for path in [*reads.split(), "tickets/5", "tickets/5/messages"]:
            assert (await client.call("GET", f"/api/{path}"))[0] == 200, path
        assert (await client.call("GET", "/api/tickets?external_id=none"))[2]["data"] == []

    with_sandbox(test)


def test_08_upload_answers_an_array_to_put_into_attachments() -> None:
    async def test(client: Client) -> None:
        form = aiohttp.FormData()
        form.add_field("invoice.pdf", b"12345", filename="x", content_type="application/pdf")
        url = client.sandbox.url + "/api/upload?type=attachment"
        async with client.session.post(url, data=form, headers={"Authorization": KEY}) as reply:
            assert reply.status == 201
            files = await reply.json()
        assert [(f["name"], f["size"], f["content_type"]) for f in files] == [("invoice.pdf", 5, "application/pdf")]
        assert (await client.post(incoming(attachments=files)))[2]["attachments"] == [{**files[0], "public": True}]
        assert (await client.call("POST", "/api/upload?type=virus"))[0] == 400
        assert (await client.call("POST", "/api/upload"))[0] == 400

    with_sandbox(test)


def test_09_a_merged_ticket_answers_301_with_the_survivors_location() -> None:
    async def test(client: Client) -> None:
        status, headers, text = await client.post(incoming(), ticket=5)
        assert (status, headers["Location"], text) == (301, "/api/tickets/6/messages", "")
        assert (await client.state())["counts"]["messages"] == 0

    with_sandbox(test, merged={5: 6})


@pytest.mark.parametrize("limiter", ["leaky", "window"])
def test_10_the_header_is_on_every_answer_and_429_applies_nothing(limiter: str) -> None:
    async def test(client: Client) -> None:
        replies = [await client.post(incoming()), await client.post({}), await client.call("GET", "/api/x", auth="")]
        replies += [await client.post(incoming()) for _ in range(2)]
        assert [(reply[0], reply[1][HEADER]) for reply in replies] == [
            (201, "1/3"),
            (400, "2/3"),
            (401, "3/3"),
            (429, "3/3"),
            (429, "3/3"),
        ]
        assert [reply[1].get("Retry-after", "").isdigit() for reply in replies] == [False] * 3 + [True] * 2
        state = await client.state()
        assert (state["counts"]["messages"], state["throttled"]) == (1, 2)

    with_sandbox(test, limit=3, window=60.0, limiter=limiter)


def test_10_a_scaled_window_answers_a_fraction_and_then_admits() -> None:
    async def test(client: Client) -> None:
        assert (await client.post(note()))[0] == 201
        status, headers, _ = await client.post(note())
        assert status == 429
        assert 0.05 <= float(headers["Retry-after"]) <= 0.1
        await asyncio.sleep(float(headers["Retry-after"]))
        assert (await client.post(note()))[0] == 201

    with_sandbox(test, limit=1, window=0.1)


@pytest.mark.parametrize(("fault", "applied"), [("drop-before", 0), ("drop-after", 1)])
def test_11_a_dropped_connection_gives_no_answer_before_or_after_applying(fault: str, applied: int) -> None:
    async def test(client: Client) -> None:
        with pytest.raises(LOST):
            await client.post(incoming(external_id="k"))
        state = await client.state()
        assert (state["counts"]["messages"], state["faults"]["met"]) == (applied, {fault: 1})

    with_sandbox(test, faults=f"{fault}@1")


@pytest.mark.parametrize(
    ("fault", "status", "applied"),
    [
        ("500-before", 500, 0),
        ("500-after", 500, 1),
        ("502-before", 502, 0),
        ("502-after", 502, 1),
        ("504-after", 504, 1),
        ("408-after", 408, 1),
        ("409-before", 409, 0),
        ("503", 503, 0),
        ("429", 429, 0),
        ("captive", 200, 0),
        ("html", 201, 1),
        ("big", 500, 0),
        ("redirect", 302, 0),
        ("redirect-away", 302, 0),
    ],
)
def test_11_an_answer_may_lie_about_what_was_applied(fault: str, status: int, applied: int) -> None:
    async def test(client: Client) -> None:
        reply = await client.post(incoming())
        assert (reply[0], HEADER in reply[1]) == (status, True)
        assert (await client.state())["counts"]["messages"] == applied

    with_sandbox(test, faults=f"{fault}@1")


@pytest.mark.parametrize("argument", ["0", "-5", "1e9", "soon", "none"])
def test_11_a_planned_429_carries_any_retry_after(argument: str) -> None:
    async def test(client: Client) -> None:
        _, headers, _ = await client.post(incoming())
        assert headers.get("Retry-after") == (None if argument == "none" else argument)

    with_sandbox(test, faults=f"429@1:{argument}")


@pytest.mark.parametrize("fault", ["cut", "empty", "array", "no-id", "text-id", "other-id"])
def test_11_a_success_may_be_unbelievable_though_applied(fault: str) -> None:
    async def test(client: Client) -> None:
        url = client.sandbox.url + "/api/tickets/5/messages"
        body = incoming(external_id="mine")
        async with client.session.post(url, json=body, headers={"Authorization": KEY}) as reply:
            text = await reply.text()
            assert reply.status == 201
        assert believable(text) is False
        assert (await client.state())["counts"]["messages"] == 1

    with_sandbox(test, faults=f"{fault}@1")


def believable(text: str) -> bool:
    try:
        data = json.loads(text)
    except ValueError:
        return False
    known = isinstance(data, dict) and isinstance(data.get("id"), int)
    return known and data["external_id"] == "mine"


@pytest.mark.parametrize(("fault", "applied"), [("garbage", 0), ("garbage-after", 1), ("cut-body", 1)])
def test_11_bytes_may_be_broken_below_http_or_within_it(fault: str, applied: int) -> None:
    async def test(client: Client) -> None:
        with pytest.raises(aiohttp.ClientError):
            await client.post(incoming())
        assert (await client.state())["counts"]["messages"] == applied

    with_sandbox(test, faults=f"{fault}@1")


def test_11_an_answer_may_be_a_bomb_small_on_the_wire_and_huge_when_opened() -> None:
    async def test(client: Client) -> None:
        url = client.sandbox.url + "/api/tickets/5/messages"
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            reply = await session.post(url, json=note(), headers={"Authorization": KEY})
            content = await reply.read()
        assert reply.headers["Content-Encoding"] == "gzip"
        assert len(content) < 100_000 < 20_000_000 < len(gzip.decompress(content))

    with_sandbox(test, faults="bomb@1")


@pytest.mark.parametrize("fault", ["slow@1:0.05", "drip@1:0.05"])
def test_11_an_answer_may_be_slow(fault: str) -> None:
    async def test(client: Client) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert (await client.post(incoming()))[0] == 201
        assert loop.time() - begun >= 0.045

    with_sandbox(test, faults=fault)


@pytest.mark.parametrize(("fault", "applied"), [("hang-before", 0), ("hang", 1)])
def test_11_an_answer_may_never_come(fault: str, applied: int) -> None:
    async def test(client: Client) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.post(incoming()), 0.05)
        assert (await client.state())["counts"]["messages"] == applied

    with_sandbox(test, faults=f"{fault}@1")


def test_11_a_write_without_an_answer_may_be_applied_late() -> None:
    async def test(client: Client) -> None:
        with pytest.raises(LOST):
            await client.post(incoming())
        state = await client.state()
        assert (state["counts"]["messages"], state["counts"]["late"]) == (0, 1)
        await asyncio.sleep(0.06)
        assert (await client.state())["counts"]["messages"] == 1

    with_sandbox(test, faults="drop-after@1", commit_lag=0.05)


@pytest.mark.parametrize(
    ("fault", "status"),
    [("list-404", 404), ("list-500", 500), ("list-502", 502), ("list-429", 429), ("list-html", 200)],
)
def test_11_readings_may_fail_and_leave_writes_alone(fault: str, status: int) -> None:
    async def test(client: Client) -> None:
        assert (await client.post(incoming()))[0] == 201
        assert (await client.call("GET", "/api/messages"))[0] == status

    with_sandbox(test, faults=f"{fault}@1")


@pytest.mark.parametrize("fault", ["list-drop", "list-garbage", "list-cut-body"])
def test_11_readings_may_break(fault: str) -> None:
    async def test(client: Client) -> None:
        with pytest.raises(aiohttp.ClientError):
            await client.call("GET", "/api/messages")

    every = ",".join(f"{fault}@{number}" for number in range(1, 9))  # the client may repeat a GET by itself
    with_sandbox(test, faults=every)


def test_11_a_cursor_may_lead_to_its_own_page() -> None:
    async def test(client: Client) -> None:
        for _ in range(3):
            await client.post(incoming())
        first = (await client.call("GET", "/api/messages?limit=2"))[2]
        again = (await client.call("GET", f"/api/messages?limit=2&cursor={first['meta']['next_cursor']}"))[2]
        assert again["data"] == first["data"]
        assert again["meta"]["next_cursor"] != first["meta"]["next_cursor"]

    with_sandbox(test, faults="list-loop@1")


def test_11_the_quota_answers_403_after_n_creates() -> None:
    async def test(client: Client) -> None:
        ticket = {"messages": [note()]}
        replies = [
            await client.post(note()),
            await client.call("POST", "/api/tickets", ticket),
            await client.post(note()),
        ]
        assert [reply[0] for reply in replies] == [201, 201, 403]
        assert "Messaging quota exceeded." in replies[2][2]["error"]["msg"]
        assert (await client.call("GET", "/api/messages"))[0] == 200

    with_sandbox(test, quota=2)


def test_11_revoked_credentials_answer_401_to_everything_after_n_writes() -> None:
    async def test(client: Client) -> None:
        statuses = [(await client.post(note()))[0] for _ in range(3)]
        assert statuses == [201, 201, 401]
        assert (await client.call("GET", "/api/account"))[0] == 401

    with_sandbox(test, revoke_after=2)


def test_11_new_messages_may_show_late() -> None:
    async def test(client: Client) -> None:
        await client.post(note())
        assert (await client.call("GET", "/api/messages?ticket_id=5"))[2]["data"] == []
        await asyncio.sleep(0.06)
        assert len((await client.call("GET", "/api/messages?ticket_id=5"))[2]["data"]) == 1

    with_sandbox(test, list_lag=0.05)


def test_12_nothing_is_deduplicated() -> None:
    async def test(client: Client) -> None:
        bodies: list[dict[str, Any]] = [incoming(external_id="one", message_id="<1@x>")] * 3
        assert [(await client.post(body))[0] for body in bodies] == [201] * 3
        assert (await client.state())["counts"]["messages"] == 3

    with_sandbox(test)


def test_the_same_seed_and_the_same_requests_make_the_same_history() -> None:
    async def tell(client: Client) -> None:
        statuses: list[int | str] = []
        for number in range(40):
            try:
                statuses.append((await client.post(note(external_id=f"k{number}")))[0])
            except aiohttp.ClientError as lost:
                statuses.append(type(lost).__name__)
            except ValueError:
                statuses.append("cut")
        history = (await client.call("GET", "/_sandbox/history"))[2]["created"]
        stories.append((statuses, [(row["message_id"], row["external_id"]) for row in history]))

    stories: list[Any] = []
    for seed in (5, 5, 6):
        with_sandbox(tell, faults="heavy", seed=seed)
    assert stories[0] == stories[1] != stories[2]


def test_08_names_of_uploads_are_utf8_and_sizes_are_limited_by_a_flag() -> None:
    async def test(client: Client) -> None:
        async def upload(name: str, content: bytes) -> tuple[int, Any]:
            form = aiohttp.FormData(quote_fields=False)
            form.add_field(name, content, filename=name, content_type="application/pdf")
            url = client.sandbox.url + "/api/upload?type=attachment"
            async with client.session.post(url, data=form, headers={"Authorization": KEY}) as reply:
                return reply.status, await reply.json()

        status, files = await upload('Rechnung "ä".pdf', b"12345")
        assert (status, files[0]["name"], files[0]["size"]) == (201, 'Rechnung "ä".pdf', 5)
        assert files[0]["url"].isascii()
        assert " " not in files[0]["url"]
        status, told = await upload("large.pdf", b"123456")
        assert (status, told["error"]["msg"]) == (413, "The payload is too large.")
        uploaded = (await client.call("GET", "/_sandbox/history"))[2]["uploaded"]
        assert [each["name"] for each in uploaded] == ['Rechnung "ä".pdf']

    with_sandbox(test, upload_limit=5)
