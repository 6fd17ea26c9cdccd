"""The one door to orjson: JSON as UTF-8 bytes, read and written strictly, compact, in the order of the dict."""

from __future__ import annotations

from functools import partial

from orjson import OPT_APPEND_NEWLINE, OPT_SORT_KEYS, JSONDecodeError, dumps, loads

dumps_sorted = partial(dumps, option=OPT_SORT_KEYS)  # canonical: equal values give equal bytes
dumps_line = partial(dumps, option=OPT_APPEND_NEWLINE)

__all__ = ["JSONDecodeError", "dumps", "dumps_line", "dumps_sorted", "loads"]
