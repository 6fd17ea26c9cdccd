"""The header of a batch: its nodes and the command line's word become a Header, or findings."""

from __future__ import annotations

from collections.abc import Callable

from bulkmsg import schema
from bulkmsg.batch import HEADER_FIELDS, BatchOptions, Header
from bulkmsg.diagnostic import Diagnostic, finding
from bulkmsg.errors import UsageError
from bulkmsg.message import Mode
from bulkmsg.readers.batch_file import Reading, format_of, stem_of
from bulkmsg.source import Json, Node, Place, Spot
from bulkmsg.validation.layers import TYPE_SECTIONS


def read_header(reading: Reading, options: BatchOptions, report: Callable[[Diagnostic], None]) -> Header | None:
    """The batch's header; None when it is wrong, which was reported.

    Raises:
        UsageError: the command line contradicts the header.
    """
    nodes: dict[str, Node] = {}
    wrong = False
    for item in reading.header():
        if isinstance(item, Diagnostic):
            report(item)
            wrong = wrong or item.is_error
        else:
            nodes[str(item.path[0])] = item
    fields = {name: node.value for name, node in nodes.items()}
    if not wrong and format_of(reading.path) == "yaml":
        for found in _violations(fields, nodes, reading.name):
            report(found)
            wrong = True
    return None if wrong else _header(reading, options, fields, {name: node.place for name, node in nodes.items()})


def _violations(fields: dict[str, Json], nodes: dict[str, Node], file: str) -> list[Diagnostic]:
    checker = schema.checker("batch")
    # `name` in send mode may come from the command line; entries are checked one by one elsewhere.
    whole = {"name": "-", **fields, "messages": []}
    if checker.is_valid(whole):
        return []
    found = []
    for item in checker.violations(whole):
        path = (*item.path, item.field) if item.field and item.keyword == "additionalProperties" else item.path
        head, rest = (str(path[0]), path[1:]) if path else ("", ())
        node = nodes.get(head)
        place: Place = node.place if node else Spot(file, 1)
        named = item.keyword == "additionalProperties"
        rule = "BM110" if len(path) < 2 else "BM201" if named else "BM203"
        prefix = (head,) if head else ()
        found.append(finding(rule, item.message, item.hint, place, rest, name=named, prefix=prefix))
    return found


def _header(reading: Reading, options: BatchOptions, fields: dict[str, Json], places: dict[str, Place]) -> Header:
    name = options.name or fields.get("name")
    return Header(
        file=reading.name,
        folder=reading.path.parent,
        name=str(name or stem_of(reading.path)),
        name_given=name is not None,
        account=_agreed("account", options.account, fields.get("account")),
        mode=Mode(_agreed("mode", options.mode, fields.get("mode")) or Mode.IMPORT),
        timezone=options.timezone or fields.get("timezone"),
        defaults=fields.get("defaults") or {},
        places=places,
    )


def _agreed(name: str, said: str | None, written: str | None) -> str | None:
    if said is not None and written is not None and str(said) != str(written):
        hint = f"leave --{name} out, or change `{name}:` in the header"
        raise UsageError(f"--{name} {said} contradicts `{name}: {written}` in the batch", hint)
    return said if said is not None else written


def known_fields() -> frozenset[str]:
    """The header's fields; the types' names are only known inside `defaults`."""
    return HEADER_FIELDS - TYPE_SECTIONS
