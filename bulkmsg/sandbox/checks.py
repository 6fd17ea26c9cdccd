"""Small type checks that compose into a strict body check. Each takes a value and answers with its problems.

A problem is a list of texts, or a mapping that nests along the body; None means fine. Texts are those of the
library whose "Missing data for required field." the real service shows.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Problem = list[str] | dict[str, Any] | None
Check = Callable[[Any], Problem]

MISSING = ["Missing data for required field."]
UNKNOWN = ["No such field."]
NULL = ["Field may not be null."]


def moment(text: str) -> datetime | None:
    """An ISO 8601 text as a time in UTC. Without an offset it is UTC, as in Gorgias's own examples."""
    try:
        value = datetime.fromisoformat(text)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text(longest: int | None = None, *, null: bool = True, shortest: int = 0) -> Check:
    """A string of limited length."""

    def check(value: Any) -> Problem:
        if value is None:
            return None if null else NULL
        if not isinstance(value, str):
            return ["Not a valid string."]
        if longest is not None and len(value) > longest:
            return [f"Longer than maximum length {longest}."]
        return [f"Shorter than minimum length {shortest}."] if len(value) < shortest else None

    return check


def body(limit: int = 1_000_000) -> Check:
    """A message body. Gorgias changelog, "Limit ticket message body size to 1MB" (decimal assumed)."""

    def check(value: Any) -> Problem:
        if value is None or not isinstance(value, str):
            return text()(value)
        too_big = len(value.encode("utf-8", "surrogatepass")) > limit
        return ["Message body is larger than 1MB."] if too_big else None

    return check


def one_of(values: frozenset[str]) -> Check:
    def check(value: Any) -> Problem:
        return None if isinstance(value, str) and value in values else ["Not a valid choice."]

    return check


def boolean(value: Any) -> Problem:
    return None if isinstance(value, bool) else ["Not a valid boolean."]


def integer(lowest: int | None = None) -> Check:
    def check(value: Any) -> Problem:
        if isinstance(value, bool) or not isinstance(value, int):
            return ["Not a valid integer."]
        low = lowest is not None and value < lowest
        return [f"Must be greater than or equal to {lowest}."] if low else None

    return check


def date(value: Any) -> Problem:
    """A date-time, null, or empty: Gorgias reference, "Create a message", has an empty sent_datetime."""
    if value is None or value == "":
        return None
    good = isinstance(value, str) and moment(value) is not None
    return None if good else ["Not a valid datetime."]


def anything(value: Any) -> Problem:
    return None


def mapping(value: Any) -> Problem:
    return None if isinstance(value, dict) else ["Not a valid mapping type."]


def record(fields: Mapping[str, Check], required: Sequence[str] = ()) -> Check:
    """An object with known fields only."""

    def check(value: Any) -> Problem:
        if not isinstance(value, dict):
            return ["Invalid input type."]
        found: dict[str, Any] = {name: MISSING for name in required if name not in value}
        for name, item in value.items():
            problem = fields[name](item) if name in fields else UNKNOWN
            if problem:
                found[name] = problem
        return found or None

    return check


def array(item: Check, least: int = 0, most: int | None = None) -> Check:
    def check(value: Any) -> Problem:
        if not isinstance(value, list):
            return ["Not a valid list."]
        if len(value) < least or (most is not None and len(value) > most):
            return [f"Length must be between {least} and {most}."]
        return {str(i): p for i, each in enumerate(value) if (p := item(each))} or None

    return check


def nullable(check: Check) -> Check:
    return lambda value: None if value is None else check(value)
