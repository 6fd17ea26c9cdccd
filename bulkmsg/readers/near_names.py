"""Which file was probably meant by a name that is not there: a look into the folder where its path ends."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from bulkmsg.readers.text import shown

_MOST_NAMES = 20_000  # of a folder, among which the same in other letters is looked for
_MOST_COMPARED = 1_000  # of those that are about as long: comparing is slow


def nearest(base: Path, name: str) -> str:
    """A hint that names the file or folder that was probably meant; empty where nothing comes near."""
    parts = name.replace("\\", "/").split("/")
    for depth, part in enumerate(parts):
        here = base.joinpath(*parts[:depth])
        if part in ("", ".") or os.path.lexists(here / part):
            continue
        names = list(islice(_names(here), _MOST_NAMES))
        return _meant(base, parts, depth, names)
    return "" if "\\" not in name else f"did you mean `{shown('/'.join(parts))}`?"


def _meant(base: Path, parts: list[str], depth: int, names: list[str]) -> str:
    part, above = parts[depth], "".join(f"{each}/" for each in parts[:depth])
    same = next((each for each in names if _composed(each) == _composed(part)), None)
    if same is not None:
        return "the folder has a name that looks the same and is made of other characters: copy it from there"
    near = next((each for each in names if each.casefold() == part.casefold()), None)
    alike = islice((each for each in names if abs(len(each) - len(part)) <= len(part) // 3 + 1), _MOST_COMPARED)
    near = near or next(iter(get_close_matches(part, alike, 1, 0.6)), None)
    if near is None:
        return f"the folder `{shown(above or './')}` holds no `{shown(part)}` nor anything like it"
    whole = "/".join([*parts[:depth], near, *parts[depth + 1 :]])
    if os.path.lexists(base / whole):
        return f"did you mean `{shown(whole)}`?"
    return f"did you mean the folder `{shown(above + near)}`?"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except OSError:
        return
