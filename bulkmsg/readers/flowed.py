"""Text of mails whose long lines were broken for the way, as it was written (RFC 3676, format=flowed)."""

from __future__ import annotations

_SIGNATURE = "-- "


def unwrapped(text: str, *, delete_space: bool = False) -> str:
    """Lines that end in a blank go on in the next one of the same depth of quotes."""
    lines: list[tuple[int, str]] = []
    flows = False
    for raw in text.split("\n"):
        line = raw.rstrip("\r")
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # a blank was stuffed before what would look like something else
        if flows and lines[-1][0] == depth and content != _SIGNATURE:
            lines[-1] = (depth, lines[-1][1] + content)
        else:
            lines.append((depth, content))
        flows = content.endswith(" ") and content != _SIGNATURE
        if flows and delete_space:
            lines[-1] = (depth, lines[-1][1][:-1])
    return "\n".join(f"{'>' * depth} {content}" if depth else content for depth, content in lines)
