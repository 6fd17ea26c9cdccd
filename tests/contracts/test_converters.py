"""What every converter keeps: sums agree, keys are stable, the output is valid, a broken line costs only itself."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters import registry
from bulkmsg.validation.survey import BatchFile, survey
from tests.contracts.converter_samples import AGENT, CUSTOMER, SAMPLES, TIME, ndjson
from tests.unit.converters.kit import Result, convert

NAMES = sorted(registry.OURS)


def made(name: str, folder: Path, **options: Any) -> Result:
    sample = SAMPLES[name]()
    reading = options.pop("reading", sample.reading)
    return convert(name, options.pop("files", sample.files), folder, reading=reading, **options)


def test_every_converter_has_a_sample() -> None:
    assert sorted(SAMPLES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_reads_and_how_sure_we_are(name: str) -> None:
    about = registry.source(name).about
    assert about.title and about.reads and about.sure and about.instead


@pytest.mark.parametrize("name", NAMES)
def test_all_records_of_the_sample_become_messages_of_all_types(name: str, tmp_path: Path) -> None:
    found = made(name, tmp_path)
    assert len(found.messages) == SAMPLES[name]().messages
    assert set(found.types) == {"incoming", "outgoing", "internal-note"}
    assert (found.findings, found.tally.agrees) == ({}, True)


@pytest.mark.parametrize("name", NAMES)
def test_the_output_is_valid_at_once(name: str, tmp_path: Path) -> None:
    folder = made(name, tmp_path).folder
    seen = survey(BatchFile(folder / "batch.yaml", "batch.yaml"))
    assert seen.findings.kept == [], "not even a warning"
    assert seen.messages == SAMPLES[name]().messages


@pytest.mark.parametrize("name", NAMES)
def test_every_ticket_and_message_has_its_own_key_with_the_sources_name(name: str, tmp_path: Path) -> None:
    found = made(name, tmp_path)
    keys = [each["external_id"] for each in (*found.tickets, *found.messages)]
    assert all(key.startswith(f"{name}-") and len(key) <= 255 for key in keys)
    assert len({each["external_id"] for each in found.messages}) == len(found.messages)


@pytest.mark.parametrize("name", NAMES)
def test_every_message_says_when_it_was_sent_in_utc(name: str, tmp_path: Path) -> None:
    assert all(each["sent_datetime"].endswith("Z") for each in made(name, tmp_path).messages)


@pytest.mark.parametrize("name", NAMES)
def test_only_outgoing_messages_have_a_receiver(name: str, tmp_path: Path) -> None:
    assert {each["type"] for each in made(name, tmp_path).messages if "receiver" in each} <= {"outgoing"}


@pytest.mark.parametrize("name", NAMES)
def test_messages_of_one_second_keep_their_order_by_milliseconds(name: str, tmp_path: Path) -> None:
    together = SAMPLES[name]().together
    messages = {each["external_id"]: each["sent_datetime"] for each in made(name, tmp_path).messages}
    times = [messages[key] for key in together]
    assert times == [TIME, f"{TIME[:-1]}.001Z", f"{TIME[:-1]}.002Z"]


@pytest.mark.parametrize("name", NAMES)
def test_a_newer_export_in_the_same_folder_keeps_the_keys_and_adds_what_is_new(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    before = made(name, tmp_path)
    after = made(name, tmp_path, files=sample.newer)
    old = {each["external_id"]: each for each in before.messages}
    new = {each["external_id"]: each for each in after.messages}
    assert {key: new[key] for key in old} == old
    assert new.keys() - old.keys() == {sample.added}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_export_twice_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = (made(name, tmp_path / "a").folder / "tickets.jsonl").read_bytes()
    assert (made(name, tmp_path / "b").folder / "tickets.jsonl").read_bytes() == first


@pytest.mark.parametrize("name", [name for name in NAMES if SAMPLES[name]().lines])
def test_a_broken_line_is_a_finding_with_its_line_and_the_rest_goes_on(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    lines = sample.files[sample.lines].splitlines(keepends=True)
    broken = "".join((lines[0], lines[1][:-6] + "\n", *lines[2:]))
    found = made(name, tmp_path, files={**sample.files, sample.lines: broken})
    assert len(found.messages) == sample.messages - 1
    assert found.findings == {"broken": 1}
    assert found.report["list"][0]["file"].endswith(sample.lines)
    assert found.report["list"][0]["line"] == 2


LINED = [name for name in NAMES if SAMPLES[name]().lines]


@pytest.mark.parametrize("frame", ["list", "Singer", "gzip", "byte order mark"])
@pytest.mark.parametrize("name", LINED)
def test_other_frames_around_the_same_records_give_the_same(name: str, frame: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    text = sample.files[sample.lines]
    records = [json.loads(line) for line in text.splitlines()]
    stream = Path(sample.lines).stem
    framed: dict[str, Any] = {
        "list": ("records.json", records),
        "Singer": ("lines.json", ndjson(*({"type": "RECORD", "stream": stream, "record": each} for each in records))),
        "gzip": ("lines.json.gz", gzip.compress(text.encode())),
        "byte order mark": ("lines.json", b"\xef\xbb\xbf" + text.encode()),
    }
    file, content = framed[frame]
    others = {each: inner for each, inner in sample.files.items() if each != sample.lines}
    found = made(name, tmp_path / "b", files={**others, file: content})
    assert found.tickets == made(name, tmp_path / "a").tickets


@pytest.mark.parametrize("name", LINED)
def test_the_same_records_twice_give_no_doubles(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    found = made(name, tmp_path / "b", files={**sample.files, f"again-{sample.lines}": sample.files[sample.lines]})
    assert found.tickets == made(name, tmp_path / "a").tickets
    repeated = len(sample.files[sample.lines].splitlines())
    assert found.skips == {"a repeated record: another version of it counts": repeated}


@pytest.mark.parametrize("name", LINED)
def test_cut_in_a_record_all_whole_ones_before_it_are_kept(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    first, second, *_ = sample.files[sample.lines].splitlines(keepends=True)
    whole = made(name, tmp_path / "whole", files={**sample.files, sample.lines: first})
    for end in (1, len(second) // 3, len(second) // 2, len(second) - 2):
        found = made(name, tmp_path / str(end), files={**sample.files, sample.lines: first + second[:end]})
        assert (found.tickets, found.findings) == (whole.tickets, {**whole.findings, "broken": 1})


# -- options, which all sources share --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_agents_are_mapped_by_their_address(name: str, tmp_path: Path) -> None:
    found = made(name, tmp_path, agent_map={AGENT: "new@acme.example"})
    senders = {each["sender"].get("email") for each in found.messages if each["type"] != "incoming"}
    assert senders == {"new@acme.example"}
    assert found.report["agents"] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_default_agent_stands_in_and_the_person_is_named(name: str, tmp_path: Path) -> None:
    found = made(name, tmp_path, default_agent="desk@acme.example", author_line=True)
    for each in found.messages:
        if each["type"] != "incoming":
            assert each["sender"] == {"email": "desk@acme.example"}
            person = each["meta"]["original_author"]
            assert person in (each.get("body_text") or each.get("body_html"))


@pytest.mark.parametrize("name", NAMES)
def test_agents_who_are_not_mapped_are_listed_with_their_messages(name: str, tmp_path: Path) -> None:
    found = made(name, tmp_path)
    assert [each["messages"] for each in found.report["agents"]] == [2]
    assert (found.folder / "agent-map.csv").read_text().startswith("old,new,name,messages\n")


@pytest.mark.parametrize("name", NAMES)
def test_since_and_until_leave_messages_out_and_count_them(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    found = made(name, tmp_path / "a", files=sample.newer, since="2024-03-02T00:00:00Z")
    assert [each["external_id"] for each in found.messages] == [sample.added]
    assert found.skips["sent before --since"] == sample.messages
    found = made(name, tmp_path / "b", files=sample.newer, until="2024-03-02T00:00:00Z")
    assert found.skips == {"sent at or after --until": 1}


@pytest.mark.parametrize("name", NAMES)
def test_only_tickets_leaves_the_others_out(name: str, tmp_path: Path) -> None:
    one = made(name, tmp_path / "a").tickets[0]
    found = made(name, tmp_path / "b", only_tickets=frozenset({one["meta"]["original_id"]}))
    assert found.tickets == [one]


@pytest.mark.parametrize("name", NAMES)
def test_stand_ins_hide_people_and_texts_and_keep_keys_types_and_times(name: str, tmp_path: Path) -> None:
    plain, hidden = made(name, tmp_path / "a"), made(name, tmp_path / "b", anonymise=True)
    text = (hidden.folder / "tickets.jsonl").read_text() + (hidden.folder / "report.json").read_text()
    assert not any(word in text for word in (CUSTOMER, AGENT, "Jane", "Anna", "text 1"))
    for before, after in zip(plain.messages, hidden.messages, strict=True):
        assert [after[key] for key in ("type", "external_id", "sent_datetime")] == [
            before[key] for key in ("type", "external_id", "sent_datetime")
        ]
        assert len(after.get("body_text", "")) == len(before.get("body_text", ""))
    assert not (hidden.folder / "agent-map.csv").exists()
