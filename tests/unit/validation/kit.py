"""How these tests look at batches: texts in, findings and messages out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bulkmsg.batch import BatchOptions
from bulkmsg.message import Message
from bulkmsg.validation.survey import BatchFile, Survey, messages, survey

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = "type: incoming, channel: chat, sender: {email: jane@example.com}, sent_datetime: 2021-03-01T10:00:00Z"
CHAT = f"defaults: {{{PLAIN}}}\n"
SEND = "mode: send\nname: x\ndefaults: {type: outgoing, channel: chat, sender: {id: 3}}\n"


class Folder:
    """A folder with a batch and the files it names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def batch(
        self, text: str | bytes, file: str = "batch.yaml", secrets: tuple[str, ...] = (), **said: Any
    ) -> BatchFile:
        """A batch; a YAML one without its version gets it."""
        if file.endswith(".yaml") and isinstance(text, str) and "version" not in text:
            text = "version: 1\n" + text
        return BatchFile(self.write(file, text), file, BatchOptions(**said), secrets)

    def survey(self, text: str | bytes, file: str = "batch.yaml", **said: Any) -> Survey:
        return survey(self.batch(text, file, **said), now=NOW)

    def told(self, text: str | bytes, file: str = "batch.yaml", **said: Any) -> list[tuple[str, int, int]]:
        """Rule, line and column of each finding."""
        return [(found.rule, found.line, found.column) for found in self.survey(text, file, **said).findings.kept]

    def rules(self, text: str | bytes, file: str = "batch.yaml", **said: Any) -> list[str]:
        return [rule for rule, _, _ in self.told(text, file, **said)]

    def messages(
        self, text: str | bytes, file: str = "batch.yaml", account: str = "acme", **said: Any
    ) -> list[Message]:
        batch = self.batch(text, file, **said)
        seen = survey(batch, now=NOW)
        assert seen.valid, seen.findings.kept
        return list(messages(batch, seen, account, NOW))
