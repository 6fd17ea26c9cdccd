"""What the documentation says is tried: its commands are run, its batches checked, its tables held against the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from bulkmsg import rule_pages
from bulkmsg.cli.root import COMMANDS, root
from bulkmsg.diagnostic import RULES, Diagnostic
from bulkmsg.errors import ExitCode
from bulkmsg.journal import records
from bulkmsg.outcome import MOVES, State
from bulkmsg.rule_pages import Example
from bulkmsg.sandbox.control import DOORS
from bulkmsg.sandbox.faults import KINDS
from bulkmsg.validation.findings import Findings
from bulkmsg.validation.survey import BatchFile, for_each_account, survey
from tests.acceptance.servers import environment

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [*ROOT.glob("*.md"), *DOCS.glob("*.md")]}

# A block is marked by a comment before it: <!-- runs -->, <!-- runs: jq -->, <!-- batch: NAME -->, <!-- file: NAME -->
# <!-- wrong --> or <!-- right -->. Blocks of a list item are indented as it is.
_BLOCK = re.compile(
    r"^(?P<indent> *)<!-- (?P<mark>runs|batch|file|wrong|right)(?:: (?P<name>\S+))? -->\n"
    r"(?P=indent)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A marked block; `name` is a file's name, or the program that a script needs."""

    mark: str
    name: str | None
    language: str
    text: str


def blocks(text: str) -> Iterator[Block]:
    for match in _BLOCK.finditer(text):
        yield Block(match["mark"], match["name"], match["language"], textwrap.dedent(match["text"]))


def rows_of(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose header row begins with that word."""
    table = re.search(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table, f"no table begins with {first}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[1].splitlines()]


def script_of(page: Path) -> str:
    """The page's files and commands in order; what they leave running is ended with them."""
    parts = ["trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for block in blocks(page.read_text()):
        if block.mark in ("file", "batch"):
            parts.append(f"cat > {block.name} <<'THE-END'\n{block.text}THE-END\n")
        elif block.mark == "runs" and (block.name is None or shutil.which(block.name)):
            parts.append(block.text)
    return "\n".join(parts)


WITH_COMMANDS = sorted(name for name, path in PAGES.items() if any(b.mark == "runs" for b in blocks(path.read_text())))
WITH_BATCHES = sorted(name for name, path in PAGES.items() if any(b.mark == "batch" for b in blocks(path.read_text())))


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_the_commands_of_a_page_work(name: str, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {key: value for key, value in environment().items() if not key.startswith("GORGIAS_")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script_of(PAGES[name])],
        cwd=tmp_path,
        env={**env, "PATH": path, "GORGIAS_BASE_URL": "http://127.0.0.1:1"},  # nothing listens there
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", WITH_BATCHES)
def test_the_batches_of_a_page_are_valid(name: str, tmp_path: Path) -> None:
    found = list(blocks(PAGES[name].read_text()))
    for block in found:
        if block.name is not None and block.mark in ("file", "batch"):
            (tmp_path / block.name).write_text(block.text)
    for block in found:
        if block.mark == "batch":
            assert block.name is not None
            seen = for_each_account(BatchFile(tmp_path / block.name, block.name), Findings())
            assert seen.valid, (block.name, seen.findings.kept)


def test_the_front_page_and_the_manual_have_something_to_try() -> None:
    assert {"README.md", "docs/commands.md", "docs/sandbox.md", "docs/progress-log.md"} <= set(WITH_COMMANDS)
    assert {"README.md", "docs/batch.md"} <= set(WITH_BATCHES)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_no_mark_is_overlooked(name: str) -> None:
    text = PAGES[name].read_text()
    marks = re.findall(r"^ *<!-- (?:runs|batch|file|wrong|right)\b", text, re.MULTILINE)
    assert len(list(blocks(text))) == len(marks)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_lead_somewhere(name: str) -> None:
    for link in _LINK.findall(PAGES[name].read_text()):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (PAGES[name].parent / target).resolve() if target else PAGES[name]
        assert path.exists(), link
        if anchor:
            assert anchor in {_anchor(heading) for heading in _HEADING.findall(path.read_text())}, link


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_of_the_manual_is_named_on_the_front_page() -> None:
    front = PAGES["README.md"].read_text()
    assert [name for name in PAGES if name.startswith("docs/") and f"({name})" not in front] == []


# -- tables --------------------------------------------------------------------------------------------------------


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = rows_of((DOCS / "exit-codes.md").read_text(), "code")
    assert [(int(code), name) for code, name, *_ in rows] == [(int(code), code.name) for code in ExitCode]


def test_the_front_page_names_every_exit_code() -> None:
    rows = rows_of(PAGES["README.md"].read_text(), "code")
    codes = [int(code) for cells in rows for code in cells[0].split(", ")]
    assert codes == [int(code) for code in ExitCode]


def test_the_moves_are_those_of_the_code() -> None:
    rows = rows_of((DOCS / "progress-log.md").read_text(), "from")
    told = {State(before.strip("`")): {State(each.strip("`")) for each in after.split(", ")} for before, after in rows}
    assert told == {state: set(after) for state, after in MOVES.items()}


def test_the_kinds_of_record_are_those_of_the_schema() -> None:
    rows = rows_of((DOCS / "progress-log.md").read_text(), "record")
    schema = (ROOT / "schemas" / "progress-log.schema.json").read_text()
    assert records.FORMAT == 1
    assert {cells[0].strip("`") for cells in rows} == set(re.findall(r'"record": \{"const": "([a-z]+)"\}', schema))


def _params(command: click.Command) -> list[click.Parameter]:
    """Those of a command and of the commands in it."""
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return [param for each in (command, *inner) for param in each.params]


def test_every_flag_of_every_command_is_described() -> None:
    page = (DOCS / "commands.md").read_text()
    shared = page.partition("## Flags of all that read a batch")[2].partition("\n## ")[0]
    context = click.Context(root)
    for name in COMMANDS:
        own = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert own, f"{name} has no section"
        command = root.get_command(context, name)
        assert command is not None
        for param in _params(command):
            flags = [flag for flag in param.opts if isinstance(param, click.Option)]
            missing = [flag for flag in flags if not re.search(rf"`{flag}\b", own + shared)]
            assert missing == [], name


def test_flags_on_the_page_exist() -> None:
    context = click.Context(root)
    commands = [root.get_command(context, name) for name in COMMANDS]
    known = {flag for command in commands if command for param in _params(command) for flag in param.opts}
    known |= {flag for command in commands if command for param in _params(command) for flag in param.secondary_opts}
    said = set(re.findall(r"`(--[a-z][a-z-]*)", "".join(path.read_text() for path in PAGES.values())))
    assert said - known - {"--help", "--version"} == set()


def test_every_fault_and_every_door_of_the_sandbox_is_described() -> None:
    page = (DOCS / "sandbox.md").read_text()
    assert [name for name in KINDS if f"`{name}`" not in page] == []
    assert [
        f"{method} {path}" for path, doors in DOORS.items() for method in doors if f"{method} {path}" not in page
    ] == []


# -- the rules -----------------------------------------------------------------------------------------------------

# What no block of a page can show: a file that is missing, bytes that are no text, a thousand errors, a megabyte, and
# all that only an account can say.
WITHOUT_EXAMPLE = {"BM101", "BM102", "BM207", "BM411", "BM423", "BM425"}
WITHOUT_EXAMPLE |= {rule for rule in RULES if rule.startswith("BM8")}

PARSED = rule_pages.pages()
_ENDINGS = {"yaml": "yaml", "csv": "csv", "jsonl": "jsonl"}
WRONG = [(f"{rule}-{at}", rule, each) for rule, page in PARSED.items() for at, each in enumerate(page.wrong)]
RIGHT = [(f"{rule}-{at}", rule, each) for rule, page in PARSED.items() for at, each in enumerate(page.right)]


def test_every_rule_has_a_page_in_order() -> None:
    assert list(PARSED) == list(RULES)
    assert len(PARSED) == len(list(rule_pages.parse(rule_pages.text()))), "a rule has two sections"


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_page_has_all_its_parts(rule: str) -> None:
    page = PARSED[rule]
    assert (page.severity, page.title) == (RULES[rule].severity.value, RULES[rule].title)
    assert all((page.group, page.what, page.why, page.way_out)), "**What.**, **Why.** and **Way out.** are needed"
    if rule in WITHOUT_EXAMPLE:
        assert page.no_example and not page.wrong and not page.right
    else:
        assert page.wrong and page.right and not page.no_example, "a wrong and a right example are needed"


def test_nothing_of_the_rules_page_is_lost_on_the_way_to_explain() -> None:
    text = rule_pages.text()
    told = [part for page in PARSED.values() for part in (page.what, page.why, page.way_out, page.no_example) if part]
    assert text.count("\n**") == len(told)
    assert text.count("\n<!-- ") == len(WRONG) + len(RIGHT)
    for page in PARSED.values():
        section = text.partition(f"### {page.rule}\n")[2].partition("\n##")[0]
        prose = re.sub(r"^```.*?^```$", "", section, flags=re.MULTILINE | re.DOTALL)
        paragraphs = [each for each in prose.strip().split("\n\n") if not each.startswith("<!-- ")]
        assert len(paragraphs) == sum(map(bool, (page.title, page.what, page.why, page.way_out, page.no_example))) + (
            2 if page.wrong else 0
        ), f"{page.rule}: only the named parts, and the words Wrong: and Right:"


@pytest.mark.parametrize(("rule", "example"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_a_wrong_example_breaks_its_rule(rule: str, example: Example, tmp_path: Path) -> None:
    found = list(_findings(example, tmp_path))
    assert rule in {each.rule for each in found}, found
    assert {each.rule for each in found if each.is_error} <= {rule}, found


@pytest.mark.parametrize(("rule", "example"), [each[1:] for each in RIGHT], ids=[each[0] for each in RIGHT])
def test_a_right_example_has_no_finding_at_all(rule: str, example: Example, tmp_path: Path) -> None:
    assert list(_findings(example, tmp_path)) == []


def _findings(example: Example, folder: Path) -> Iterator[Diagnostic]:
    (folder / "customers.csv").write_text(
        "email,first_name,order_no\njane@example.com,Jane,1042\nkim@example.com,,1043\n"
    )
    for name in ("12", "12.pdf"):
        (folder / "invoices").mkdir(exist_ok=True)
        (folder / "invoices" / name).write_text("an invoice")
    path = folder / f"example.{_ENDINGS[example.language]}"
    text = example.text
    if example.language == "yaml" and text.startswith("- "):
        text = f"version: 1\nmessages:\n{text}"
    path.write_text(text)
    yield from survey(BatchFile(path, path.name), findings=Findings()).findings.kept
