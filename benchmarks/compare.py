"""One mistake at a time in a good batch: what bulkmsg, check-jsonschema, yamllint and frictionless say of each.

Writes the measured part of docs/comparison.md. The other tools come from the folder of a virtual environment
(`--tools`), which `make compare` makes. Each is given what it can use: check-jsonschema our published schema in one
file, yamllint its relaxed rules, frictionless a table schema with types, allowed values, what is required and unique.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BULKMSG = (sys.executable, "-m", "bulkmsg")

YAML = """\
version: 1
mode: import
defaults:
  outgoing:
    channel: email
    source: {from: {address: support@acme.example}}
messages:
  - &first
    type: incoming
    ticket_id: 7
    channel: email
    sender: {email: jane@example.com}
    source: {from: {address: jane@example.com}, to: [{address: support@acme.example}]}
    subject: Where is my order?
    body_text: Hi, where is it?
    external_id: old-1
    sent_datetime: 2024-03-01T10:00:00Z
  - type: outgoing
    ticket_id: 7
    via: api
    sender: {email: anna@acme.example}
    source: {to: [{address: jane@example.com}]}
    body_text: On its way.
    external_id: old-2
    sent_datetime: 2024-03-01T10:05:00Z
  - <<: *first
    ticket_id: 8
    external_id: old-3
"""

CSV = """\
type,ticket_id,channel,sender.email,body_text,external_id,sent_datetime
incoming,7,chat,jane@example.com,"Hi,

where is it?",old-1,2024-03-01T10:00:00Z
outgoing,7,chat,anna@acme.example,On its way.,old-2,2024-03-01T10:05:00Z
incoming,8,chat,tom@example.com,Hello,old-3,2024-03-01T11:00:00Z
"""

TABLE = {
    "fields": [
        {"name": "type", "constraints": {"required": True, "enum": ["incoming", "outgoing", "internal-note"]}},
        {"name": "ticket_id", "type": "integer", "constraints": {"required": True, "minimum": 1}},
        {"name": "channel", "type": "string"},
        {"name": "sender.email", "type": "string", "format": "email", "constraints": {"required": True}},
        {"name": "body_text", "type": "string", "constraints": {"required": True}},
        {"name": "external_id", "type": "string", "constraints": {"unique": True}},
        {"name": "sent_datetime", "type": "datetime", "constraints": {"required": True}},
    ]
}


@dataclass(frozen=True)
class Mistake:
    """A text of the good batch that is replaced by a wrong one; where the wrong one begins is the true place."""

    title: str
    good: str
    wrong: str
    mark: str = ""  # the text at the true place, if not the beginning of `wrong`
    behind: bool = False  # the true place is right behind the mark


IN_YAML = (
    Mistake("a misspelt field", "    subject: Where", "    sbject: Where", "sbject"),
    Mistake("a value that is not allowed", "via: api", "via: emial", "emial"),
    Mistake("a required field is missing", "    sender: {email: anna@acme.example}\n", "", "type: outgoing"),
    Mistake("a message that would really be mailed", "    sent_datetime: 2024-03-01T10:05:00Z\n", "", "type: outgoing"),
    Mistake("a date that does not exist", "2024-03-01T10:05:00Z", "2024-02-30T10:05:00Z"),
    Mistake("a date without a time zone", "2024-03-01T10:05:00Z", "2024-03-01T10:05:00"),
    Mistake(
        "an address that is none",
        "to: [{address: jane@example.com}]}\n    body",
        "to: [{address: jane}]}\n    body",
        "jane}",
    ),
    Mistake("a key given twice", "    via: api\n", "    via: api\n    ticket_id: 8\n", "ticket_id: 8"),
    Mistake("a number that loses its zero", "external_id: old-2", "external_id: 0042", "0042"),
    Mistake(
        "a wrong value in the defaults",
        "from: {address: support@acme.example}}\nm",
        "from: {address: support}}\nm",
        "support}",
    ),
    Mistake(
        "a wrong value behind an alias", "from: {address: jane@example.com}", "from: {address: jane}", "<<: *first"
    ),
    Mistake("one external_id on two messages", "external_id: old-3", "external_id: old-2", "old-2\n"),
    Mistake("a ticket's messages out of order", "2024-03-01T10:05:00Z", "2024-02-01T10:05:00Z"),
    Mistake("a placeholder left in a text", "On its way.", "On its way, {{first_name}}.", "On its way"),
    Mistake("a missing quote", "subject: Where is my order?", 'subject: "Where is my order?', '"Where'),
)

IN_CSV = (
    Mistake("a cell that is no number", "outgoing,7,", "outgoing,x7,", "x7"),
    Mistake("a type that is none", "outgoing,7,", "outgiong,7,", "outgiong"),
    Mistake("a date in the local form", "2024-03-01T10:05:00Z", "01/03/2024 10:05"),
    Mistake("an address that is none", "anna@acme.example", "anna at acme", "anna at"),
    Mistake("a message that would really be mailed", "old-2,2024-03-01T10:05:00Z", "old-2,", behind=True),
    Mistake("a row with a cell too few", "On its way.,old-2", "old-2", "outgoing,7"),
    Mistake("a quote that is never closed", "On its way.", '"On its way.', '"On its'),
    Mistake("an unknown column", "channel,sender", "chanel,sender", "chanel"),
    Mistake("one external_id on two messages", "old-3", "old-2", "old-2,2024-03-01T11"),
    Mistake("a misspelt channel", "7,chat,anna", "7,chatt,anna", "chatt"),
)

RELAXED = "{extends: relaxed, rules: {line-length: disable}}"

Found = tuple[str, int, int]  # what was said, line and column, 0 where it does not say


@dataclass(frozen=True)
class Tool:
    """A validator: its command for a file, and how its answer is read."""

    name: str
    command: Callable[[Path], list[str]]
    read: Callable[[str], Iterator[Found]]


def bulkmsg_findings(answer: str) -> Iterator[Found]:
    for each in json.loads(answer)["diagnostics"]:
        yield each["message"], each["line"] or 0, each["column"] or 0


def check_jsonschema_findings(answer: str) -> Iterator[Found]:
    """Its text: what the parser of YAML complains of has lines, what the schema complains of a path."""
    for line in answer.splitlines():
        if match := re.search(r'in "<byte string>", line (\d+), column (\d+)', line):
            yield line.strip(), int(match[1]), int(match[2])
        elif line.startswith("  batch.") and "::" in line:
            yield line.strip(), 0, 0


def yamllint_findings(answer: str) -> Iterator[Found]:
    for line in answer.splitlines():
        match = re.match(r".*?:(\d+):(\d+): (.*)", line)
        if match:
            yield match[3], int(match[1]), int(match[2])


def frictionless_findings(answer: str) -> Iterator[Found]:
    told = json.loads(answer)
    for task in told["tasks"]:
        for each in task["errors"]:
            yield each["message"], -each.get("rowNumber", 0), 0  # it counts rows, not lines


def tools(folder: Path | None, schema: Path, table: Path) -> list[Tool]:
    found = [Tool("bulkmsg", lambda file: [*BULKMSG, "validate", "--format", "json", file.name], bulkmsg_findings)]
    if folder is not None:
        found += [
            Tool(
                "check-jsonschema",
                lambda file: [f"{folder}/check-jsonschema", "--schemafile", schema.name, file.name],
                check_jsonschema_findings,
            ),
            Tool(
                "yamllint",
                lambda file: [f"{folder}/yamllint", "-f", "parsable", "-d", RELAXED, file.name],
                yamllint_findings,
            ),
            Tool(
                "frictionless",
                lambda file: [f"{folder}/frictionless", "validate", file.name, "--schema", table.name, "--json"],
                frictionless_findings,
            ),
        ]
    return found


FITS = {"yaml": ("bulkmsg", "check-jsonschema", "yamllint"), "csv": ("bulkmsg", "frictionless")}


def planted(text: str, mistake: Mistake) -> tuple[str, int, int]:
    """The wrong text, and the line and column of the mistake."""
    assert text.count(mistake.good) == 1, mistake.title
    wrong = text.replace(mistake.good, mistake.wrong)
    at = text.index(mistake.good)
    mark = mistake.mark or mistake.wrong
    start = wrong.index(mark, wrong.rfind("\n", 0, at) + 1 if mistake.wrong else 0)
    before = wrong[: start + len(mark) if mistake.behind else start]
    return wrong, before.count("\n") + 1, len(before) - before.rfind("\n")


def told(tool: Tool, file: Path) -> list[Found]:
    done = subprocess.run(tool.command(file), capture_output=True, text=True, cwd=file.parent, timeout=120, check=False)
    return list(tool.read(done.stdout)) if done.stdout.strip() else []


def verdict(found: list[Found], line: int, column: int, row: int | None) -> str:
    """What a table says of an answer."""
    if not found:
        return "not found"
    if any(each[1:] == (line, column) for each in found):
        return "line and column"
    if any(each[1] == line for each in found):
        return "line"
    if any(each[1] < 0 for each in found):
        return "row" if row is not None and any(each[1] == -row for each in found) else "another row"
    return "without a place" if all(each[1] == 0 for each in found) else "another line"


def row_of(text: str, line: int) -> int | None:
    """The number of the table's row on a physical line, its header counted, as frictionless counts."""
    import csv

    reader = csv.reader(text.splitlines(keepends=True))
    for number, _ in enumerate(reader, 1):
        if reader.line_num >= line:
            return number
    return None


def table(kind: str, good: str, mistakes: tuple[Mistake, ...], asked: list[Tool], folder: Path) -> Iterator[str]:
    fitting = [tool for tool in asked if tool.name in FITS[kind]]
    file = folder / f"batch.{kind}"
    file.write_text(good)
    for tool in fitting:
        assert not told(tool, file), f"{tool.name} finds something in the good file: {told(tool, file)}"
    yield f"| mistake | {' | '.join(tool.name for tool in fitting)} |"
    yield f"|---|{'---|' * len(fitting)}"
    for mistake in mistakes:
        wrong, line, column = planted(good, mistake)
        file.write_text(wrong)
        row = row_of(wrong, line) if kind == "csv" else None
        yield f"| {mistake.title} | {' | '.join(verdict(told(tool, file), line, column, row) for tool in fitting)} |"


# -- the same wrong file, and what each says --------------------------------------------------------------------------


SEVERAL = ("a misspelt field", "a value that is not allowed", "a date that does not exist")
SEVERAL_IN_CSV = ("a cell that is no number", "a date in the local form")


def with_mistakes(text: str, mistakes: tuple[Mistake, ...], titles: tuple[str, ...]) -> str:
    for mistake in mistakes:
        if mistake.title in titles:
            text = text.replace(mistake.good, mistake.wrong)
    return text


def answers(folder: Path, tools_folder: Path, schema: Path, table_schema: Path) -> Iterator[str]:
    """What people and build servers read of the same wrong files."""
    (folder / "wrong.yaml").write_text(with_mistakes(YAML, IN_YAML, SEVERAL))
    (folder / "twice.yaml").write_text(with_mistakes(YAML, IN_YAML, ("a key given twice",)))
    (folder / "wrong.csv").write_text(with_mistakes(CSV, IN_CSV, SEVERAL_IN_CSV))
    commands = (
        "bulkmsg validate wrong.yaml",
        f"check-jsonschema --schemafile {schema.name} wrong.yaml",
        "bulkmsg validate --format github twice.yaml",
        f"yamllint -f github -d '{RELAXED}' twice.yaml",
        f"check-jsonschema --schemafile {schema.name} twice.yaml",
        "bulkmsg validate wrong.csv",
        f"frictionless validate wrong.csv --schema {table_schema.name}",
    )
    for line in commands:
        words = shlex.split(line)
        command = [*BULKMSG, *words[1:]] if words[0] == "bulkmsg" else [str(tools_folder / words[0]), *words[1:]]
        shown = "\n".join(_cut(each) for each in output(command, folder).strip("\n").split("\n"))
        yield f"`{line}`\n\n```text\n{shown}\n```\n"


def output(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "COLUMNS": "100"}
    environment.pop("GITHUB_STEP_SUMMARY", None)
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, timeout=120, check=False, env=environment
    )
    return done.stdout


def _cut(line: str) -> str:
    return line if len(line) <= 160 else line[:159] + "…"


# -- time and memory ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """One whole process: seconds of the processor, and its peak memory in megabytes."""

    seconds: float
    megabytes: float


def cost(command: list[str], folder: Path) -> Cost:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 2**20)


def costs(folder: Path, asked: list[Tool], messages: int) -> Iterator[str]:
    """CPU time and memory for batches without a mistake, ours as the unit."""
    yield f"| {messages:,} messages | tool | CPU time, bulkmsg = 1 | peak memory |"
    yield "|---|---|---|---|"
    for kind in ("yaml", "csv"):
        file = folder / f"large.{kind}"
        file.write_text(_large(kind, messages))
        fitting = {tool.name: tool for tool in asked if tool.name in FITS[kind]}
        spent = {name: cost(tool.command(file), folder) for name, tool in fitting.items()}
        for name, each in spent.items():
            ratio = each.seconds / spent["bulkmsg"].seconds
            yield f"| {kind.upper()} | {name} | {ratio:.1f} | {each.megabytes:.0f} MB |"


def _large(kind: str, messages: int) -> str:
    if kind == "csv":
        head, row = CSV.split("\n", 1)[0], "incoming,{0},chat,tom@example.com,Hello,old-{0},2024-03-01T11:00:00Z\n"
        return head + "\n" + "".join(row.format(number) for number in range(1, messages + 1))
    head, _, entries = YAML.partition("messages:\n")
    entry = entries.split("  - type: outgoing")[0].replace("  - &first\n    type", "  - type")
    return (
        head
        + "messages:\n"
        + "".join(
            entry.replace("ticket_id: 7", f"ticket_id: {number}").replace("old-1", f"old-{number}")
            for number in range(1, messages + 1)
        )
    )


BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def sections(folder: Path, others: Path | None, messages: int) -> Iterator[str]:
    """The measured parts of the page; without the other tools only the columns of ours."""
    schema, table_schema = folder / "batch.json", folder / "table.json"
    bundle = subprocess.run([*BULKMSG, "schema", "batch", "--bundle"], capture_output=True, text=True, check=True)
    schema.write_text(bundle.stdout)
    table_schema.write_text(json.dumps(TABLE))
    asked = tools(others, schema, table_schema)
    yield "### One mistake in a YAML batch\n\n" + "\n".join(table("yaml", YAML, IN_YAML, asked, folder)) + "\n"
    yield "### One mistake in a CSV batch\n\n" + "\n".join(table("csv", CSV, IN_CSV, asked, folder)) + "\n"
    if others is not None:
        yield "### Time and memory\n\n" + "\n".join(costs(folder, asked, messages)) + "\n"
        yield "### The same wrong files\n\n" + "\n".join(answers(folder, others, schema, table_schema))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, help="the folder of the other tools' commands")
    parser.add_argument("--messages", type=int, default=2_000, help="for the costs (default %(default)s)")
    parser.add_argument("--page", type=Path, help="the page whose measured part is written anew")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bulkmsg-compare-") as name:
        found = "\n".join(sections(Path(name), args.tools.resolve() if args.tools else None, args.messages))
    if args.page is None:
        print(found)
        return
    before, _, rest = args.page.read_text().partition(BEGIN)
    args.page.write_text(before + BEGIN + "\n" + found + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
