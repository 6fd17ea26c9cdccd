"""The answers that programs read, from the real commands, against the schemas that are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulkmsg import schema
from tests.acceptance.servers import run, sandbox

FAST = ("--mode", "import", "--settle", "0.3s", "--progress", "none", "--rate", "400/2s")
QUICK = ("--limit", "400", "--window", "2", "--deleted", "404")
REGISTRY = ("--agents", "anna@acme.example", "--mailboxes", "support@acme.example", "--rules", "Auto-reply")


def entry(place: int, ticket: int) -> dict[str, Any]:
    return {
        "type": "incoming",
        "ticket_id": ticket,
        "channel": "email",
        "sender": {"email": "jane@example.com"},
        "source": {"from": {"address": "jane@example.com"}, "to": [{"address": "support@acme.example"}]},
        "body_text": f"message {place}",
        "sent_datetime": f"2024-03-01T10:{place:02}:00Z",
    }


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A batch of which a message is created, one is rejected, and one waits behind that."""
    path = tmp_path / "batch.jsonl"
    path.write_text("\n".join(json.dumps(entry(place, ticket)) for place, ticket in enumerate((1, 404, 404))))
    return path


def check(part: str, answer: dict[str, Any]) -> dict[str, Any]:
    violations = schema.checker(f"report#{part}" if part else "report").violations(answer)
    assert violations == []
    assert set(answer) <= set(_described(part))
    return answer


def _described(part: str) -> dict[str, Any]:
    whole = schema.load("report")
    described: dict[str, Any] = whole["$defs"][part or "run"]["properties"]
    return described


def test_plans_at_first_later_and_online(batch: Path) -> None:
    with sandbox(*QUICK, *REGISTRY) as url:
        first = check("plan", json.loads(run(None, "plan", batch, "--mode", "import", "--format", "json").stdout))
        assert first["faster"]
        online = run(url, "plan", batch, "--mode", "import", "--format", "json", "--online")
        told = check("plan", json.loads(online.stdout))
        assert {each["rule"] for each in told["diagnostics"]} >= {"BM803"}
        assert run(url, "run", batch, *FAST, "--ignore-rules").returncode == 1
        later = run(None, "plan", batch, "--mode", "import", "--format", "json", "--update-tickets")
        assert check("plan", json.loads(later.stdout))["to_do"] == 0
    assert set(first) | {"preflight", "diagnostics"} == set(_described("plan")), "all that is described is answered"


def test_runs_standings_and_outcomes(batch: Path) -> None:
    with sandbox(*QUICK) as url:
        done = check("", json.loads(run(url, "run", batch, *FAST, "--format", "json").stdout))
        assert (done["created"], done["rejected"], done["held_back"]) == (1, 1, 1)
        stands = check("", json.loads(run(None, "status", batch, "--mode", "import", "--format", "json").stdout))
        assert [stands[name] for name in stands if name != "seconds"] == [
            done[name] for name in stands if name != "seconds"
        ]
        lines = run(None, "results", batch, "--mode", "import", "--format", "jsonl").stdout.splitlines()
        outcomes = [check("result", json.loads(line))["outcome"] for line in lines]
        assert outcomes == ["created", "rejected", "held_back"]
        settled = run(url, "resolve", batch, "--mode", "import", "--format", "json")
        assert check("resolve", json.loads(settled.stdout))["settled"] == 0


def test_validation(batch: Path) -> None:
    good = run(None, "validate", batch, "--mode", "import", "--format", "json")
    assert check("validate", json.loads(good.stdout))["valid"] is True
    batch.write_text(batch.read_text().replace('"type"', '"kind"', 1))
    bad = run(None, "validate", batch, "--mode", "import", "--format", "json")
    assert check("validate", json.loads(bad.stdout))["counts"]["error"] > 0


def test_the_account_and_its_lists() -> None:
    with sandbox(*QUICK, *REGISTRY) as url:
        who = check("account", json.loads(run(url, "account", "--format", "json").stdout))
        assert set(who) == set(_described("account"))
        for name in _described("account_list"):
            listed = check("account_list", json.loads(run(url, "account", name, "--format", "json").stdout))
            assert list(listed) == [name]
            assert listed[name] or name in ("teams", "tags")
        check("auth", json.loads(run(url, "auth", "check", "--format", "json").stdout))
