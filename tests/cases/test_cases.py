"""Case folders, read as users' batches are: wrong ones give exactly their findings, right ones exactly their requests.

A case is a batch `NAME.yaml`, `.json`, `.csv` or `.jsonl`. `NAME.expected` holds its findings, a line each:
`file:line:column severity RULE message`, and below it, indented, the other places that belong to it; a right one
without that file has none. `NAME.wire.jsonl` holds what a right
one sends to the account acme: key (all keys of a thread), path
and body of each request. `NAME.options.json` is what the command line says.
`WRITE_CASES=1` writes both anew, to be read before they are kept.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.app.inspect import show
from bulkmsg.batch import BatchOptions
from bulkmsg.diagnostic import RULES, Diagnostic
from bulkmsg.message import Mode
from bulkmsg.settings import Attachments
from bulkmsg.validation.survey import BatchFile, Survey, survey

HERE = Path(__file__).resolve().parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORMATS = (".yaml", ".json", ".csv", ".jsonl")
WRITE = bool(os.environ.get("WRITE_CASES"))


def cases(kind: str) -> list[str]:
    found = [path.name for path in (HERE / kind).iterdir() if path.suffix in FORMATS]
    return sorted(name for name in found if not name.endswith((".wire.jsonl", ".options.json")))


def batch_of(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> BatchFile:
    """The batch as a user names it who stands in its folder."""
    monkeypatch.chdir(HERE / kind)
    options = Path(name).with_suffix(".options.json")
    said = json.loads(options.read_text()) if options.exists() else {}
    if "mode" in said:
        said["mode"] = Mode(said["mode"])
    if "attachments" in said:
        said["attachments"] = Attachments(said["attachments"])
    return BatchFile(Path(name), name, BatchOptions(**said))


def lines_of(path: Path) -> list[str]:
    return path.read_text().removesuffix("\n").split("\n")


def told(found: Diagnostic) -> list[str]:
    """A finding as the expectations have it."""
    lines = [f"{found.file}:{found.line}:{found.column} {found.severity.value} {found.rule} {found.text}"]
    for other in found.related:
        key = f" (key {other.key})" if other.key is not None else ""
        lines.append(f"    see {other.file}:{other.line}:{other.column} {other.message}{key}")
    return lines


def findings(name: str, seen: Survey) -> list[str]:
    lines = [text for found in seen.findings.kept for text in told(found)]
    expected = Path(name).with_suffix(".expected")
    if WRITE and lines:
        expected.write_text("".join(f"{text}\n" for text in lines))
    wanted = lines_of(expected) if expected.exists() else []
    assert lines == wanted
    return lines


def requests(name: str, batch: BatchFile, seen: Survey) -> list[dict[str, Any]]:
    sent = [
        {"key": one.key, **({"keys": list(one.keys)} if len(one.keys) > 1 else {}), "path": one.path, "body": one.body}
        for one in show(batch, seen, "100000", "acme")
    ]
    wire = Path(name).with_suffix(".wire.jsonl")
    if WRITE:
        wire.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in sent))
    assert sent == [json.loads(text) for text in lines_of(wire)]
    return sent


@pytest.mark.parametrize("name", cases("invalid"))
def test_a_wrong_batch_gives_exactly_its_findings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = survey(batch_of("invalid", name, monkeypatch), now=NOW)
    assert findings(name, seen)
    assert not seen.valid


@pytest.mark.parametrize("name", cases("valid"))
def test_a_right_batch_gives_exactly_its_requests(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of("valid", name, monkeypatch)
    seen = survey(batch, now=NOW)
    findings(name, seen)
    assert seen.valid
    sent = requests(name, batch, seen)
    assert sum(len(one.get("keys", [one["key"]])) for one in sent) == seen.messages
    assert len(sent) == seen.posts


@pytest.mark.parametrize("name", cases("invalid"))
def test_every_finding_says_what_to_do_and_shows_no_address(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for found in survey(batch_of("invalid", name, monkeypatch), now=NOW).findings.kept:
        assert found.message and found.hint and found.rule in RULES
        assert "example.com" not in found.message
        assert "example.com" not in (found.key or "")
        assert len(found.message) < 400


def test_rows_and_lists_of_the_same_messages_give_the_same_requests() -> None:
    def sent(name: str) -> list[tuple[str, dict[str, Any]]]:
        told = [json.loads(text) for text in lines_of(HERE / "valid" / f"{name}.wire.jsonl")]
        for one in told:  # made from the batch's name, which differs
            if one["body"]["external_id"].startswith("bulkmsg-"):
                del one["body"]["external_id"]
        return [(one["key"], one["body"]) for one in told]

    assert sent("three-types") == sent("three-types-rows")


def test_generated_ids_are_distinct_short_and_show_no_address() -> None:
    made: list[str] = []
    for path in (HERE / "valid").glob("*.wire.jsonl"):
        for text in lines_of(path):
            body = json.loads(text)["body"]
            made += [one["external_id"] for one in (body, *body.get("messages", ()))]
    generated = [one for one in made if one.startswith("bulkmsg-")]
    assert len(generated) > 40
    assert len(set(generated)) == len(generated)
    assert all(len(one) <= 255 and "@" not in one for one in generated)


def test_there_is_a_case_for_every_family() -> None:
    assert len(cases("invalid")) >= 30
    assert len(cases("valid")) >= 12
    assert {path.stem for path in (HERE / "valid").glob("*.wire.jsonl")} == {
        f"{Path(name).stem}.wire" for name in cases("valid")
    }


def test_what_leaves_of_attachments_is_no_part_of_who_a_message_is() -> None:
    keys = {
        json.loads(text)["key"]
        for choice in ("skip", "link")
        for text in lines_of(HERE / "valid" / f"attachments-{choice}.wire.jsonl")
    }
    assert len(keys) == 1, "running again with another choice is no edit"
