"""The sandbox as a process of its own, for tests of the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ACCOUNT = {"GORGIAS_ACCOUNT": "acme", "GORGIAS_EMAIL": "anna@acme.example", "GORGIAS_API_KEY": "key-for-tests-0123"}


@contextmanager
def sandbox(*flags: str) -> Iterator[str]:
    """A running sandbox; its URL."""
    command = [sys.executable, "-m", "bulkmsg.sandbox", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def asked(url: str, path: str) -> Any:
    """What an inspection page of the sandbox answers."""
    with urllib.request.urlopen(url + path) as answer:
        return json.load(answer)


def post_again(url: str, message: dict[str, Any]) -> None:
    """Create a message that stands in the sandbox once more, as somebody else's blind retry would."""
    names = ("external_id", "channel", "via", "from_agent", "body_text", "sent_datetime", "created_datetime", "source")
    body = {name: message[name] for name in names if message[name] is not None}
    body["sender"] = {"email": message["sender"]["email"]}
    pair = f"{ACCOUNT['GORGIAS_EMAIL']}:{ACCOUNT['GORGIAS_API_KEY']}"
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    path = f"{url}/api/tickets/{message['ticket_id']}/messages"
    with urllib.request.urlopen(urllib.request.Request(path, json.dumps(body).encode(), headers)) as answer:
        assert answer.status == 201


def set_faults(url: str, spec: str) -> None:
    """Replace the sandbox's faults."""
    request = urllib.request.Request(f"{url}/_sandbox/faults", json.dumps({"spec": spec}).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def environment(url: str | None = None, **more: str) -> dict[str, str]:
    """The environment of a command: nothing of the user's or a build server's, the test account, the sandbox's URL."""
    foreign = ("GORGIAS_", "BULKMSG_", "GITHUB_", "CI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    own = {**kept, **ACCOUNT, **more}
    return own if url is None else {**own, "GORGIAS_BASE_URL": url}


def bulkmsg(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "bulkmsg", *(str(word) for word in words)]


def run(url: str | None, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with nobody at the keyboard. Whatever it did, it told no secret."""
    done = subprocess.run(
        bulkmsg(*words),
        env=environment(url, **more),
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    secrets = {ACCOUNT["GORGIAS_API_KEY"], more.get("GORGIAS_API_KEY"), more.get("GORGIAS_ACCESS_TOKEN")}
    told = [done.stdout, done.stderr, *_logs_beside(words)]
    assert not [secret for secret in secrets if secret and any(secret in text for text in told)]
    return done


def _logs_beside(words: Iterable[str | Path]) -> list[str]:
    """The progress logs of the batches that a command names; no address stands in any."""
    folders = {word.parent for word in words if isinstance(word, Path)}
    logs = [
        log.read_text(errors="replace")
        for folder in folders
        for log in folder.glob("*.progress.jsonl")
        if log.is_file()
    ]
    assert not [log for log in logs if log.startswith('{"record"') and "@" in log]
    return logs
