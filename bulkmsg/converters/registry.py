"""The sources that can be converted: ours, and those of other packages, which name them as entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from bulkmsg.converters.words import About, Converter, Reading
from bulkmsg.errors import UsageError

GROUP = "bulkmsg.converters"
# A name, the module beside this one, and the class in it.
OURS: dict[str, tuple[str, str]] = {
    "zendesk": ("zendesk", "Zendesk"),
    "freshdesk": ("freshdesk", "Freshdesk"),
    "intercom": ("intercom", "Intercom"),
    "helpscout": ("helpscout", "HelpScout"),
    "front": ("front", "Front"),
    "kustomer": ("kustomer", "Kustomer"),
    "reamaze": ("reamaze", "Reamaze"),
    "hubspot": ("hubspot", "Hubspot"),
    "mbox": ("mbox", "Mbox"),
    "generic": ("generic", "Generic"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A source by its name; `make` gives the converter of one conversion."""

    name: str
    about: About
    make: Callable[[Reading], Converter]
    ours: bool = True


def sources() -> Iterator[Source]:
    """All sources, ours first. A package that fails to load is left out: `source` says why when it is asked for."""
    yield from (source(name) for name in OURS)
    for point in _others():
        try:
            yield _loaded(point)
        except UsageError:
            continue


def names() -> list[str]:
    return [*OURS, *(point.name for point in _others())]


def source(name: str) -> Source:
    """
    Raises:
        UsageError: there is none of that name, or its package cannot be loaded.
    """
    if name in OURS:
        module, member = OURS[name]
        found = import_module(f"bulkmsg.converters.{module}")
        return Source(name, found.ABOUT, getattr(found, member))
    point = next((each for each in _others() if each.name == name), None)
    if point is None:
        known = names()
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
        raise UsageError(f"there is no source {name!r}", f"{hint} `bulkmsg convert --list` says what each reads")
    return _loaded(point)


def _others() -> list[EntryPoint]:
    return sorted((each for each in entry_points(group=GROUP) if each.name not in OURS), key=lambda each: each.name)


def _loaded(point: EntryPoint) -> Source:
    """A source of another package: a class with an `ABOUT`, made like ours."""
    try:
        made = point.load()
        return Source(point.name, made.ABOUT, made, ours=False)
    except Exception as error:  # whatever a stranger's module does
        reason = f"{type(error).__name__} at {point.value}"
        hint = "mend or remove the package that brings it"
        raise UsageError(f"the source {point.name!r} cannot be loaded: {reason}", hint) from error
