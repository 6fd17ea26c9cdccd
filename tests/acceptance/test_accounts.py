"""A batch for several accounts, with the real command: picked, sent to each once, each with a log of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.batches import OPTIONS, QUICK, created
from tests.acceptance.servers import asked, bulkmsg, environment, run, sandbox

TEXT = """\
version: 1
name: moved
accounts:
  acme: {}
  acme-staging: {defaults: {sender: {email: test@acme.example}}}
defaults: {type: internal-note, sender: {email: anna@acme.example}}
messages:
  - {ticket_id: 12, body_text: Hello, created_datetime: 2024-01-01T00:00:00Z}
"""


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    path = tmp_path / "batch.yaml"
    path.write_text(TEXT)
    return path


def test_each_account_has_its_own_defaults_log_and_external_ids(batch: Path) -> None:
    with sandbox(*QUICK) as url:
        for account in ("acme", "acme-staging"):
            done = run(url, "run", batch, *OPTIONS, "--account", account)
            assert done.returncode == 0, done.stderr
            assert (batch.parent / f"batch.yaml.{account}.progress.jsonl").exists()
        assert len(set(created(url))) == 2
        [ticket] = asked(url, "/_sandbox/state")["tickets"]
        assert [each["sender"]["email"] for each in ticket["messages"]] == ["anna@acme.example", "test@acme.example"]


@pytest.mark.parametrize("command", ["plan", "run", "status", "results", "resolve"])
def test_no_pick_and_an_unknown_one_are_usage_errors_that_list_the_accounts(batch: Path, command: str) -> None:
    for picked in ("", "other"):
        done = run("http://127.0.0.1:9", command, batch, GORGIAS_ACCOUNT=picked)
        assert done.returncode == 2
        assert "acme, acme-staging" in done.stderr
        assert "--account acme" in done.stderr


def test_validate_checks_every_account_and_names_a_next_command_that_works(batch: Path) -> None:
    broken = TEXT.replace("sender: {email: test@acme.example}", "sent_datetime: 2999-01-01T00:00:00Z")
    batch.write_text(broken + "  - {ticket_id: 0, body_text: Hello, created_datetime: 2024-01-01T00:00:00Z}\n")
    found = json.loads(run(None, "validate", batch, "--format", "json", GORGIAS_ACCOUNT="acme").stdout)
    paths = sorted(each["path"] for each in found["diagnostics"])
    assert paths == ["accounts.acme-staging.defaults.sent_datetime", "messages[1].ticket_id"]
    batch.write_text(TEXT)
    done = run(None, "validate", batch)
    assert done.returncode == 0
    words = done.stderr.splitlines()[-1].removeprefix("next: bulkmsg ").split()
    following = subprocess.run(bulkmsg(*words), env=environment(GORGIAS_ACCOUNT=""), capture_output=True, check=False)
    assert following.returncode == 0
