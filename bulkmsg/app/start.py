"""The first files of somebody who begins: a small commented batch of each mode, and the schemas for his editor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bulkmsg import schema
from bulkmsg.errors import UsageError

_BATCH = """\
# yaml-language-server: $schema=schemas/batch.schema.json
#
# History, brought into the helpdesk. In import mode nobody is mailed.
#   check it:   bulkmsg validate batch.yaml
#   try it:     bulkmsg run batch.yaml --sandbox      (needs no account, nothing leaves this machine)
#   for real:   bulkmsg run batch.yaml
version: 1
name: first-import
mode: import

defaults:
  incoming:
    channel: email
    source: {to: [{address: support@acme.example}]}
  outgoing:
    channel: email
    sender: {email: anna@acme.example} # an agent of the account
    source: {from: {address: support@acme.example}}

messages:
  # ticket_id: a ticket that is there already; its number stands in the ticket's address in the helpdesk.
  - type: incoming
    ticket_id: 348149927
    sender: {email: jane@example.com}
    source: {from: {address: jane@example.com}}
    subject: Where is my order?
    body_text: Hi, I ordered a kettle two weeks ago.
    sent_datetime: 2024-03-01T10:00:00Z # when it was sent back then: with it, nothing is sent now

  - type: outgoing
    ticket_id: 348149927
    source: {to: [{address: jane@example.com}]}
    subject: "Re: Where is my order?"
    body_text: Hi Jane, it leaves our house today.
    sent_datetime: 2024-03-01T10:05:00Z

  - type: internal-note # only agents see it
    ticket_id: 348149927
    sender: {email: anna@acme.example}
    body_text: Parcel 4711, she has been told.
    created_datetime: 2024-03-01T10:06:00Z

tickets:
  # A new ticket with its message.
  - external_id: old-helpdesk-1042
    subject: The kettle is blue
    status: closed
    customer: {email: tom@example.com}
    messages:
      - type: incoming
        sender: {email: tom@example.com}
        source: {from: {address: tom@example.com}}
        body_text: I ordered a red one.
        sent_datetime: 2024-03-02T09:00:00Z
"""

_SEND = """\
# yaml-language-server: $schema=schemas/batch.schema.json
#
# One message to each customer in customers.csv, each in a new ticket. Send mode: they will really be mailed, and
# `bulkmsg run` asks before.
#   check it:   bulkmsg validate send.yaml
#   try it:     bulkmsg run send.yaml --sandbox       (mails nobody, shows who would have been mailed)
#   for real:   bulkmsg run send.yaml
version: 1
name: blue-kettle-recall
mode: send

tickets:
  from: customers.csv
  key: email # one message to each address, also when the text is corrected and the batch is run again
  template:
    subject: "Your order {{ order_no }}: recall of the blue kettle"
    status: closed
    messages:
      - type: outgoing
        channel: email
        sender: {email: anna@acme.example}
        source:
          from: {address: support@acme.example}
          to: [{address: "{{ email }}"}]
        body_text: |
          Hi {{ first_name | default('there') }},

          please do not use your blue kettle any more. We send you a new one.
"""

_CUSTOMERS = """\
email,first_name,order_no
jane@example.com,Jane,1042
tom@example.com,Tom,1043
kim@example.com,,1044
"""

IGNORED = ("*.progress.jsonl", "*.progress.jsonl.*", ".env")
_GITIGNORE = "# What was sent is in the progress logs: keep them, but not in git.\n" + "\n".join(IGNORED) + "\n"


@dataclass(frozen=True, slots=True)
class Started:
    """What was written, relative to the folder; `kept` if a .gitignore stood there and was left as it is."""

    folder: Path
    written: tuple[str, ...]
    kept: bool


def start(folder: Path) -> Started:
    """Write the starter into a folder, which is made if needed. Nothing that stands there is touched.

    Raises:
        UsageError: files of these names stand there, or the folder cannot be written; then nothing was written.
    """
    files = dict(_files())
    standing = dict.fromkeys(name.partition("/")[0] for name in files if _stands(folder / name))
    if standing:
        hint = "nothing was written; name another folder: bulkmsg init my-batch"
        raise UsageError(f"these stand in {folder} already: {', '.join(standing)}", hint)
    kept = _stands(folder / ".gitignore")
    if not kept:
        files[".gitignore"] = _GITIGNORE
    try:
        for name, text in files.items():
            _write(folder / name, text)
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder} cannot be written: {error.strerror}", "name another folder"
        ) from None
    return Started(folder, tuple(files), kept)


def _files() -> Iterator[tuple[str, str]]:
    yield "batch.yaml", _BATCH
    yield "send.yaml", _SEND
    yield "customers.csv", _CUSTOMERS
    for name in schema.NAMES:
        yield f"schemas/{name}.schema.json", schema.text(name)


def _stands(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8", newline="\n") as file:  # x: never over anything, whoever was quicker
        file.write(text)
