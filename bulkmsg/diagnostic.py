"""Findings about a batch: values with a rule, a place and a way out. Nothing here decides anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bulkmsg.source import Path, Place, path_text


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Rule:
    """A check that can be named: its id is stable, its severity the default one."""

    id: str
    severity: Severity
    title: str


def _rules(*rows: tuple[str, str, str]) -> dict[str, Rule]:
    return {row[0]: Rule(row[0], Severity(row[1]), row[2]) for row in rows}


_LONGEST_NAME = 60  # characters of a column's name that are shown

# 1xx reading, 2xx the schemas, 3xx modes and types, 4xx values, 5xx identity, 6xx templates, 7xx tickets,
# 8xx the account, which only the preflight sees.
RULES = _rules(
    ("BM101", "error", "the file cannot be read"),
    ("BM102", "error", "the file is not UTF-8 text"),
    ("BM103", "error", "the YAML is not well-formed"),
    ("BM104", "error", "a key is given twice"),
    ("BM105", "error", "a YAML tag is not allowed"),
    ("BM106", "error", "a number is written in a form that loses information"),
    ("BM107", "error", "the file is nested too deeply or expands too far"),
    ("BM108", "error", "the file holds several YAML documents"),
    ("BM109", "error", "the file is not a batch"),
    ("BM110", "error", "a header field is wrong"),
    ("BM111", "error", "the CSV header row is wrong"),
    ("BM112", "error", "a CSV row does not fit its header"),
    ("BM113", "error", "a cell does not hold what its column needs"),
    ("BM114", "error", "a column is unknown"),
    ("BM115", "error", "a line is not JSON"),
    ("BM116", "error", "a `from:` block is wrong"),
    ("BM117", "error", "a quoted cell is never closed"),
    ("BM118", "error", "the delimiter is another one"),
    ("BM119", "note", "blank rows were skipped"),
    ("BM120", "error", "the header stands below the entries"),
    ("BM201", "error", "a field is unknown"),
    ("BM202", "error", "a field is missing"),
    ("BM203", "error", "a value has the wrong type"),
    ("BM204", "error", "a value is not one of those allowed"),
    ("BM205", "error", "a value is too long, too short, too large or too small"),
    ("BM206", "error", "a value has the wrong form"),
    ("BM207", "error", "fields do not fit together"),
    ("BM208", "error", "the entry's type is missing or unknown"),
    ("BM301", "error", "in import mode a message must say when it was sent"),
    ("BM302", "error", "in send mode an outgoing message must not say when it was sent"),
    ("BM304", "error", "a field contradicts the type"),
    ("BM305", "note", "a default is left out where the type forbids it"),
    ("BM401", "error", "a date is wrong"),
    ("BM402", "error", "a message claims to have been sent in the future"),
    ("BM403", "error", "a date has no time zone"),
    ("BM404", "warning", "a time was doubled by a clock change"),
    ("BM405", "error", "an address is wrong"),
    ("BM406", "error", "a channel is misspelt"),
    ("BM407", "warning", "a channel is unknown"),
    ("BM408", "error", "a placeholder was left in a text"),
    ("BM409", "error", "a secret stands in the batch"),
    ("BM410", "error", "a control character stands in a value"),
    ("BM411", "error", "a body is too large"),
    ("BM412", "warning", "a person's record would be overwritten"),
    ("BM413", "warning", "a person writes both as a customer and as an agent"),
    ("BM414", "warning", "a sender is one of the recipients"),
    ("BM420", "error", "an attached file cannot be used"),
    ("BM421", "error", "an attached file lies outside the batch's folder"),
    ("BM422", "error", "an attached file has the wrong size"),
    ("BM423", "warning", "the files of a message are large"),
    ("BM424", "warning", "the type of an attached file is not known"),
    ("BM425", "error", "attachments cannot leave as the command says"),
    ("BM501", "error", "a key is used twice"),
    ("BM502", "error", "an external_id is used twice"),
    ("BM503", "warning", "entries are identical"),
    ("BM504", "error", "a person would get two messages"),
    ("BM601", "error", "a template uses a column that is empty or unknown"),
    ("BM602", "error", "a template is wrong"),
    ("BM603", "warning", "a template gives every row the same default"),
    ("BM701", "error", "the ticket reference is wrong"),
    ("BM702", "error", "a new ticket stands in two places"),
    ("BM703", "warning", "a ticket's messages are not in the order of their times"),
    ("BM704", "error", "a ticket is both new and existing"),
    ("BM705", "error", "rows of one ticket contradict each other"),
    ("BM706", "warning", "a ticket's dates and status do not fit together"),
    ("BM801", "error", "an agent is no user of the account"),
    ("BM802", "error", "an address to send from is no mailbox of the account"),
    ("BM803", "error", "a ticket does not exist"),
    ("BM804", "error", "a ticket was merged into another"),
    ("BM805", "error", "an external id names several tickets"),
    ("BM806", "error", "the account's rules may react"),
    ("BM807", "warning", "a setting of the account may react"),
    ("BM808", "error", "the account is not active"),
    ("BM809", "warning", "the role of the credentials' user allows notes only"),
    ("BM810", "note", "something could not be checked"),
)


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that belongs to a finding, and what stands there; `key` is that of the entry there, if any."""

    message: str
    file: str
    line: int
    column: int
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Args:
        file, line, column: where something must be changed, 1-based; line 0 means the file as a whole.
        path: the JSON path of the value.
        key: of the entry it is about, None where it is about several or has none.
        row: in a table, the number of the data row, counted from 1 below the header as spreadsheets' users do.
        column_name: in a table, what the header row calls the column.
        related: places that belong to it: the entry that needs a default, the value behind an alias, the first of two.
    """

    rule: str
    severity: Severity
    message: str
    hint: str
    file: str
    line: int
    column: int
    path: str = ""
    key: str | None = None
    row: int | None = None
    column_name: str | None = None
    related: tuple[Related, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    @property
    def text(self) -> str:
        """The message for people: in a table it begins with the row and the column, which they see there."""
        named = [] if self.row is None else [f"row {self.row:,}"]
        if self.column_name is not None:
            name = self.column_name
            named.append(f"column `{name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + '…'}`")
        return f"{', '.join(named)}: {self.message}" if named else self.message


def finding(
    rule: str,
    message: str,
    hint: str,
    place: Place,
    path: Path = (),
    *,
    name: bool = False,
    prefix: Path = (),
    key: str | None = None,
    severity: Severity | None = None,
) -> Diagnostic:
    """A diagnostic at `path` inside the entry at `place`; `prefix` is the entry's own path in its document."""
    position = place.at(path, name=name)
    return Diagnostic(
        rule=rule,
        severity=severity or RULES[rule].severity,
        message=message,
        hint=hint,
        file=place.file,
        line=position.line,
        column=position.column,
        path=path_text((*prefix, *path)),
        key=key,
    )


def file_finding(
    rule: str, message: str, hint: str, file: str, line: int = 0, column: int = 0, row: int | None = None
) -> Diagnostic:
    """A diagnostic about a file, or about one position in it; `row` is the data row of a table."""
    return Diagnostic(rule, RULES[rule].severity, message, hint, file, line, column, row=row)
