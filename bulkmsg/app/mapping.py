"""Reads and checks the mapping of `convert generic`."""

from __future__ import annotations

from pathlib import Path

from bulkmsg import schema
from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.errors import InvalidBatch
from bulkmsg.readers import yaml_file
from bulkmsg.readers.files import open_input
from bulkmsg.source import Json, path_text


def read_mapping(name: str) -> dict[str, Json]:
    """The mapping in a YAML or JSON file.

    Raises:
        InvalidBatch: the file cannot be read, or is no mapping; carries what is wrong and where.
    """
    found: dict[str, Json] = {}
    wrong: list[Diagnostic] = []
    lines: dict[str | int, int] = {}
    file = open_input(Path(name), name, hashed=False)
    if isinstance(file, Diagnostic):
        raise _invalid(name, [file])
    with file:
        for item in yaml_file.nodes(file, streams=frozenset()):
            if isinstance(item, Diagnostic):
                wrong.append(item)
            elif item.path:
                found[str(item.path[0])] = item.value
                lines[item.path[0]] = item.place.line
    for each in schema.checker("mapping").violations(found) if not wrong else ():
        line = lines.get(each.path[0], 1) if each.path else 1
        where = f"{path_text(each.path)}: " if each.path else ""
        wrong.append(file_finding("BM110", f"{where}{each.message}", each.hint, name, line, 1))
    if wrong:
        raise _invalid(name, wrong)
    return found


def _invalid(name: str, wrong: list[Diagnostic]) -> InvalidBatch:
    return InvalidBatch(f"{name} is no mapping", "`bulkmsg schema mapping` prints what a mapping may hold", wrong)
