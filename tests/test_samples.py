"""Each sample is validated, planned and run in a copy of its folder; what leaves for the three types is exact."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.app.inspect import show
from bulkmsg.app.start import start
from bulkmsg.message import canonical
from bulkmsg.validation.survey import BatchFile, survey
from tests.acceptance.recorder import recorder
from tests.acceptance.servers import bulkmsg, environment

SAMPLES = Path(__file__).parent.parent / "samples"
MODELINE = "# yaml-language-server: $schema=../schemas/batch.schema.json\n"
COLUMNS_ONLY = {"customers.csv"}  # a table of variables for a template, no batch by itself
BATCHES = sorted(path.name for path in SAMPLES.iterdir() if path.suffix in {".yaml", ".csv", ".jsonl"})
# A run leaves its progress log beside its batch, `make demo` here: that is no sample.
BATCHES = [name for name in BATCHES if name not in COLUMNS_ONLY and ".progress." not in name]

EXPECTED: list[dict[str, Any]] = [
    {
        "channel": "email",
        "via": "api",
        "from_agent": False,
        "sender": {"email": "jane@example.com"},
        "source": {"from": {"address": "jane@example.com"}, "to": [{"address": "support@acme.example"}]},
        "subject": "This is a test ticket",
        "body_text": "Hi, this is another test message!",
        "sent_datetime": "2024-03-01T10:00:00Z",
        "created_datetime": "2024-03-01T10:00:00Z",
    },
    {
        "channel": "email",
        "via": "api",
        "from_agent": True,
        "sender": {"email": "anna@acme.example"},
        "source": {"from": {"address": "support@acme.example"}, "to": [{"address": "jane@example.com"}]},
        "subject": "Re: This is a test ticket",
        "body_text": "Hi Jane, thank you for writing.",
        "sent_datetime": "2024-03-01T10:05:00Z",
        "created_datetime": "2024-03-01T10:05:00Z",
    },
    {
        "channel": "internal-note",
        "via": "api",
        "from_agent": True,
        "sender": {"email": "anna@acme.example"},
        "body_text": "Jane wrote twice; answered the first one.",
        "created_datetime": "2024-03-01T10:06:00Z",
    },
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the samples, without what runs left there."""
    copy = tmp_path / "samples"
    shutil.copytree(SAMPLES, copy, ignore=shutil.ignore_patterns("*.progress.jsonl*"))
    return copy


def answer_of(folder: Path, *words: str) -> Any:
    """The JSON answer of a command that must succeed."""
    done = subprocess.run(bulkmsg(*words), env=environment(), cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_is_a_sample_of_each_format() -> None:
    assert {Path(name).suffix for name in BATCHES} == {".yaml", ".csv", ".jsonl"}


@pytest.mark.parametrize("name", [name for name in BATCHES if name.endswith(".yaml")])
def test_a_yaml_sample_begins_with_the_line_that_editors_read(name: str) -> None:
    assert (SAMPLES / name).read_text().startswith(MODELINE)
    assert schema_of(SAMPLES / name).is_file()


def test_the_batches_of_init_begin_with_that_line_and_bring_their_schema(tmp_path: Path) -> None:
    batches = [tmp_path / name for name in start(tmp_path).written if name.endswith(".yaml")]
    assert len(batches) == 2
    assert all(schema_of(batch).is_file() for batch in batches)


def schema_of(batch: Path) -> Path:
    """The schema that a batch names in its first line."""
    prefix, _, name = batch.read_text().partition("\n")[0].partition("$schema=")
    assert prefix == "# yaml-language-server: "
    return batch.parent / name


@pytest.mark.parametrize("name", BATCHES)
def test_a_sample_is_valid_and_arrives_whole_in_the_sandbox(name: str, folder: Path) -> None:
    checked = answer_of(folder, "validate", name, "--strict", "--format", "json")
    planned = answer_of(folder, "plan", name, "--format", "json")
    done = answer_of(folder, "run", name, "--sandbox", "--format", "json", "--progress", "none")
    assert checked["valid"] and checked["diagnostics"] == []
    assert planned["messages"] == checked["messages"] > 0
    assert done["created"] == done["total"] == planned["messages"]


def test_the_three_samples_of_threads_leave_as_the_same_bytes() -> None:
    sent = []
    for name in ("threads.yaml", "threads.jsonl", "threads.csv"):
        batch = BatchFile(SAMPLES / name, name)
        sent.append([(one.keys, one.path, canonical(one.body)) for one in show(batch, survey(batch), "100", "acme")])
    assert sent[0] == sent[1] == sent[2]
    assert [(len(keys), path) for keys, path, _ in sent[0]] == [(4, "/api/tickets"), (2, "/api/tickets")]


@pytest.mark.parametrize("name", ["three-types.yaml", "three-types.csv"])
def test_what_leaves_for_the_three_types_is_exact(name: str, folder: Path) -> None:
    with recorder() as recording:
        words = bulkmsg("run", folder / name, "--progress", "none")
        subprocess.run(words, env=environment(recording.url), check=True, capture_output=True, timeout=60)
    assert {path for path, _ in recording.posts} == {"/api/tickets/348149927/messages"}
    bodies = [dict(body) for _, body in recording.posts]
    external_ids = [body.pop("external_id") for body in bodies]
    assert bodies == EXPECTED
    assert len(set(external_ids)) == 3
    assert all(external_id.startswith("bulkmsg-three-types-") for external_id in external_ids)


def test_the_mail_sample_mails_each_customer_once_and_nobody_without_consent(folder: Path) -> None:
    with recorder() as recording:
        refused = subprocess.run(
            bulkmsg("run", folder / "mail-customers.yaml"),
            env=environment(recording.url),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        assert (refused.returncode, recording.posts) == (4, [])
        words = bulkmsg("run", folder / "mail-customers.yaml", "--allow-send", "3", "--progress", "none")
        subprocess.run(words, env=environment(recording.url), check=True, capture_output=True, timeout=60)
    mails = [body["messages"][0] for path, body in recording.posts if path == "/api/tickets"]
    people = [mail["source"]["to"][0]["address"] for mail in mails]
    assert sorted(people) == ["jane@example.com", "kim@example.com", "tom@example.com"]
    assert not any("sent_datetime" in mail for mail in mails)
    assert {mail["body_text"].partition(",")[0] for mail in mails} == {"Hi Jane", "Hi Tom", "Hi there"}
