"""Access by OAuth, end to end: runs that outlive their tokens, tokens that are replaced, revoked, and never told."""

from __future__ import annotations

import json
import stat
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.batches import OPTIONS, QUICK, created, history_batch, landed_once, log_of, until_some_arrived
from tests.acceptance.servers import asked, bulkmsg, environment, sandbox

SECRETS = {"client": "app-secret-0123456789", "refresh": "refresh-canary-0123456789"}
APP = ("--oauth", "--client-id", "app-of-acme", "--client-secret", SECRETS["client"])
FIRST = ("--refresh-token", SECRETS["refresh"])


class Stage:
    """A folder with a batch, a state folder of its own, and commands whose every byte is kept for the canary."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.told: list[str] = []

    def environment(self, url: str, **more: str) -> dict[str, str]:
        app = {
            "GORGIAS_EMAIL": "",
            "GORGIAS_API_KEY": "",
            "GORGIAS_CLIENT_ID": "app-of-acme",
            "GORGIAS_CLIENT_SECRET": SECRETS["client"],
            "GORGIAS_REFRESH_TOKEN": SECRETS["refresh"],
            "XDG_STATE_HOME": str(self.state),
        }
        return environment(url, **{**app, **more})

    def command(self, url: str, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            bulkmsg(*words),
            env=self.environment(url, **more),
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        self.told += [done.stdout, done.stderr]
        return done

    def run(self, url: str, batch: Path, *more: str, **env: str) -> tuple[int, Any]:
        events = self.folder / "events.jsonl"
        done = self.command(url, "run", batch, *OPTIONS, "--events", events, *more, **env)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def kept(self) -> Path:
        """The one file in which tokens are kept."""
        found = self._kept()
        assert len(found) == 1
        return found[0]

    def _kept(self) -> list[Path]:
        return [path for name in ("given", "login") for path in self.state.glob(f"bulkmsg/*/{name}.json")]

    def secrets(self) -> set[str]:
        """All that must stay unseen, also what was given out meanwhile."""
        found = {*SECRETS.values(), "sandbox-access-", "sandbox-refresh-"}
        for path in self._kept():
            kept = json.loads(path.read_text())
            found |= {kept["refresh_token"], kept["access_token"]} - {""}
        return found

    def written(self) -> Iterator[str]:
        """All that commands told and wrote, but for what is kept on purpose."""
        yield from self.told
        for path in self.folder.rglob("*"):
            if path.is_file() and self.state not in path.parents and path.suffix != ".token":
                yield path.read_text(errors="replace")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Whatever a test does, no credential stands in anything that was told or written."""
    made = Stage(tmp_path)
    yield made
    secrets, texts = made.secrets(), list(made.written())
    assert texts
    assert not [text[:200] for text in texts if any(secret in text for secret in secrets)]


def renew(url: str, **changes: str | None) -> None:
    request = urllib.request.Request(f"{url}/_sandbox/account", json.dumps(changes).encode())
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def tokens(url: str) -> dict[str, int]:
    counted: dict[str, int] = asked(url, "/_sandbox/state")["tokens"]
    return counted


@pytest.mark.parametrize("told", [(), ("--life-untold",)], ids=["renewed when due", "renewed when refused"])
@pytest.mark.parametrize("rotation", [(), ("--rotate-refresh-tokens",)], ids=["one refresh token", "one use each"])
def test_a_run_outlives_its_token_several_times(stage: Stage, told: tuple[str, ...], rotation: tuple[str, ...]) -> None:
    batch = history_batch(stage.folder, messages=110)
    slow = ("--limit", "40", "--window", "2")
    with sandbox(*slow, *APP, *FIRST, "--token-life", "1.8", *told, *rotation) as url:
        code, answer = stage.run(url, batch, "--rate", "40/2s", "-j", "4")
        assert (code, answer["created"]) == (0, 110)
        assert landed_once(url, 110)
        assert tokens(url)["given_out"] >= 3
        refused = asked(url, "/_sandbox/state")["answers"].get("401", 0)
        assert bool(refused) == bool(told)


def test_a_message_that_a_dead_token_held_up_has_an_attempt_of_its_own_for_each_try(stage: Stage) -> None:
    batch = history_batch(stage.folder, messages=30)
    with sandbox(*QUICK, *APP, *FIRST, "--token-life", "1", "--life-untold", "--latency", "0.1:0.2") as url:
        assert stage.run(url, batch, "-j", "2")[0] == 0
        assert landed_once(url, 30)
    records = [json.loads(line) for line in log_of(batch).read_text().splitlines()]
    refused = [each for each in records if each["record"] == "retry" and each["status"] == 401]
    assert refused
    for retry in refused:
        attempts = [each["attempt"] for each in records if each["record"] == "intent" and each["key"] == retry["key"]]
        assert attempts == list(range(1, len(attempts) + 1))
        assert len(attempts) > retry["attempt"]
        assert retry["verdict"] == "not_processed"


def test_a_file_whose_upload_met_a_dead_token_is_uploaded_again(stage: Stage) -> None:
    batch = history_batch(stage.folder, messages=30)
    text = batch.read_text().splitlines()
    for number in range(30):
        (stage.folder / f"{number}.txt").write_text(f"file {number}")
    lines = [
        f"{line}\n  attachments: [{{file: {line.rsplit(' ', 1)[1]}.txt}}]" if "body_text" in line else line
        for line in text
    ]
    batch.write_text("\n".join(lines))
    with sandbox(*QUICK, *APP, *FIRST, "--token-life", "1", "--life-untold", "--latency", "0.05:0.1") as url:
        code, answer = stage.run(url, batch, "-j", "2")
        assert (code, answer["created"]) == (0, 30)
        assert landed_once(url, 30)
        assert asked(url, "/_sandbox/state")["answers"]["401"] > 2


def test_a_refresh_token_that_was_replaced_is_kept_for_its_owner_alone_and_used_by_the_next_command(
    stage: Stage,
) -> None:
    batch = history_batch(stage.folder, messages=10)
    with sandbox(*QUICK, *APP, *FIRST, "--rotate-refresh-tokens", "--token-life", "0.4") as url:
        assert stage.run(url, batch)[0] == 0
        first = stage.kept()
        before = json.loads(first.read_text())["refresh_token"]
        assert before != SECRETS["refresh"]
        assert (mode(first), mode(first.parent)) == (0o600, 0o700)
        more = history_batch(stage.folder, messages=20)
        assert stage.run(url, more)[0] == 0  # the environment still has the old one
        assert landed_once(url, 20)
        assert json.loads(first.read_text())["refresh_token"] != before
        assert tokens(url)["refused"] == 0


def test_a_refresh_token_from_a_file_is_replaced_in_that_file(stage: Stage) -> None:
    own = stage.folder / "refresh.token"
    own.write_text(SECRETS["refresh"] + "\n")
    own.chmod(0o644)
    batch = history_batch(stage.folder, messages=10)
    by_file = {"GORGIAS_REFRESH_TOKEN": "", "GORGIAS_REFRESH_TOKEN_FILE": str(own)}
    with sandbox(*QUICK, *APP, *FIRST, "--rotate-refresh-tokens") as url:
        assert stage.run(url, batch, **by_file)[0] == 0
        assert own.read_text().startswith("sandbox-refresh-")
        assert mode(own) == 0o600
        stage.kept().unlink()  # on another machine, say: the file alone is enough
        assert stage.run(url, history_batch(stage.folder, messages=12), **by_file)[0] == 0
        assert landed_once(url, 12)


def test_a_new_token_in_the_environment_wins_over_what_is_kept_of_an_old_one(stage: Stage) -> None:
    with sandbox(*QUICK, *APP, *FIRST, "--rotate-refresh-tokens") as url:
        assert stage.run(url, history_batch(stage.folder, messages=4))[0] == 0
        renew(url, refresh_token="another-refresh-9876")
        more = history_batch(stage.folder, messages=8)
        assert stage.run(url, more, GORGIAS_REFRESH_TOKEN="another-refresh-9876")[0] == 0
        assert landed_once(url, 8)


def test_a_revoked_refresh_token_stops_the_run_and_new_credentials_go_on(stage: Stage) -> None:
    batch = history_batch(stage.folder, messages=60)
    with sandbox("--limit", "40", "--window", "2", *APP, *FIRST, "--token-life", "0.5") as url:
        process = subprocess.Popen(
            bulkmsg("run", batch, *OPTIONS, "--rate", "40/2s"),
            env=stage.environment(url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until_some_arrived(url, 5)
        renew(url, refresh_token="new-refresh-of-acme")
        told = process.communicate(timeout=60)
        stage.told += told
        answer = json.loads(told[0])
        assert process.returncode == answer["exit_code"] == 4
        assert answer["rejected"] == answer["failed"] == answer["in_doubt"] == 0
        assert 5 <= answer["created"] < 60
        assert answer["pending"] + answer["held_back"] == 60 - answer["created"]
        assert "the refresh token is not accepted any more" in told[1]
        assert "bulkmsg auth login" in told[1]
        code, answer = stage.run(url, batch, GORGIAS_REFRESH_TOKEN="new-refresh-of-acme")
        assert (code, answer["created"]) == (0, 60)
        assert landed_once(url, 60)


def test_two_commands_at_once_do_not_take_each_others_token(stage: Stage) -> None:
    batches = []
    for name in ("one", "two"):
        folder = stage.folder / name
        folder.mkdir()
        batch = history_batch(folder, messages=40)
        batch.write_text(batch.read_text().replace("name: stopping", f"name: {name}"))
        batches.append(batch)
    with sandbox(
        "--limit", "400", "--window", "2", *APP, *FIRST, "--rotate-refresh-tokens", "--token-life", "1"
    ) as url:
        running = [
            subprocess.Popen(
                bulkmsg("run", batch, *OPTIONS, "--rate", "20/s"),
                env=stage.environment(url),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for batch in batches
        ]
        for process in running:
            stage.told += process.communicate(timeout=60)
        assert [process.returncode for process in running] == [0, 0]
        assert landed_once(url, 80)
        assert tokens(url)["refused"] == 0


def test_an_app_without_its_secret_is_refused_before_anything_is_sent(stage: Stage) -> None:
    batch = history_batch(stage.folder, messages=2)
    with sandbox(*QUICK, *APP, *FIRST) as url:
        done = stage.command(url, "run", batch, *OPTIONS, GORGIAS_CLIENT_SECRET="")
        assert done.returncode == 4
        assert "GORGIAS_CLIENT_SECRET is not set" in done.stderr
        done = stage.command(url, "run", batch, *OPTIONS, GORGIAS_CLIENT_SECRET="wrong-secret-987")
        assert done.returncode == 4
        assert "the app's id or secret is not accepted (HTTP 401)" in done.stderr
        assert created(url) == []


def test_where_nothing_can_be_kept_a_run_goes_on_and_says_so(stage: Stage) -> None:
    stage.state.write_text("a file, where a folder should be")
    with sandbox(*QUICK, *APP, *FIRST, "--rotate-refresh-tokens") as url:
        done = stage.command(url, "run", history_batch(stage.folder, messages=2), *OPTIONS)
        assert done.returncode == 0
        assert "could not be kept" in done.stderr
