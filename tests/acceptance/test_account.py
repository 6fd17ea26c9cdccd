"""`bulkmsg account` with the real command: who we are, and the lists for people who fill in a batch."""

from __future__ import annotations

import csv
import io
import json

from tests.acceptance.batches import QUICK, requests
from tests.acceptance.servers import ACCOUNT, run, sandbox

REGISTRY = ("--agents", "anna@acme.example", "bob@acme.example", "--mailboxes", "support@acme.example")


def test_account_tells_who_we_are_and_what_is_left() -> None:
    with sandbox(*QUICK, *REGISTRY, "--role", "admin") as url:
        answer = json.loads(run(url, "account", "--format", "json").stdout)
        assert answer == {
            "account": "acme", "status": "active", "user": ACCOUNT["GORGIAS_EMAIL"], "user_id": answer["user_id"],
            "role": "admin", "requests_used": answer["requests_used"], "requests_limit": 400, "auto_merge": "off",
            "satisfaction_surveys": "off",
        }  # fmt: skip
        assert 0 <= answer["requests_used"] <= 2, "some may have leaked away already"
        assert "role                  admin" in run(url, "account").stdout


def test_account_lists_what_a_batch_may_refer_to() -> None:
    more = (
        "--teams",
        "Billing",
        "--tags",
        "vip",
        "--rules",
        "Auto reply=ticket-created",
        "--switched-off",
        "support@acme.example",
    )
    with sandbox(*QUICK, *REGISTRY, *more) as url:
        agents = json.loads(run(url, "account", "agents", "--format", "json").stdout)["agents"]
        assert {each["email"] for each in agents} >= {"anna@acme.example", "bob@acme.example"}
        (box,) = csv.DictReader(io.StringIO(run(url, "account", "mailboxes", "--format", "csv").stdout))
        assert (box["address"], box["state"]) == ("support@acme.example", "deactivated")
        assert run(url, "account", "teams").stdout.splitlines()[-1].split() == ["18001", "Billing"]
        assert run(url, "account", "tags").stdout.splitlines()[-1].split()[1] == "vip"
        assert "active" in (rules := run(url, "account", "rules")).stdout
        assert "the form of this list is not documented" in rules.stderr


def test_account_reads_all_pages() -> None:
    who = [f"agent-{number}@acme.example" for number in range(250)]
    with sandbox(*QUICK, "--agents", *who) as url:
        found = json.loads(run(url, "account", "agents", "--format", "json").stdout)["agents"]
        assert {each["email"] for each in found} >= set(who)
        assert requests(url)["GET /api/users"] == 3


def test_account_says_what_cannot_be_read() -> None:
    with sandbox(*QUICK, "--closed", "rules") as url:
        done = run(url, "account", "rules")
        assert (done.returncode, done.stdout) == (4, "")
        assert "rules could not be read: HTTP 403" in done.stderr
    assert run("http://127.0.0.1:9", "account", "--timeout", "1s").returncode == 5
    assert run(None, "account", GORGIAS_EMAIL="", GORGIAS_API_KEY="").returncode == 4
