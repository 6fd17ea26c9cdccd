"""The schemas in an editor: the real YAML language server completes, explains and marks what a batch holds.

`make .venv/lsp/made` installs the server, which needs npm; without it these tests are skipped. All runs on this
machine: the server is told to fetch through a socket that must stay silent.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bulkmsg import schema
from bulkmsg.app.start import start
from bulkmsg.bundle import bundled
from tests.editor.lsp import Client, Json

ROOT = Path(__file__).parent.parent.parent
SERVER = ROOT / ".venv" / "lsp" / "node_modules" / "yaml-language-server"
COMMAND = ["node", str(SERVER / "bin" / "yaml-language-server"), "--stdio"]
MODELINE = "# yaml-language-server: $schema={}\n"
HINT = 3  # severities from here on are remarks, such as about an anchor that nobody uses

pytestmark = pytest.mark.skipif(
    not (SERVER / "package.json").is_file() or shutil.which("node") is None,
    reason="the YAML language server is not installed: `make .venv/lsp/made` does it where npm is found",
)

_numbers = count()


@dataclass(frozen=True)
class Editor:
    """A server, and a folder of batches in which a schema lies at `schema`."""

    client: Client
    folder: Path
    schema: str

    def open(self, text: str) -> Path:
        """Open a batch that begins with the modeline."""
        path = self.folder / f"batch-{next(_numbers)}.yaml"
        self.client.open(path, MODELINE.format(self.schema) + text)
        return path

    def marks(self, text: str) -> list[tuple[int, str]]:
        """What is marked in a batch, each with its line, counted from 1 below the modeline."""
        found = self.client.diagnostics(self.open(text))
        return [(d["range"]["start"]["line"], d["message"]) for d in found if d["severity"] < HINT]

    def at_caret(self, text: str) -> tuple[Path, int, int]:
        """Open a batch in which ¦ marks a place; the place as the server counts."""
        before, after = text.split("¦")
        return self.open(before + after), before.count("\n") + 1, len(before) - before.rfind("\n") - 1

    def offered(self, text: str) -> dict[str, Json]:
        return {item["label"]: item for item in self.client.complete(*self.at_caret(text))}

    def shown(self, text: str) -> str:
        return re.sub(r"\\([_{}\[\]*])", r"\1", self.client.hover(*self.at_caret(text)))


def settings(proxy: int) -> Json:
    yaml = {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}
    return {"yaml": yaml, "http": {"proxy": f"http://127.0.0.1:{proxy}"}, "[yaml]": {}, "editor": {}, "files": {}}


@pytest.fixture(scope="module")
def way_out() -> Iterator[socket.socket]:
    """The only way out that the server is told of."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="module")
def server(way_out: socket.socket) -> Iterator[Client]:
    with Client(COMMAND, settings(way_out.getsockname()[1])) as client:
        yield client


@pytest.fixture(scope="module", params=["schemas", "bundle"])
def editor(request: Any, server: Client, tmp_path_factory: pytest.TempPathFactory) -> Editor:
    """Batches beside `schemas/`, and beside one bundled file."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "bundle":
        (folder / "batch.schema.json").write_text(json.dumps(bundled("batch")))
        return Editor(server, folder, "batch.schema.json")
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    return Editor(server, folder, "schemas/batch.schema.json")


def test_the_server_is_the_one_that_the_makefile_and_the_page_name() -> None:
    version = json.loads((SERVER / "package.json").read_text())["version"]
    assert f"yaml-language-server@{version}\n" in (ROOT / "Makefile").read_text()
    assert f"yaml-language-server {version}" in (ROOT / "docs" / "editor.md").read_text()


# --- Nothing is marked in what is right ----------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "samples").glob("*.yaml")), ids=lambda path: path.name)
def test_a_sample_is_opened_without_a_mark(path: Path, server: Client) -> None:
    server.open(path, path.read_text())
    assert server.diagnostics(path) == []


def test_the_batches_of_init_find_their_schema_and_are_opened_without_a_mark(server: Client, tmp_path: Path) -> None:
    start(tmp_path)
    for name in ("batch.yaml", "send.yaml"):
        server.open(tmp_path / name, (tmp_path / name).read_text())
        assert server.diagnostics(tmp_path / name) == []
        server.open(tmp_path / f"wrong-{name}", (tmp_path / name).read_text() + "versoin: 1\n")
        assert [mark["message"] for mark in server.diagnostics(tmp_path / f"wrong-{name}")] == [
            "Property versoin is not allowed."
        ]


CASES = sorted((ROOT / "tests" / "cases" / "valid").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_a_valid_case_is_opened_without_a_mark(path: Path, editor: Editor) -> None:
    assert editor.marks(path.read_text()) == []


FORMS = """\
version: 1
mode: import
timezone: Europe/Paris
defaults:
  via: api
  incoming: {channel: email, source: {to: [{address: support@acme.example}]}}
  ticket: {status: closed}
messages:
  - &first
    type: incoming
    ticket_id: 5
    external_id: e1
    sender: &jane {email: jane@example.com}
    body_text: Hi
    sent_datetime: 2021-03-01 10:00
  - <<: *first
    external_id: e2
    subject: null
  - from: [a.csv, b.csv.gz]
    delimiter: ";"
    columns: {"E-mail": email}
  - {type: internal-note, ticket_external_id: z, key: "1", created_datetime: "2021-03-01T10:00:00Z", mention_ids: [4]}
tickets:
  - external_id: t1
    tags: [a, b]
    custom_fields: [{id: 4, value: x}]
    messages:
      - {type: incoming, sender: *jane, ticket_id: null, sent_datetime: "2021-03-01T10:00:00+01:00"}
  - from: more.jsonl
"""
BLOCK = """\
version: 1
name: x
mode: send
messages:
  from: rows.csv
  key: email
  template: {type: outgoing, ticket_id: "{{ ticket }}", source: {to: "{{ email }}"}, sent_datetime: null}
"""


@pytest.mark.parametrize("text", [FORMS, BLOCK], ids=["mixed lists, anchors, merge keys", "a from: block"])
def test_every_form_of_a_batch_is_opened_without_a_mark(text: str, editor: Editor) -> None:
    assert editor.marks(text) == []


# --- Completion ----------------------------------------------------------------------------------------------

VALUES = [
    ("version: 1\nmode: ¦\n", {"import", "send"}),
    ("version: 1\nmessages:\n  - type: ¦\n", {"incoming", "outgoing", "internal-note"}),
    ("version: 1\ntickets:\n  - messages:\n      - type: ¦\n", {"incoming", "outgoing", "internal-note"}),
    ("version: 1\ntickets:\n  from: x.csv\n  template:\n    messages:\n      - type: ¦\n", {"internal-note"}),
    ("version: 1\nmessages:\n  - type: outgoing\n    channel: ¦\n", {"email", "phone", "whatsapp"}),
    ("version: 1\nmessages:\n  - type: incoming\n    via: ¦\n", {"api", "zendesk"}),
    ("version: 1\nmessages:\n  - type: incoming\n    source:\n      type: ¦\n", {"email", "phone", "sms"}),
    ("version: 1\ntickets:\n  - status: ¦\n", {"open", "closed"}),
    ("version: 1\ntickets:\n  - priority: ¦\n", {"critical", "high", "normal", "low"}),
    ("version: 1\ndefaults:\n  type: ¦\n", {"incoming", "outgoing", "internal-note"}),
]


@pytest.mark.parametrize(("text", "wanted"), VALUES)
def test_values_are_offered(text: str, wanted: set[str], editor: Editor) -> None:
    assert wanted <= editor.offered(text).keys()


@pytest.mark.parametrize("kind", ["incoming", "outgoing", "internal-note"])
def test_the_fields_of_the_type_are_offered_each_with_its_description(kind: str, editor: Editor) -> None:
    own = schema.load(kind)["$defs"]["entry"]["properties"]
    text = f"version: 1\nname: x\nmode: send\nmessages:\n  - type: {kind}\n    ¦\n"
    offered = editor.offered(text)
    assert set(offered) == own.keys() - {"type"}
    assert {name: said(item) for name, item in offered.items()} == {name: own[name]["description"] for name in offered}


def said(item: Json) -> str:
    documentation = item["documentation"]
    return str(documentation["value"] if isinstance(documentation, dict) else documentation)


FIELDS = [
    ("version: 1\n¦\n", {"name", "account", "mode", "defaults", "messages", "tickets"}),
    ("version: 1\ndefaults:\n  outgoing:\n    ¦\n", {"receiver", "sender", "channel"}),
    ("version: 1\ntickets:\n  - subject: x\n    ¦\n", {"external_id", "status", "customer", "messages"}),
    ("version: 1\nmessages:\n  from: x.csv\n  ¦\n", {"delimiter", "columns", "key", "template"}),
    ("version: 1\nmessages:\n  from: x.csv\n  template:\n    type: outgoing\n    ¦\n", {"receiver", "body_text"}),
    ("version: 1\nmessages:\n  - type: incoming\n    source:\n      from:\n        ¦\n", {"name", "address"}),
    ("version: 1\nmessages:\n  - ¦\n", {"type", "from"}),
    ("version: 1\ntickets:\n  - ¦\n", {"external_id", "messages", "from"}),
]


@pytest.mark.parametrize(("text", "wanted"), FIELDS)
def test_fields_and_beginnings_are_offered(text: str, wanted: set[str], editor: Editor) -> None:
    offered = editor.offered(text)
    assert wanted <= offered.keys()
    assert not [label for label, item in offered.items() if "[object" in label + item["insertText"]]


# --- Hover ---------------------------------------------------------------------------------------------------

MESSAGE = "version: 1\nname: x\nmode: send\nmessages:\n  - type: outgoing\n    {}\n"
HOVERS = [
    ("version: 1\nmo¦de: send\nname: x\nmessages: []\n", "batch", ("mode",)),
    (MESSAGE.format("source: {from: {addr¦ess: a@b}}"), "outgoing", ("source", "from", "address")),
    (MESSAGE.format("source: {to: [{na¦me: x}]}"), "outgoing", ("source", "to", "name")),
    (MESSAGE.format("sen¦der: {email: anna@acme.example}"), "outgoing", ("sender",)),
    (MESSAGE.format("sender: {em¦ail: anna@acme.example}"), "outgoing", ("sender", "email")),
    (MESSAGE.format("vi¦a: api"), "outgoing", ("via",)),
    (MESSAGE.format("attachments: [{u¦rl: https://x.example/a}]"), "outgoing", ("attachments", "url")),
    (MESSAGE.format("attachments: [{f¦ile: invoices/12.pdf}]"), "outgoing", ("attachments", "file")),
    ("version: 1\nmessages: []\ndefaults:\n  outgoing:\n    sen¦der: {id: 5}\n", "outgoing", ("sender",)),
    ("version: 1\nmessages: []\ndefaults:\n  ticket: {sta¦tus: open}\n", "ticket", ("status",)),
    ("version: 1\ntickets:\n  - sta¦tus: closed\n", "ticket", ("status",)),
    ("version: 1\ntickets:\n  - messa¦ges: [{type: incoming}]\n", "ticket", ("messages",)),
    ("version: 1\ntickets:\n  - customer: {em¦ail: jane@example.com}\n", "ticket", ("customer", "email")),
    ("version: 1\ntickets:\n  - messages: [{type: incoming, body_te¦xt: x}]\n", "incoming", ("body_text",)),
    ("version: 1\ntickets:\n  fr¦om: x.csv\n", "batch", ("from",)),
    ("version: 1\ntickets:\n  from: x.csv\n  templ¦ate: {subject: x}\n", "batch", ("template",)),
    ("version: 1\ntickets:\n  from: x.csv\n  template: {sub¦ject: x}\n", "ticket", ("subject",)),
    ("version: 1\nmessages:\n  from: x.csv\n  template: {body_te¦xt: x}\n", "incoming", ("body_text",)),
]


def description_of(name: str, path: tuple[str, ...]) -> tuple[str, str]:
    """Title and description of a field as one writes it; of the batch: of one in a `from:` block under `tickets:`."""
    within = {"batch": "ticket_block", "ticket": "fields"}.get(name)
    if within and path != ("mode",):
        node = schema.load(name)["$defs"][within]
        for part in path:
            node = node["properties"][part]
        return node["title"], node["description"]
    title, _, description = (schema.describe(name, path) or "").partition(": ")
    return title, description


@pytest.mark.parametrize(("text", "name", "path"), HOVERS)
def test_hovering_over_a_field_shows_its_title_and_description(
    text: str, name: str, path: tuple[str, ...], editor: Editor
) -> None:
    title, description = description_of(name, path)
    lines = editor.shown(text).splitlines()
    assert [line for line in lines if line][1] == description
    assert lines[0].removeprefix("#### ") in (title, "Template of a ticket")


# --- Marks ---------------------------------------------------------------------------------------------------

ENTRY = "version: 1\nmode: import\nmessages:\n  - type: {}\n    ticket_id: 5\n    {}\n"
DATED = "sent_datetime: 2021-03-01T10:00:00Z\n    "
WRONG = [
    (ENTRY.format("outgoing", DATED + "body_txt: Hi"), 7, "Property body_txt is not allowed."),
    (ENTRY.format("outgoing", "body_text: Hi"), 4, "in import mode every public message must carry sent_datetime"),
    (ENTRY.format("internal-note", "body_text: Hi"), 4, "a note must carry sent_datetime or created_datetime"),
    (ENTRY.format("incoming", DATED + "receiver: {id: 4}"), 7, "Property receiver is not allowed."),
    (ENTRY.format("incoming", DATED + "channel: internal-note"), 7, "internal-note is the channel of notes"),
    (ENTRY.format("incoming", DATED + "from_agent: true"), 7, "type: incoming means from_agent: false"),
    (ENTRY.format("incoming", DATED + "via: emial"), 7, 'Valid values: "aircall", "api"'),
    (ENTRY.format("incoming", DATED + "sender: jane@example.com"), 7, "must be a map such as {email:"),
    (ENTRY.format("incoming", DATED + "sender: {email: jane at home}"), 7, "must be an e-mail address: one @"),
    (ENTRY.format("incoming", DATED + "source: {to: jane@example.com}"), 7, "must be a list of addresses, such as"),
    (ENTRY.format("incoming", "sent_datetime: yesterday"), 6, "must be a date and time such as 2021-03-01T10:00:00Z"),
    (ENTRY.format("incoming", DATED + "attachments: [{url: https://x.example, name: a}]"), 7, '"content_type"'),
    (ENTRY.format("note", ""), 4, 'Valid values: "incoming", "outgoing", "internal-note".'),
    ("version: 1\nmessages:\n  - ticket_id: 5\n", 3, "say what the entry is: incoming, outgoing or internal-note"),
    ("version: 1\nmode: imprt\nmessages: []\n", 2, 'Valid values: "import", "send".'),
    ("mode: import\nmessages: []\n", 1, 'Missing property "version".'),
    ("version: 1\n", 1, "a batch needs messages: or tickets:"),
    ("version: 1\nmode: send\nmessages: []\n", 1, "in send mode the name makes sure that nobody is written to twice"),
    ("version: 1\nmessages: []\ndefaults:\n  outgoing: {chanel: email}\n", 4, "Property chanel is not allowed."),
    ("version: 1\ntickets:\n  - status: pending\n    subject: x\n", 3, 'Valid values: "open", "closed"'),
    ("version: 1\nmessages:\n  from: 5\n", 3, "name a file, or a list of files"),
    ("version: 1\nmessages:\n  from: x.csv\n  templat: {}\n", 4, "Property templat is not allowed."),
    (
        "version: 1\nmessages:\n  from: x.csv\n  template: {type: internal-note, created_datetime: x, receiver: {}}\n",
        4,
        "no field of an internal note; `bulkmsg schema internal-note` lists them",
    ),
    (
        "version: 1\nname: x\nmode: send\nmessages:\n  - type: outgoing\n    sent_datetime: 2021-03-01T10:00:00Z\n",
        6,
        "in send mode an outgoing message must not carry sent_datetime",
    ),
    (
        f"version: 1\ntickets:\n  - messages:\n    - type: incoming\n      {DATED}  ticket_id: 5\n",
        6,
        "the message stands inside a new ticket and belongs to it",
    ),
]


@pytest.mark.parametrize(("text", "line", "sentence"), WRONG)
def test_what_is_wrong_is_marked_once_at_its_line(text: str, line: int, sentence: str, editor: Editor) -> None:
    marked = editor.marks(text)
    assert [(at, message) for at, message in marked if sentence in message] == marked[:1]
    assert [at for at, _ in marked] == [line]


def test_several_marks_speak_of_the_one_type_that_was_meant(editor: Editor) -> None:
    marked = editor.marks(ENTRY.format("outgoing", "body_txt: Hi\n    receivr: {id: 4}\n    subject: [x]"))
    assert sorted(line for line, _ in marked) == [4, 6, 7, 8]
    assert not [message for _, message in marked if "incoming" in message or "multiple schemas" in message]


def test_the_setting_on_the_page_does_without_the_first_line(way_out: socket.socket, tmp_path: Path) -> None:
    [mapping] = re.findall(r'"yaml.schemas": (\{.*?\})', (ROOT / "docs" / "editor.md").read_text(), re.DOTALL)
    said = settings(way_out.getsockname()[1])
    said["yaml"]["schemas"] = json.loads(mapping)
    (tmp_path / "batch.schema.json").write_text(json.dumps(bundled("batch")))
    with Client(COMMAND, said, tmp_path) as client:
        client.open(tmp_path / "batches" / "recall.yaml", "versoin: 1\nversion: 1\nmessages: []\n")
        [mark] = client.diagnostics(tmp_path / "batches" / "recall.yaml")
        client.open(tmp_path / "other.yaml", "versoin: 1\n")
        assert client.diagnostics(tmp_path / "other.yaml") == []
    assert mark["message"] == "Property versoin is not allowed."


# --- And nobody was asked ------------------------------------------------------------------------------------


def test_the_server_fetched_nothing(way_out: socket.socket, server: Client, tmp_path: Path) -> None:
    """Runs last: nobody knocked at the only way out. That it is the way out shows a schema from elsewhere."""
    way_out.setblocking(False)
    with pytest.raises(BlockingIOError):
        way_out.accept()
    way_out.setblocking(True)
    knocking = threading.Thread(target=turn_away, args=(way_out,))
    knocking.start()
    server.open(tmp_path / "x.yaml", MODELINE.format("http://schemas.example/batch.json") + "version: 1\n")
    [mark] = server.diagnostics(tmp_path / "x.yaml")
    knocking.join()
    assert "Unable to load schema from 'http://schemas.example/batch.json'" in mark["message"]


def turn_away(way_out: socket.socket) -> None:
    """Wait for one who comes, and let nobody else in."""
    with way_out, way_out.accept()[0]:
        pass
