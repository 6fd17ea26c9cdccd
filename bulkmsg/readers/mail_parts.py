"""The parts of a mail: which of them are its text, in plain and in HTML, and which are files."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage, Message

from bulkmsg.readers.charsets import declared_in, decoded
from bulkmsg.readers.flowed import unwrapped
from bulkmsg.source import Json

_DEEPEST = 40
_KIND = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_MOST_FILES = 500
_ENDING = re.compile(r"\.([A-Za-z0-9]{1,10})$")
_NAME_PARTS = re.compile(r"[\\/\x00-\x1f\x7f]+")
_AS_IT_IS = policy.default.clone(max_line_length=None, refold_source="none")
_CUT = frozenset({"CloseBoundaryNotFoundDefect", "StartBoundaryNotFoundDefect"})
_ENDINGS = {
    "application/pdf": "pdf",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "message/rfc822": "eml",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
}
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted"})


@dataclass(slots=True)
class Contents:
    """What a mail says and brings.

    Args:
        files: name, type, size in bytes, and path, as `keep` gave it.
        notes: codes of what is worth knowing.
    """

    text: str = ""
    html: str = ""
    files: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def contents(message: EmailMessage, keep: Callable[[bytes, str], str], encoding: str) -> Contents:
    return _Walk(keep, encoding).whole(message)


@dataclass(frozen=True, slots=True)
class _Body:
    text: str = ""
    html: str = ""


class _Walk:
    def __init__(self, keep: Callable[[bytes, str], str], encoding: str) -> None:
        self.keep = keep
        self.encoding = encoding
        self.found = Contents()

    def whole(self, message: EmailMessage) -> Contents:
        body = self._body(message, 0)
        found = self.found
        found.text, found.html = body.text.strip("\n"), body.html.strip()
        if "cid:" in found.html:
            self._note("inline-image")
        return found

    def _note(self, code: str) -> None:
        if code not in self.found.notes:
            self.found.notes.append(code)

    def _body(self, part: Message, depth: int) -> _Body:
        """The text of a part; its files are put by on the way."""
        kind = _kind(part)
        if any(type(defect).__name__ in _CUT for defect in part.defects):
            self._note("cut")
        if kind in _SEALED:
            self._note("encrypted")
        children = part.get_payload()
        if kind.startswith("multipart/") and isinstance(children, list) and depth < _DEEPEST:
            bodies = [self._body(child, depth + 1) for child in children if isinstance(child, Message)]
            return _chosen(bodies) if kind == "multipart/alternative" else _joined(bodies)
        if kind in ("text/plain", "text/html") and not _is_file(part):
            return self._words(part, kind)
        if kind.startswith("multipart/") and isinstance(children, str):  # no boundary was found: it is all text
            return self._words(part, "text/plain")
        self._file(part, kind)
        return _Body()

    def _words(self, part: Message, kind: str) -> _Body:
        data = _bytes(part)
        declared = _charset(part) or (declared_in(data) if kind == "text/html" else "")
        text, as_declared = decoded(data, declared, self.encoding)
        if not as_declared:
            self._note("charset")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if kind == "text/html":
            return _Body(html=text)
        if _param(part, "format").lower() == "flowed":
            text = unwrapped(text, delete_space=_param(part, "delsp").lower() == "yes")
        return _Body(text)

    def _file(self, part: Message, kind: str) -> None:
        data = _whole(part) if kind.startswith("message/") else _bytes(part)
        if kind == "message/partial":
            self._note("partial")
        name = self._name(part, kind)
        if name.lower() == "winmail.dat" or kind in ("application/ms-tnef", "application/vnd.ms-tnef"):
            self._note("winmail")
        if not data:
            self._note("empty-file")
            return
        if len(self.found.files) >= _MOST_FILES:
            self._note("many-files")
            return
        ending = _ENDING.search(name)
        path = self.keep(data, ending.group(1).lower() if ending else "")
        kind = "text/plain" if kind == "message/delivery-status" else kind
        self.found.files.append({"name": name, "type": kind, "size": len(data), "path": path})

    def _name(self, part: Message, kind: str) -> str:
        """The name that people see, without any path; a mail inside the mail is named after its subject."""
        try:
            name = part.get_filename() or ""
        except (ValueError, LookupError, TypeError, AttributeError):
            name = ""
        children = part.get_payload()
        if not name and kind == "message/rfc822" and isinstance(children, list) and children:
            name = _subject(children[0])
            name = f"{name[:200].replace('/', '-')}.eml" if name else ""
        name = decoded(name.encode("utf-8", "surrogateescape"))[0]
        name = _NAME_PARTS.split(name)[-1].strip().lstrip(".") if name else ""
        if name:
            return name[:1000]
        return f"part-{len(self.found.files) + 1}.{_ENDINGS.get(kind, 'txt' if kind.startswith('message/') else 'bin')}"


def _chosen(bodies: list[_Body]) -> _Body:
    """Of alternatives the best of each kind: the last HTML, since the best comes last, and the first text."""
    markup = [body.html for body in bodies if body.html.strip()]
    texts = [body.text for body in bodies if body.text.strip()]
    return _Body(texts[0] if texts else "", markup[-1] if markup else "")


def _joined(bodies: list[_Body]) -> _Body:
    """Parts one after the other, such as a text, a picture and more text, or a list's footer."""
    bodies = [body for body in bodies if body.text.strip() or body.html.strip()]
    if len(bodies) < 2:
        return bodies[0] if bodies else _Body()
    text = "\n\n".join(body.text.strip("\n") for body in bodies) if all(body.text.strip() for body in bodies) else ""
    markup = ""
    if any(body.html for body in bodies):
        markup = "\n".join(body.html or f"<pre>{html.escape(body.text)}</pre>" for body in bodies)
    return _Body(text, markup)


def _is_file(part: Message) -> bool:
    """Whether a text is a file: it says so, or has a name."""
    try:
        return part.get_content_disposition() == "attachment" or bool(part.get_filename())
    except (ValueError, LookupError, TypeError, AttributeError):
        return "attachment" in str(part.get("content-disposition", "")).lower()


def _bytes(part: Message) -> bytes:
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        data = str(part.get_payload()).encode("utf-8", "surrogateescape")
    return data if isinstance(data, bytes) else b""


def _whole(part: Message) -> bytes:
    """A mail inside the mail, as it was."""
    children = part.get_payload()
    if not isinstance(children, list):
        return _bytes(part)
    made = []
    for child in children:
        try:
            made.append(child.as_bytes(policy=_AS_IT_IS) if isinstance(child, Message) else str(child).encode())
        except (ValueError, LookupError, TypeError, AttributeError):
            made.append(str(child.get_payload()).encode("utf-8", "replace") if isinstance(child, Message) else b"")
    return b"\n".join(made)


def _subject(part: object) -> str:
    try:
        return str(part["subject"] or "").strip() if isinstance(part, Message) else ""
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _kind(part: Message) -> str:
    try:
        kind = part.get_content_type()
    except (ValueError, LookupError, TypeError, AttributeError):
        kind = ""
    return kind if _KIND.fullmatch(kind) else "application/octet-stream"


def _charset(part: Message) -> str:
    try:
        return part.get_content_charset() or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _param(part: Message, name: str) -> str:
    try:
        return str(part.get_param(name) or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
