"""Bytes of mails as text, whatever their charset claims to be."""

from __future__ import annotations

import re

# What mailers write and Python does not know, or knows as less than what is meant (https://encoding.spec.whatwg.org).
_ALIASES = {
    "ansi_x3.4-1968": "cp1252",
    "ascii": "utf-8",
    "cp-850": "cp850",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "iso-8859-8-i": "iso-8859-8",
    "iso8859-1": "cp1252",
    "ks_c_5601-1987": "cp949",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "unicode-1-1-utf-8": "utf-8",
    "us-ascii": "utf-8",
    "utf8mb4": "utf-8",
    "windows-874": "cp874",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac-roman",
    "x-sjis": "cp932",
}
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_HALVES = re.compile("[\ud800-\udfff]")


def decoded(data: bytes, declared: str = "", fallback: str = "utf-8") -> tuple[str, bool]:
    """The text, and whether it is what was declared: else UTF-8, `fallback`, or at last Windows-1252 was tried."""
    for number, name in enumerate((declared or "us-ascii", "utf-8", fallback, "cp1252")):
        text = _strictly(data, name)
        if text is not None:
            return plain(text), number == 0 or not declared
    return plain(data.decode("latin-1")), False


def declared_in(markup: bytes) -> str:
    """The charset that HTML says of itself; "" for none."""
    found = _META.search(markup[:2048])
    return found.group(1).decode("ascii", "replace") if found else ""


def _strictly(data: bytes, name: str) -> str | None:
    name = name.strip().strip("\"'").lower()
    try:
        return data.decode(_ALIASES.get(name, name))
    except (LookupError, ValueError):  # a LookupError as well for what turns bytes into bytes, such as hex
        return None


def plain(text: str) -> str:
    """Without what no text may hold: NUL, and halves of characters, which escapes can write."""
    return _HALVES.sub("\ufffd", text.replace("\0", ""))
