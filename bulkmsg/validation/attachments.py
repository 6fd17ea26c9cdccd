"""Attachments that are files: what is wrong with them, and what will be uploaded.

Pure but for the `look` that it is handed, which alone opens files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from mimetypes import MimeTypes
from typing import TypeGuard

from bulkmsg.diagnostic import Severity
from bulkmsg.message import Mode, Upload
from bulkmsg.readers.attached import Attached, Unfit
from bulkmsg.readers.text import shown
from bulkmsg.settings import Attachments
from bulkmsg.source import Json
from bulkmsg.validation import values
from bulkmsg.validation.checks import Trouble

Look = Callable[[str], Attached | Unfit]


_MOST_LISTED = 500  # as the schemas say; looking at more files than that would only take long
UNKNOWN_TYPE = "application/octet-stream"
# Many mail systems take messages up to 25 MB (Gmail, Outlook.com), and base64 makes files a third larger.
LARGE_BYTES = 18_000_000

# What Python's own list lacks, and system lists have, which differ from machine to machine.
_MORE_TYPES = {
    ".7z": "application/x-7z-compressed",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".gz": "application/gzip",
    ".heic": "image/heic",
    ".ics": "text/calendar",
    ".m4a": "audio/mp4",
    ".msg": "application/vnd.ms-outlook",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ogg": "audio/ogg",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".rtf": "application/rtf",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@cache
def _types() -> MimeTypes:
    """Python's own list and ours: the machine's is left out, so that a batch means the same on every machine."""
    known = MimeTypes(filenames=())
    for ending, kind in _MORE_TYPES.items():
        known.add_type(kind, ending)
    known.encodings_map.clear()  # an archive is what it is, not what it holds
    known.suffix_map.clear()
    return known


def no_folder(name: str) -> Unfit:
    """The look of somebody who has no files at hand."""
    return Unfit("BM420", f"the file `{shown(name)}` does not exist", "there is no folder in which it could be")


def guessed_type(name: str) -> str | None:
    """The content type that a file's name suggests."""
    _, dot, ending = name.rpartition(".")
    return _types().guess_type(f"x.{ending}")[0] if dot else None


def has_file(item: Json) -> TypeGuard[dict[str, Json]]:
    return isinstance(item, dict) and isinstance(item.get("file"), str) and item["file"] != ""


def files_of(fields: dict[str, Json]) -> list[tuple[int, dict[str, Json]]]:
    """The attachments of an entry that are files, with their positions."""
    listed = fields.get("attachments")
    if not isinstance(listed, list) or len(listed) > _MOST_LISTED:
        return []
    return [(at, item) for at, item in enumerate(listed) if has_file(item)]


def too_many(fields: dict[str, Json]) -> Trouble | None:
    """A list that is longer than the schemas allow, of which each item would take long to look at."""
    listed = fields.get("attachments")
    if not isinstance(listed, list) or len(listed) <= _MOST_LISTED:
        return None
    said = f"attachments has {len(listed):,} items; at most {_MOST_LISTED} are allowed"
    return Trouble("BM205", ("attachments",), said, "spread them over several messages")


def cut(fields: dict[str, Json]) -> dict[str, Json]:
    """The fields with no more attachments than are allowed."""
    return {**fields, "attachments": fields["attachments"][:_MOST_LISTED]}


def look_at(fields: dict[str, Json], mode: Mode, look: Look, troubles: list[Trouble]) -> tuple[Upload, ...]:
    """The files of an entry, looked at; what is wrong with them is added to `troubles`."""
    found: list[Upload] = []
    for position, item in files_of(fields):
        attached = look(item["file"])
        if isinstance(attached, Unfit):
            path = ("attachments", position, "file")
            troubles.append(Trouble(attached.rule, path, attached.message, attached.hint))
            continue
        upload = _upload(position, item, attached)
        found.append(upload)
        troubles.extend(_doubts(upload, item, mode))
    size = sum(upload.size for upload in found)
    if size > LARGE_BYTES:
        troubles.append(_large(size, found[0].position))
    return tuple(found)


def _upload(position: int, item: dict[str, Json], attached: Attached) -> Upload:
    given = item["file"]
    name, kind = item.get("name"), item.get("content_type")
    name = name if isinstance(name, str) else given.rstrip("/").rpartition("/")[2]
    said = kind if isinstance(kind, str) else guessed_type(name) or guessed_type(given) or UNKNOWN_TYPE
    digest, size, mark = attached.digest, attached.size, attached.mark
    return Upload(position, given, attached.path, digest, size, mark, name, said, not isinstance(kind, str))


def _doubts(upload: Upload, item: dict[str, Json], mode: Mode) -> Iterator[Trouble]:
    """What is wrong, or may be, with a file that can be read."""
    path = ("attachments", upload.position)
    label = shown(upload.file)
    if values.has_control(upload.name):
        named = "name" if "name" in item else "file"
        said = f"the name of the file `{label}` holds a line break or another control character"
        yield Trouble("BM410", (*path, named), said, "give another `name`, of printable characters")
    if upload.size == 0:
        severity = Severity.ERROR if mode is Mode.SEND else Severity.WARNING
        hint = "get the file again where it comes from, or take the attachment out"
        yield Trouble("BM422", (*path, "file"), f"`{label}` is empty: it has 0 bytes", hint, severity)
    expected = item.get("size")
    if isinstance(expected, int) and expected != upload.size:
        said = f"`{label}` has {upload.size:,} bytes, and `size` says {expected:,}"
        hint = "get the file again if it was cut off, or leave `size` out"
        yield Trouble("BM422", (*path, "size"), said, hint)
    if upload.guessed and upload.content_type == UNKNOWN_TYPE:
        said = f"what kind of file `{label}` is cannot be told from its name; it is sent as {UNKNOWN_TYPE}"
        yield Trouble("BM424", (*path, "file"), said, "give its `content_type`, such as application/pdf")


def _large(size: int, position: int) -> Trouble:
    said = f"the files of this message have {size:,} bytes together; many mail systems take no more than 25 MB in all"
    hint = "make them smaller, or put them on the web and write their addresses in the text"
    return Trouble("BM423", ("attachments", position, "file"), said, hint)


# -- what leaves of them --------------------------------------------------------------------------------------------


def choice_troubles(fields: dict[str, Json], choice: Attachments) -> list[Trouble]:
    """What speaks against leaving attachments out, or against uploading nothing."""
    listed = fields.get("attachments")
    if choice is Attachments.UPLOAD or not isinstance(listed, list) or not listed:
        return []
    if choice is Attachments.SKIP:
        if fields.get("body_text") or fields.get("body_html"):
            return []
        hint = "give it a text, take the entry out, or run without --attachments skip"
        return [Trouble("BM425", ("attachments",), "without its attachments the message would be empty", hint)]
    return [
        Trouble(
            "BM425",
            ("attachments", position, "file"),
            f"`{shown(item['file'])}` is a file without a web address, and with --attachments link nothing is uploaded",
            "give its `url` as well, or run with --attachments upload",
        )
        for position, item in files_of(fields)
        if not item.get("url")
    ]


def as_sent(body: dict[str, Json], uploads: tuple[Upload, ...], choice: Attachments) -> dict[str, Json]:
    """A message's body with the attachments that leave; files to be uploaded lack the `url` that uploading gives."""
    if "attachments" not in body:
        return body
    if choice is Attachments.SKIP:
        return {name: value for name, value in body.items() if name != "attachments"}
    if not uploads:
        return body
    listed = list(body["attachments"])
    for upload in uploads:
        item = {name: value for name, value in listed[upload.position].items() if name != "file"}
        if choice is Attachments.UPLOAD:
            item.pop("url", None)
        listed[upload.position] = {
            **item,
            "name": upload.name,
            "content_type": upload.content_type,
            "size": upload.size,
        }
    return {**body, "attachments": listed}


def as_known(attachments: Json, uploads: tuple[Upload, ...]) -> Json:
    """Attachments as an entry's identity has them: a file by what it holds and is called, wherever it lies.

    A type that was only guessed is left out: the list that it is guessed from may grow.
    """
    listed = list(attachments)
    for upload in uploads:
        item = {name: value for name, value in listed[upload.position].items() if name not in ("file", "size")}
        listed[upload.position] = {**item, "url": f"sha256:{upload.digest}", "name": upload.name}
    return listed
