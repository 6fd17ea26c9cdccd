"""What a build server says in its variables and takes beside the answer: the repository's root, a summary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bulkmsg.cli.terminal import Terminal

if TYPE_CHECKING:
    from bulkmsg.reports.checks import Checked, Frame, PathOf


def on_github() -> bool:
    """Whether this is a step of GitHub Actions, where what is printed may be taken for a command."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def paths_from_root() -> PathOf:
    """Build servers name files from the repository's root, which they tell; without one it is the current folder."""
    from bulkmsg.reports.checks import below

    here = str(Path.cwd())
    roots = (os.environ.get(name) for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"))
    root = next((str(Path(each).resolve()) for each in roots if each), here)
    inside = here == root or here.startswith(f"{root}/")
    return below(root if inside else here, here)


def write_summary(checks: Sequence[Checked], frame: Frame, terminal: Terminal) -> None:
    """Append to the step's summary. A summary that cannot be written fails no check: the log has all of it."""
    from bulkmsg.reports.github import SUMMARY, summary

    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    try:
        with Path(name).open("ab") as file:
            text = summary(checks, frame, SUMMARY - file.tell())
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        terminal.say(f"the job's summary could not be written: {error.strerror}")
