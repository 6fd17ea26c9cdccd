"""The command: its flags, its folder, its exit codes, what it says and when."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.app.convert_output import Folder
from bulkmsg.converters import registry
from bulkmsg.errors import UsageError
from tests.contracts.converter_samples import SAMPLES
from tests.unit.converters.kit import written

FILES = SAMPLES["zendesk"]().files


def call(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, in a folder."""
    words = [sys.executable, "-m", "bulkmsg", *map(str, arguments)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    written(tmp_path, FILES)
    return tmp_path


NAMES = tuple(FILES)


def test_a_conversion_says_what_became_of_the_records_and_names_the_next_command(export: Path) -> None:
    done = call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 records: 4 messages in 2 tickets, 0 skips, 0 findings\n")
    assert done.stderr.splitlines()[-1] == "next: bulkmsg validate out/batch.yaml"
    assert sorted(each.name for each in (export / "out").iterdir()) == [
        "agent-map.csv",
        "batch.yaml",
        "report.json",
        "report.md",
        "tickets.jsonl",
    ]
    assert call("validate", "out/batch.yaml", folder=export).returncode == 0


def test_agents_who_are_not_mapped_are_told_on_stderr(export: Path) -> None:
    done = call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    assert "1 agent not mapped" in done.stderr and "anna@acme.example  2 messages" in done.stderr


def test_the_map_that_is_written_can_be_given_back(export: Path) -> None:
    call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    filled = "old,new,name,messages\n2,8842,Anna Agent,2\n"
    written(export / "out", {"agent-map.csv": filled})
    done = call("convert", "zendesk", *NAMES, "-o", "out", "--agent-map", "out/agent-map.csv", folder=export)
    assert done.returncode == 0 and "not mapped" not in done.stderr
    assert '"sender":{"id":8842}' in (export / "out" / "tickets.jsonl").read_text()
    assert (export / "out" / "agent-map.csv").read_text() == filled


def test_what_was_filled_in_stays_when_other_agents_are_met(export: Path) -> None:
    filled = "old,new,name,messages\n77,8842,Tom,9"
    call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    written(export / "out", {"agent-map.csv": filled})
    call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    lines = (export / "out" / "agent-map.csv").read_text().splitlines()
    assert lines == [*filled.splitlines(), "2,anna@acme.example,Anna Agent,2"]


def test_findings_are_exit_code_1_and_are_listed_with_their_places(export: Path) -> None:
    with (export / "comments.ndjson").open("a") as file:
        file.write('{"id": 9, "ticket_id": 8, "author_id"\n')
    done = call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    assert done.returncode == 1
    assert "comments.ndjson:5" in done.stdout
    assert "comments.ndjson:5" in (export / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["zendesk"], 2, "output folder"),
        (["zendeks", "x.json", "-o", "out"], 2, "did you mean zendesk"),
        (["zendesk", "missing.json", "-o", "out"], 3, "does not exist"),
        (["zendesk", "users.json", "-o", "out"], 3, "hold no record"),
        (["zendesk", "tickets.csv", "-o", "out"], 3, "CSV, which holds no messages"),
        (["zendesk", "tickets.json", "-o", "out", "--attachments", "download"], 2, "opens no connection"),
        (["zendesk", "tickets.json", "-o", "out", "--since", "yesterday"], 2, "no date"),
        (["zendesk", "tickets.json", "-o", "out", "--mailbox", "nobody"], 2, "no address"),
        (["zendesk", "tickets.json", "-o", "out", "--default-agent", "anna"], 2, "names no agent"),
        (["zendesk", "tickets.json", "-o", "out", "--agent-map", "2="], 2, "no pair"),
        (["zendesk", "tickets.json", "-o", "out", "--status-map", "hold=waiting"], 2, "open and closed"),
        (["zendesk", "tickets.json", "-o", "out", "--field-map", "9=x"], 2, "no number"),
        (["zendesk", "tickets.json", "-o", "out", "--type-map", "note=outgoing"], 2, "leaves no choice"),
        (["helpscout", "tickets.json", "-o", "out", "--type-map", "phone=call"], 2, "no type of message"),
        (["zendesk", "tickets.json", "-o", "out", "--mapping", "map.yaml"], 2, "generic"),
        (["generic", "tickets.json", "-o", "out"], 2, "generic"),
    ],
)
def test_what_cannot_be_is_told_and_writes_nothing(words: list[str], code: int, said: str, export: Path) -> None:
    (export / "tickets.csv").write_text("Id,Subject\n")
    done = call("convert", *words, folder=export)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not list((export / "out").glob("*"))


def test_a_folder_with_files_of_others_is_refused_and_left_alone(export: Path) -> None:
    written(export / "out", {"thesis.txt": "mine"})
    done = call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    assert done.returncode == 2 and "thesis.txt" in done.stderr
    assert [each.name for each in (export / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["batch.yaml", "tickets.jsonl", "report.md", "report.json"])
def test_a_file_of_the_same_name_that_no_conversion_wrote_is_refused(name: str, export: Path) -> None:
    written(export / "out", {name: "mine\n"})
    assert call("convert", "zendesk", *NAMES, "-o", "out", folder=export).returncode == 2
    assert (export / "out" / name).read_text() == "mine\n"


def test_a_newer_export_keeps_an_edited_batch_and_a_progress_log(export: Path) -> None:
    call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    edited = (export / "out" / "batch.yaml").read_text() + "account: acme\n"
    written(export / "out", {"batch.yaml": edited, "batch.yaml.acme.progress.jsonl": "{}\n"})
    written(export, SAMPLES["zendesk"]().newer)
    done = call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    assert done.returncode == 0 and "batch.yaml is as it was" in done.stderr
    assert (export / "out" / "batch.yaml").read_text() == edited
    assert (export / "out" / "tickets.jsonl").read_text().count("zendesk-comment-") == 5


def test_two_conversions_never_write_to_one_folder(tmp_path: Path) -> None:
    with Folder(tmp_path / "out"), pytest.raises(UsageError, match="another conversion"), Folder(tmp_path / "out"):
        raise AssertionError("both held it")


def test_what_a_killed_conversion_left_is_cleared(export: Path) -> None:
    written(export / "out" / ".convert", {"records.sqlite": "half", "tickets.jsonl": "half"})
    assert call("convert", "zendesk", *NAMES, "-o", "out", folder=export).returncode == 0
    assert not (export / "out" / ".convert").exists()


def test_a_conversion_that_fails_leaves_an_earlier_one_as_it_was(export: Path) -> None:
    call("convert", "zendesk", *NAMES, "-o", "out", folder=export)
    before = {each.name: each.read_bytes() for each in (export / "out").iterdir()}
    assert call("convert", "zendesk", "users.json", "-o", "out", folder=export).returncode == 3
    assert {each.name: each.read_bytes() for each in (export / "out").iterdir()} == before


def test_the_list_says_what_each_source_reads_and_how_sure_we_are(tmp_path: Path) -> None:
    done = call("convert", "--list", folder=tmp_path)
    assert done.returncode == 0
    assert all(f"{name}: " in done.stdout for name in registry.OURS)
    assert "known from recorded payloads" in done.stdout


def test_ids_of_tickets_come_from_a_file_too(export: Path) -> None:
    (export / "ids.txt").write_text("#8\n")
    assert call("convert", "zendesk", *NAMES, "-o", "out", "--only-tickets", "ids.txt", folder=export).returncode == 0
    tickets = [json.loads(line) for line in (export / "out" / "tickets.jsonl").read_text().splitlines()]
    assert [each["external_id"] for each in tickets] == ["zendesk-8"]


# -- sources of others -----------------------------------------------------------------------------------------------


def _points(*points: EntryPoint) -> Any:
    return lambda group: [each for each in points if each.group == group]


def test_another_package_brings_a_source_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mydesk", "tests.unit.converters.mydesk:MyDesk", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", _points(point))
    found = registry.source("mydesk")
    assert (found.about.title, found.ours) == ("My desk", False)
    assert [each.name for each in registry.sources()] == [*registry.OURS, "mydesk"]


def test_a_package_that_cannot_be_loaded_hides_no_other_source(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("broken", "tests.unit.converters.nothing:There", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", _points(point))
    assert [each.name for each in registry.sources()] == list(registry.OURS)
    with pytest.raises(UsageError, match="ModuleNotFoundError"):
        registry.source("broken")
