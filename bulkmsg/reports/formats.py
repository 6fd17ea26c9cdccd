"""The formats of `validate`: one interface (`checks.Render`), a module for each member, and their registry."""

from __future__ import annotations

from dataclasses import dataclass

from bulkmsg.reports import github, json, junit, plain, sarif
from bulkmsg.reports.checks import Render


@dataclass(frozen=True, slots=True)
class Format:
    """A way to tell what was found; `for_people` is shown as well as a terminal can, all others are UTF-8."""

    render: Render
    for_people: bool = False


FORMATS = {
    "text": Format(plain.report, for_people=True),
    "json": Format(json.report),
    "github": Format(github.report),
    "sarif": Format(sarif.report),
    "junit": Format(junit.report),
}
