"""What became of every record of a conversion: report.md for people, report.json for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bulkmsg import __version__
from bulkmsg.converters.compose import Agent
from bulkmsg.converters.tally import Reason, Tally
from bulkmsg.converters.words import Finding
from bulkmsg.message import Kind, log_name
from bulkmsg.reports.words import count, visible
from bulkmsg.source import Json

_SHOWN = 50  # findings in report.md; report.json has all
FoundAt = tuple[Finding, str, int]

_HOW = {
    "own": "under the agent's own address",
    "default": "by the default agent",
    "missing": "by nobody: these records are findings",
}


def for_programs(source: str, tally: Tally, found: Iterable[FoundAt], *, people: bool) -> Iterator[str]:
    """The JSON, piece by piece. `people`: whether agents may be named."""
    head = {
        "tool": "bulkmsg",
        "version": __version__,
        "source": source,
        "records": tally.records,
        "messages": tally.messages,
        "skips": tally.skipped,
        "findings": tally.found,
        "by_type": {kind.value: tally.by_kind[kind] for kind in Kind},
        "tickets": {
            "read": tally.tickets_read,
            "repeated": tally.tickets_repeated,
            "written": tally.tickets_written,
            "without_messages": tally.tickets_empty,
        },
        "people": tally.people,
        "skipped": _reasons(tally.skips),
        "found": _reasons(tally.findings),
        "notes": _reasons(tally.notes),
        "flags": dict(tally.flags),
        "agents": [_agent(agent, number, people) for agent, number in tally.unmapped],
    }
    yield json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}")
    yield ',\n  "list": ['
    comma = ""
    for each, file, line in found:
        row = {"code": each.code, "message": each.message, "hint": each.hint, "file": file, "line": line}
        yield f"{comma}\n    {json.dumps(row, ensure_ascii=False)}"
        comma = ","
    yield "\n  ]\n}\n"


def _reasons(reasons: Mapping[str, Reason]) -> dict[str, Json]:
    return {
        name: {
            "count": reason.count,
            **({"message": reason.message} if reason.message else {}),
            **({"hint": reason.hint} if reason.hint else {}),
            "first": [{"file": file, "line": line} for file, line in reason.places],
        }
        for name, reason in _by_count(reasons)
    }


def _agent(agent: Agent, number: int, people: bool) -> dict[str, Json]:
    person = agent.person
    named = {"id": person.id, "name": person.name, "email": person.email} if people else {"id": log_name(person.id)}
    return {**named, "messages": number, "written": agent.how}


def for_people(source: str, tally: Tally, found: Iterable[FoundAt], *, people: bool) -> Iterator[str]:
    """The Markdown, piece by piece."""
    yield f"# Conversion from {source}\n\n"
    yield from _table(
        ("what", "records"),
        [
            ("messages", tally.messages),
            *((f"- {kind.value}", tally.by_kind[kind]) for kind in Kind if tally.by_kind[kind]),
            ("skips", tally.skipped),
            ("findings", tally.found),
            ("**records read**", tally.records),
        ],
    )
    yield (
        f"\nWritten: {count(tally.tickets_written, 'ticket')}. Read beside the records: "
        f"{count(tally.tickets_read, 'ticket')} and {count(tally.people, 'person', 'people')}.\n"
    )
    yield from _section("Skips", "Left out on purpose.", tally.skips)
    yield from _section("Findings", "What should have become a message and could not.", tally.findings)
    yield from _section("Notes", "Worth a look; nothing is missing because of them.", tally.notes)
    if tally.flags:
        yield "\n## Flags\n\nMarks that stand in `meta.flags` of messages.\n\n"
        yield from _table(("flag", "messages"), sorted(tally.flags.items()))
    yield from _agents(tally, people)
    yield from _list(found, tally.found)


def _section(title: str, about: str, reasons: Mapping[str, Reason]) -> Iterator[str]:
    if not reasons:
        return
    yield f"\n## {title}\n\n{about}\n\n| count | why | first |\n|--:|---|---|\n"
    for name, reason in _by_count(reasons):
        places = ", ".join(f"{file}:{line}" if line else file for file, line in reason.places[:2])
        why = f"{reason.message}; {reason.hint}" if reason.hint else reason.message or name
        yield f"| {reason.count:,} | {_cell(why)} | {_cell(places)} |\n"


def _agents(tally: Tally, people: bool) -> Iterator[str]:
    if not tally.unmapped:
        return
    yield "\n## Agents who are not mapped\n\n"
    yield "`--agent-map agent-map.csv` maps them, once the column `new` is filled in.\n\n"
    yield "| agent | messages | written |\n|---|--:|---|\n"
    for agent, number in tally.unmapped:
        person = agent.person
        name = f"{person.name} {person.email} ({person.id})".strip() if people else log_name(person.id)
        yield f"| {_cell(name)} | {number:,} | {_HOW[agent.how]} |\n"


def _list(found: Iterable[FoundAt], total: int) -> Iterator[str]:
    if not total:
        return
    yield "\n## Every finding\n\n"
    for number, (each, file, line) in enumerate(found):
        if number == _SHOWN:
            yield f"\nand {total - _SHOWN:,} more: `report.json` lists all.\n"
            return
        yield f"- `{_cell(file)}:{line}` {_cell(each.message)}\n"


def _table(head: Sequence[str], rows: Iterable[tuple[str, int]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |\n|---|--:|\n"
    yield from (f"| {_cell(name)} | {number:,} |\n" for name, number in rows)


def _by_count(reasons: Mapping[str, Reason]) -> list[tuple[str, Reason]]:
    return sorted(reasons.items(), key=lambda each: (-each[1].count, each[0]))


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|")
