"""Seeded batches to measure with: the same messages as CSV, YAML or JSON Lines, as large as wanted. Streams.

Nothing is random but by the seed, so that two runs read the same bytes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

Message = dict[str, Any]

SEED = 20210301
COLUMNS = (
    "type",
    "ticket_id",
    "external_id",
    "channel",
    "sender.email",
    "receiver.email",
    "source.from",
    "source.to",
    "subject",
    "body_text",
    "body_html",
    "sent_datetime",
    "opened_datetime",
    "meta.system",
    "meta.number",
)
_PARAGRAPHS = (
    "Thank you for your message, we looked into it.\nEverything is “fine” now 🙂",
    "My order has not arrived; the café says it was never delivered.",
    'He said: "call me back". Could you do that?\nThe number is in the file.',
)
_AGENT = "agent@acme.com"
_SHOP = "support@acme.com"


def messages(count: int, wrong_every: int = 0) -> Iterator[Message]:
    """Messages of all three types; every `wrong_every`-th has one mistake that a schema can see."""
    random = Random(SEED)
    for number in range(1, count + 1):
        message = _message(random, number)
        if wrong_every and number % wrong_every == 0:
            _spoil(message, number // wrong_every)
        yield message


def _message(random: Random, number: int) -> Message:
    kind = random.choices(("incoming", "outgoing", "internal-note"), (45, 40, 15))[0]
    customer = f"customer.{random.randrange(20_000)}@example.com"
    text = "\n\n".join(random.choices(_PARAGRAPHS, k=random.randint(1, 2)))
    message: Message = {
        "type": kind,
        "ticket_id": 1_000 + number // 7,
        "external_id": f"legacy-{number}",
        "channel": "internal-note" if kind == "internal-note" else "email",
        "sender": {"email": customer if kind == "incoming" else _AGENT},
        "subject": f"Order {random.randrange(10**6)}: where is it?",
        "body_text": text,
        "body_html": "<p>" + text.replace("\n", "<br>") + "</p>",
        "sent_datetime": _moment(random),
        "meta": {"system": "legacy", "number": str(number)},
    }
    if kind == "internal-note":
        return message
    sender, receiver = (customer, _SHOP) if kind == "incoming" else (_SHOP, customer)
    message["source"] = {"from": {"address": sender}, "to": [{"address": receiver}]}
    if kind == "outgoing":
        message["receiver"] = {"email": customer}
    else:
        message["opened_datetime"] = _moment(random)
    return message


def _moment(random: Random) -> str:
    day, hour, minute = random.randint(1, 28), random.randrange(24), random.randrange(60)
    return f"2021-{random.randint(1, 12):02}-{day:02}T{hour:02}:{minute:02}:{random.randrange(60):02}Z"


def _spoil(message: Message, turn: int) -> None:
    if turn % 4 == 0:
        message["ticket_id"] = "none"
    elif turn % 4 == 1:
        del message["sent_datetime"]
        message["type"] = "incoming"
    elif turn % 4 == 2:
        message["external_id"] = "x" * 300
    else:
        del message["channel"]


def write(path: Path, count: int, wrong_every: int = 0) -> None:
    """A batch of `count` messages, in the format that the file's name asks for."""
    writers = {".csv": _write_csv, ".yaml": _write_yaml, ".jsonl": _write_jsonl}
    writers[path.suffix](path, messages(count, wrong_every))


def _write_csv(path: Path, wanted: Iterator[Message]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([_cell(message, column) for column in COLUMNS] for message in wanted)


def _cell(message: Message, column: str) -> str:
    value: Any = message
    for name in column.split("."):
        value = value.get(name, "") if isinstance(value, dict) else ""
    if isinstance(value, dict):
        return str(value["address"])
    if isinstance(value, list):
        return ";".join(item["address"] for item in value)
    return str(value)


def _write_jsonl(path: Path, wanted: Iterator[Message]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(message, ensure_ascii=False) + "\n" for message in wanted)


def _write_yaml(path: Path, wanted: Iterator[Message]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("version: 1\nname: benchmark\nmode: import\nmessages:\n")
        for message in wanted:
            lines = [line for name, value in message.items() for line in _yaml_lines(name, value)]
            file.write("  - " + "\n    ".join(lines) + "\n")


def _yaml_lines(name: str, value: Any) -> list[str]:
    """A field as people write it: bodies as blocks, one line for the rest."""
    if isinstance(value, str) and "\n" in value:
        return [f"{name}: |-", *(f"  {line}" if line else "" for line in value.split("\n"))]
    return [f"{name}: {json.dumps(value, ensure_ascii=False)}"]
