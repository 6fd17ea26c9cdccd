"""The doors beside the API: inspection, faults at run time, arranged tickets, and the page."""

import asyncio

import aiohttp
import pytest

from bulkmsg.sandbox.limiter import HEADER
from bulkmsg.sandbox.page import plain
from bulkmsg.sandbox.server import serve
from bulkmsg.sandbox.settings import SandboxSettings

from .kit import SENT, Client, incoming, note, outgoing, with_sandbox


def test_state_shows_tickets_with_messages_in_id_order_and_all_counts() -> None:
    async def test(client: Client) -> None:
        ids = [(await client.post(body, 9))[2]["id"] for body in (outgoing(created_datetime=SENT), note(), incoming())]
        await client.call("GET", "/api/account")
        await client.post({})
        state = await client.state()
        assert [(ticket["id"], [m["id"] for m in ticket["messages"]]) for ticket in state["tickets"]] == [(9, ids)]
        assert state["counts"] | {"customers": 0} == {
            "tickets": 1, "messages": 3, "customers": 0, "users": 2, "outbox": 1, "late": 0,
        }  # fmt: skip
        assert state["requests"] == {"POST /api/tickets/{id}/messages": 4, "GET /api/account": 1}
        assert (state["writes"], state["throttled"], state["answers"]) == (3, 0, {"201": 3, "200": 1, "400": 1})

    with_sandbox(test)


def test_inspection_needs_no_credentials_costs_no_budget_and_meets_no_faults() -> None:
    async def test(client: Client) -> None:
        for path in ("state", "outbox", "history", "faults"):
            status, headers, _ = await client.call("GET", f"/_sandbox/{path}", auth="")
            assert (status, HEADER in headers) == (200, False)
        assert (await client.post(note()))[0] == 201

    with_sandbox(test, limit=1, window=600.0, email="anna@acme.com", api_key="key", faults="list-500=1")


def test_inspection_sees_what_listings_do_not_show_yet() -> None:
    async def test(client: Client) -> None:
        await client.post(note())
        assert (await client.call("GET", "/api/messages"))[2]["data"] == []
        assert len((await client.state())["tickets"][0]["messages"]) == 1

    with_sandbox(test, list_lag=60.0)


def test_history_tells_each_create_with_its_key_and_time_and_survives_deletion() -> None:
    async def test(client: Client) -> None:
        _, _, message = await client.post(incoming(external_id="k1"), 7)
        await client.call("DELETE", message["uri"])
        history = (await client.call("GET", "/_sandbox/history"))[2]
        (row,) = history["created"]
        assert (row["ticket_id"], row["message_id"], row["external_id"]) == (7, message["id"], "k1")
        assert history["deleted"][0]["message_id"] == message["id"]
        assert history["deleted"][0]["at"] >= row["at"]

    with_sandbox(test)


def test_faults_can_be_replaced_while_it_runs_and_a_bad_spec_changes_nothing() -> None:
    async def test(client: Client) -> None:
        assert (await client.post(note()))[0] == 201
        assert (await client.call("POST", "/_sandbox/faults", {"spec": "503=1", "seed": 4}))[0] == 200
        assert (await client.post(note()))[0] == 503
        status, _, data = await client.call("POST", "/_sandbox/faults", {"spec": "fire=1"})
        assert (status, data["error"]["msg"]) == (400, "no fault is called 'fire'")
        assert (await client.post(note()))[0] == 503
        async with client.session.post(client.sandbox.url + "/_sandbox/faults", data="500-after@1") as reply:
            assert (await reply.json())["spec"] == "500-after@1"
        assert (await client.post(note()))[0] == 500
        assert (await client.call("POST", "/_sandbox/faults", {"spec": ""}))[0] == 200
        assert (await client.post(note()))[0] == 201

    with_sandbox(test)


def test_tickets_can_be_arranged_merged_trashed_closed_and_deleted() -> None:
    async def test(client: Client) -> None:
        async def arrange(action: str, number: int, **more: object) -> int:
            body = {"action": action, "id": number, **more}
            return (await client.call("POST", "/_sandbox/tickets", body, auth=""))[0]

        assert await arrange("create", 11, external_id="zd-11", messages=[incoming()]) == 201
        assert (await client.call("GET", "/api/tickets?external_id=zd-11"))[2]["data"][0]["id"] == 11
        assert (await client.call("GET", "/api/tickets/12"))[0] == 404
        assert await arrange("change", 11, status="closed") == 200
        assert await arrange("trash", 11) == 200
        _, _, ticket = await client.call("GET", "/api/tickets/11")
        assert (ticket["status"], bool(ticket["trashed_datetime"]), len(ticket["messages"])) == ("closed", True, 1)
        assert await arrange("merge", 11, into=12) == 200
        assert (await client.call("GET", "/api/tickets/11"))[0] == 301
        assert len((await client.call("GET", "/api/tickets/12"))[2]["messages"]) == 1
        assert await arrange("delete", 12) == 200
        assert (await client.call("GET", "/api/tickets/12"))[0] == 404

    with_sandbox(test, auto_tickets=False)


@pytest.mark.parametrize("body", [{}, {"action": "burn", "id": 1}, {"action": "merge", "id": 1}, {"action": "trash"}])
def test_a_wrong_arrangement_is_refused(body: dict[str, object]) -> None:
    async def test(client: Client) -> None:
        assert (await client.call("POST", "/_sandbox/tickets", body))[0] == 400
        assert (await client.call("POST", "/_sandbox/nothing", body))[0] == 404
        assert (await client.call("POST", "/_sandbox/state", body))[0] == 405

    with_sandbox(test)


def test_only_requests_for_a_loopback_host_reach_the_doors() -> None:
    async def test(client: Client) -> None:
        for path in ("/_sandbox/state", "/"):
            async with client.session.get(client.sandbox.url + path, headers={"Host": "evil.example"}) as reply:
                assert reply.status == 404

    with_sandbox(test)


def test_the_server_listens_on_the_loopback_address_only() -> None:
    async def test(client: Client) -> None:
        assert client.sandbox.url.startswith("http://127.0.0.1:")
        runner = client.sandbox._runner
        assert runner is not None
        assert [address[0] for address in runner.addresses] == ["127.0.0.1"]

    with_sandbox(test)


def test_serve_announces_its_url_and_ends_when_told() -> None:
    async def run() -> None:
        stop = asyncio.Event()
        listens: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(SandboxSettings(), listens.set_result, stop))
        url = await asyncio.wait_for(listens, 2)
        async with aiohttp.ClientSession() as session, session.get(url + "/_sandbox/state") as reply:
            assert reply.status == 200
        stop.set()
        await asyncio.wait_for(task, 2)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(url)

    asyncio.run(run())


def test_stopping_does_not_wait_for_a_request_that_hangs() -> None:
    async def test(client: Client) -> None:
        hanging = asyncio.create_task(client.post(note()))
        await asyncio.sleep(0.03)
        await asyncio.wait_for(client.sandbox.stop(), 0.4)
        with pytest.raises(aiohttp.ClientError):
            await hanging

    with_sandbox(test, faults="hang@1")


# -- the page ---------------------------------------------------------------------------------------------


def test_the_page_shows_each_type_apart_and_warns_of_mail() -> None:
    async def test(client: Client) -> None:
        for body in (incoming(subject="Kettle"), outgoing(), note()):
            await client.post(body)
        status, headers, html = await client.call("GET", "/", auth="")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        for shown in ("message incoming", "message outgoing", "message note", "Kettle", "She is angry."):
            assert shown in html
        assert "1 message would have been e-mailed" in " ".join(html.split())
        assert "jane@example.com" in html

    with_sandbox(test)


def test_the_page_says_so_when_nobody_would_have_been_mailed() -> None:
    async def test(client: Client) -> None:
        await client.post(outgoing(sent_datetime=SENT))
        html = (await client.call("GET", "/", auth=""))[2]
        assert "Nobody would have been e-mailed." in html
        assert "would have been sent" not in html

    with_sandbox(test)


def test_the_page_shows_bodies_names_and_subjects_as_text_and_loads_nothing() -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"

    async def test(client: Client) -> None:
        hostile = incoming(subject=attack, body_text=attack, sender={"email": "jane@example.com", "name": attack})
        await client.post(hostile)
        await client.post(incoming(body_text=None, body_html="<p>Dear <b>you</b></p><script>alert(1)</script>"))
        ends = {"from": {"address": attack}, "to": [{"address": attack}]}
        await client.post(outgoing(source=ends, subject=attack))
        _, headers, html = await client.call("GET", "/", auth="")
        assert "<script" not in html
        assert "<img" not in html
        assert "Dear you" in html
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "http://" not in html and "https://" not in html

    with_sandbox(test)


def test_an_html_body_stands_in_a_frame_that_runs_nothing_and_cannot_be_left() -> None:
    escape = '<p>Dear "you"</p>"></iframe><script>alert(1)</script><img src="https://evil.example/x.png">'

    async def test(client: Client) -> None:
        await client.post(incoming(body_text=None, body_html=escape))
        _, headers, html = await client.call("GET", "/", auth="")
        assert html.count("<iframe") == html.count("</iframe>") == html.count('<iframe sandbox=""') == 1
        assert "<script" not in html and "<img" not in html
        assert "&lt;p&gt;Dear &#34;you&#34;&lt;/p&gt;&#34;&gt;&lt;/iframe&gt;&lt;script&gt;" in html
        policy = headers["Content-Security-Policy"]
        assert policy == "default-src 'none'; style-src 'unsafe-inline'"  # frames of this kind take it over

    with_sandbox(test)


def test_the_page_tells_copies_files_subjects_and_what_was_refused() -> None:
    async def test(client: Client) -> None:
        await client.post(incoming(subject="Kettle"))
        ends = {"from": {"address": "s@acme.example"}, "to": [{"address": "jane@example.com"}]}
        copies = ends | {"cc": [{"address": "tom@example.com"}], "bcc": [{"address": "kim@example.com"}]}
        file = {"url": "https://cdn.example/a.pdf", "name": "a.pdf", "content_type": "application/pdf", "size": 1234}
        await client.post(outgoing(source=copies, subject="Other", attachments=[file], sent_datetime=SENT))
        assert (await client.post(incoming(subject="Wrong one", sent_datetime="never")))[0] == 400
        html = " ".join((await client.call("GET", "/", auth=""))[2].split())
        assert "to jane@example.com, cc tom@example.com, bcc kim@example.com" in html
        assert "a.pdf (application/pdf, 1,234 bytes)" in html
        assert "subject: Other" in html and "subject: Kettle" not in html
        assert "1 request was refused" in html
        assert "Wrong one" in html

    with_sandbox(test)


def test_only_the_latest_refusals_are_kept() -> None:
    async def test(client: Client) -> None:
        for number in range(103):
            await client.post(incoming(subject=f"wrong {number}.", sent_datetime="never"))
        html = (await client.call("GET", "/", auth=""))[2]
        assert "100 requests were refused" in html
        assert "wrong 2." not in html and "wrong 102." in html

    with_sandbox(test)


def test_the_page_is_cut_into_pages() -> None:
    async def test(client: Client) -> None:
        for number in range(1, 53):
            await client.post(note(), number)
        first = (await client.call("GET", "/", auth=""))[2]
        second = (await client.call("GET", "/?page=2", auth=""))[2]
        assert (first.count("<article"), second.count("<article")) == (50, 2)
        assert 'href="/?page=2"' in first

    with_sandbox(test)


def test_html_bodies_become_words_with_line_breaks() -> None:
    assert plain("<style>p{}</style><p>One &amp; two<br>three</p><div>four</div>") == "One & two\nthree\nfour"
    assert plain("a < b") == "a < b"


def test_a_quota_and_a_key_are_renewed_while_it_runs() -> None:
    async def test(client: Client) -> None:
        assert [(await client.post(note()))[0] for _ in range(2)] == [201, 403]
        for wrong in ({}, {"email": "a@b.c"}, {"quota": "many"}):
            assert (await client.call("POST", "/_sandbox/account", wrong, auth=""))[0] == 400
        assert (await client.call("POST", "/_sandbox/account", {"quota": None}, auth=""))[0] == 200
        assert (await client.post(note()))[0] == 201
        new = {"email": "a@b.c", "api_key": "new"}
        assert (await client.call("POST", "/_sandbox/account", new, auth=""))[2] == {"renewed": ["api_key", "email"]}
        assert (await client.post(note()))[0] == 401

    with_sandbox(test, quota=1)


def test_the_registry_is_arranged_while_it_runs() -> None:
    async def test(client: Client) -> None:
        wanted = {"agents": ["bob@acme.com"], "rules": {"Auto reply": "ticket-created"}, "mailboxes": ["a@acme.com"]}
        assert (await client.call("POST", "/_sandbox/registry", wanted))[0] == 200
        assert (await client.post(note()))[0] == 400, "anna is no agent any more"
        assert (await client.post(note(sender={"email": "bob@acme.com"})))[0] == 201
        assert [rule["name"] for rule in (await client.call("GET", "/api/rules"))[2]["data"]] == ["Auto reply"]
        assert len((await client.call("GET", "/api/integrations"))[2]["data"]) == 1
        for wrong in ({}, {"agents": "bob"}, {"port": 1}):
            assert (await client.call("POST", "/_sandbox/registry", wrong))[0] == 400

    with_sandbox(test)
