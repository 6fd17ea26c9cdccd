"""Converts small exports in a folder of a test, and reads back what was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkmsg.app.convert import Conversion, Converted
from bulkmsg.converters.options import Options, agents
from bulkmsg.converters.registry import source
from bulkmsg.converters.tally import Tally
from bulkmsg.converters.words import Reading
from bulkmsg.validation.survey import BatchFile, survey

Json = Any
MAILBOX = "support@acme.example"


@dataclass(frozen=True)
class Result:
    """What a conversion wrote."""

    folder: Path
    tickets: list[Json]
    report: Json
    tally: Tally

    @property
    def messages(self) -> list[Json]:
        return [each for ticket in self.tickets for each in ticket["messages"]]

    @property
    def types(self) -> list[str]:
        return [each["type"] for each in self.messages]

    @property
    def skips(self) -> dict[str, int]:
        return {reason: each["count"] for reason, each in self.report["skipped"].items()}

    @property
    def findings(self) -> dict[str, int]:
        return {code: each["count"] for code, each in self.report["found"].items()}

    @property
    def notes(self) -> dict[str, int]:
        return {code: each["count"] for code, each in self.report["notes"].items()}

    def message(self, number: int = 0) -> Json:
        return self.messages[number]


def written(folder: Path, files: Mapping[str, Json | str | bytes]) -> list[Path]:
    """Files of an export: texts and bytes as they are, anything else as JSON."""
    paths = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        paths.append(path)
    return paths


def convert(
    name: str,
    files: Mapping[str, Json | str | bytes],
    folder: Path,
    *,
    reading: Reading | None = None,
    encoding: str = "utf-8",
    agent_map: Mapping[str, str] | None = None,
    output: str = "out",
    **options: Any,
) -> Result:
    """One conversion; `options` are fields of `Options`. Sums and validity are looked at every time."""
    options.setdefault("mailbox", MAILBOX)
    made = Options(name, agents=agents(agent_map or {}), **options)
    paths = written(folder / "in", files)
    conversion = Conversion(
        source(name), paths, folder / output, made, reading or Reading(), encoding, name=f"{name}-import"
    )
    with Converted(conversion) as converted:
        converted.publish()
    found = Result(
        folder / output,
        [json.loads(line) for line in (folder / output / "tickets.jsonl").read_text().splitlines()],
        json.loads((folder / output / "report.json").read_text()),
        converted.tally,
    )
    assert found.tally.agrees, "records = messages + skips + findings"
    report = found.report
    assert report["records"] == report["messages"] + report["skips"] + report["findings"]
    assert report["messages"] == len(found.messages)
    assert report["findings"] == len(report["list"])
    seen = survey(BatchFile(found.folder / "batch.yaml", "batch.yaml"))
    assert [each for each in seen.findings.kept if each.is_error] == []
    assert seen.messages == len(found.messages)
    return found
