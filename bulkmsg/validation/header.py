"""The header of a batch: its nodes and the command line's word become a Header, or findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bulkmsg import schema
from bulkmsg.batch import BatchOptions, Header
from bulkmsg.diagnostic import Diagnostic, finding
from bulkmsg.errors import UsageError
from bulkmsg.message import Mode
from bulkmsg.readers.batch_file import Reading, format_of, stem_of
from bulkmsg.source import Json, Node, Place, Spot
from bulkmsg.validation.layers import merge
from bulkmsg.validation.told import hint_of, rule_of

# Without these nothing can be said about entries: what they mean would be a guess.
_ESSENTIAL = frozenset({"mode", "defaults", "accounts"})
_MOST = 100  # findings about a header


def read_header(reading: Reading, options: BatchOptions, report: Callable[[Diagnostic], None]) -> Header | None:
    """The batch's header; None when the entries cannot be understood without what is wrong in it, which was reported.

    A header with other findings comes without the fields they are about, so that the entries can be checked as well.

    Raises:
        UsageError: the command line contradicts the header, gives a name that cannot be one, or does not say which of
            several accounts is meant.
    """
    nodes: dict[str, Node] = {}
    unreadable = False
    for item in reading.header():
        if isinstance(item, Diagnostic):
            report(item)
            unreadable = unreadable or item.is_error
        else:
            nodes[str(item.path[0])] = item
    fields = {name: node.value for name, node in nodes.items()}
    wrong: set[str] = set()
    if not unreadable and format_of(reading.path) == "yaml":
        for name, found in _violations(fields, nodes, reading.name):
            report(found)
            wrong.add(name)
    if unreadable or wrong & _ESSENTIAL or ("version" in wrong and "version" in fields):
        return None
    usable = {name: value for name, value in fields.items() if name not in wrong}
    return _header(reading, options, usable, {name: node.place for name, node in nodes.items()})


def _violations(fields: dict[str, Json], nodes: dict[str, Node], file: str) -> Iterator[tuple[str, Diagnostic]]:
    """What is wrong with the header, each with the field it is about."""
    checker = schema.checker("batch")
    # `name` in send mode may come from the command line; entries are checked one by one elsewhere.
    whole = {"name": "-", **fields, "messages": []}
    if checker.is_valid(whole):
        return
    for item in checker.violations(whole, _MOST):
        named = item.keyword in ("additionalProperties", "propertyNames") and item.field is not None
        path = (*item.path, item.field) if named and item.field is not None else item.path
        head, rest = (str(path[0]), path[1:]) if path else (item.field or "", ())
        node = nodes.get(head)
        place: Place = node.place if node else Spot(file, 1)
        rule = "BM110" if len(path) < 2 else rule_of(item)
        hint = hint_of(item, rule)
        yield head, finding(rule, item.message, hint, place, rest, name=named, prefix=(head,) if path else ())


def _header(reading: Reading, options: BatchOptions, fields: dict[str, Json], places: dict[str, Place]) -> Header:
    name = _said_name(options.name) or fields.get("name")
    accounts: dict[str, Json] | None = fields.get("accounts")
    account = (
        _picked(options, list(accounts)) if accounts else _agreed("account", options.account, fields.get("account"))
    )
    overlay = ((accounts or {}).get(account or "") or {}).get("defaults") or {}
    return Header(
        file=reading.name,
        folder=reading.base,
        name=str(name or _name_of_file(reading)),
        name_given=name is not None,
        account=account,
        mode=Mode(_agreed("mode", options.mode, fields.get("mode")) or Mode.IMPORT),
        timezone=options.timezone or fields.get("timezone"),
        defaults=merge(fields.get("defaults") or {}, overlay),
        overlay=overlay,
        places=places,
    )


def _said_name(name: str | None) -> str | None:
    if name is not None and not (0 < len(name) <= 100 and name.isprintable()):
        hint = "give 1 to 100 printable characters, like --name spring-recall"
        raise UsageError("the name given with --name cannot be a batch's name", hint)
    return name


def _name_of_file(reading: Reading) -> str:
    """The file's stem, in characters that can be written down, whatever bytes the file's name has."""
    return stem_of(reading.path).encode("utf-8", "backslashreplace").decode()[:100]


def account_names(reading: Reading) -> list[str]:
    """The accounts that a batch brings defaults for, if it is for several; what is wrong is told elsewhere."""
    for item in reading.header():
        if not isinstance(item, Diagnostic) and item.path[0] == "accounts" and isinstance(item.value, dict):
            return [str(name) for name in item.value]
    return []


def _picked(options: BatchOptions, names: list[str]) -> str:
    """Which of its accounts a batch is for this time."""
    picked = options.account or options.picked or (names[0] if len(names) == 1 else None)
    if picked is None:
        hint = f"say which one with --account {names[0]}, or GORGIAS_ACCOUNT={names[0]}"
        raise UsageError(f"the batch is for several accounts: {', '.join(names)}", hint)
    if picked not in names:
        hint = f"give one of those, as in --account {names[0]}, or add `{picked}: {{}}` below `accounts:`"
        raise UsageError(f"the batch is for the accounts {', '.join(names)}, not for {picked}", hint)
    return picked


def _agreed(name: str, said: str | None, written: str | None) -> str | None:
    if said is not None and written is not None and str(said) != str(written):
        hint = f"leave --{name} out, or change `{name}:` in the header"
        raise UsageError(f"--{name} {said} contradicts `{name}: {written}` in the batch", hint)
    return said if said is not None else written
