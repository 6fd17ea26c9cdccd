"""What leaves: exactly the API's JSON, from YAML and from CSV, and nothing without consent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.acceptance.recorder import recorder
from tests.acceptance.servers import run

YAML = """\
version: 1
name: wire
messages:
  - type: incoming
    ticket_id: 348149927
    channel: email
    sender: {email: jane@example.com}
    source: {from: {address: jane@example.com}, to: [{address: support@acme.example}]}
    subject: Hello
    body_text: "Hi, “there”\\nsecond line"
    sent_datetime: 2024-03-01T11:00:00+01:00
  - type: outgoing
    ticket_id: 348149927
    channel: email
    sender: {email: anna@acme.example}
    source: {from: {address: support@acme.example}, to: [{address: jane@example.com}, {address: joe@example.com}]}
    body_html: <p>Hi</p>
    sent_datetime: 2024-03-01T10:05:00Z
  - type: internal-note
    ticket_id: 348149927
    sender: {email: anna@acme.example}
    body_text: called back
    created_datetime: 2024-03-01T10:06:00Z
"""

CSV = """\
type,ticket_id,channel,sender.email,source.from,source.to,subject,body_text,body_html,sent_datetime,created_datetime
incoming,348149927,email,jane@example.com,jane@example.com,support@acme.example,Hello,"Hi, “there”
second line",,2024-03-01T11:00:00+01:00,
outgoing,348149927,email,anna@acme.example,support@acme.example,jane@example.com;joe@example.com,,,<p>Hi</p>,2024-03-01T10:05:00Z,
internal-note,348149927,,anna@acme.example,,,,called back,,,2024-03-01T10:06:00Z
"""

EXPECTED: list[dict[str, Any]] = [
    {
        "channel": "email",
        "via": "api",
        "from_agent": False,
        "sender": {"email": "jane@example.com"},
        "source": {"from": {"address": "jane@example.com"}, "to": [{"address": "support@acme.example"}]},
        "subject": "Hello",
        "body_text": "Hi, “there”\nsecond line",
        "sent_datetime": "2024-03-01T10:00:00Z",
        "created_datetime": "2024-03-01T10:00:00Z",
    },
    {
        "channel": "email",
        "via": "api",
        "from_agent": True,
        "sender": {"email": "anna@acme.example"},
        "source": {
            "from": {"address": "support@acme.example"},
            "to": [{"address": "jane@example.com"}, {"address": "joe@example.com"}],
        },
        "body_html": "<p>Hi</p>",
        "sent_datetime": "2024-03-01T10:05:00Z",
        "created_datetime": "2024-03-01T10:05:00Z",
    },
    {
        "channel": "internal-note",
        "via": "api",
        "from_agent": True,
        "sender": {"email": "anna@acme.example"},
        "body_text": "called back",
        "created_datetime": "2024-03-01T10:06:00Z",
    },
]


def _sent(tmp_path: Path, name: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    batch = tmp_path / name
    batch.write_text(text)
    with recorder() as server:
        done = run(server.url, "run", batch, "--name", "wire", "--settle", "0")
        assert done.returncode == 0, done.stderr
        return server.posts


def test_yaml_and_csv_put_exactly_the_same_fields_on_the_wire(tmp_path: Path) -> None:
    for name, text in (("batch.yaml", YAML), ("batch.csv", CSV)):
        posts = _sent(tmp_path, name, text)
        assert [path for path, _ in posts] == ["/api/tickets/348149927/messages"] * 3
        ids = [body.pop("external_id") for _, body in posts]
        assert len(set(ids)) == 3
        assert [body for _, body in posts] == EXPECTED


def test_external_ids_are_the_same_for_ever_and_differ_by_account_and_name(tmp_path: Path) -> None:
    first = _sent(tmp_path, "batch.yaml", YAML)
    (tmp_path / "batch.yaml.acme.progress.jsonl").unlink()
    again = _sent(tmp_path, "batch.yaml", YAML)
    assert [body["external_id"] for _, body in first] == [body["external_id"] for _, body in again]
    assert all(len(body["external_id"]) <= 255 and "@" not in body["external_id"] for _, body in first)


SEND = """\
version: 1
name: recall
mode: send
tickets:
  from: customers.csv
  key: email
  template:
    subject: "Your order {{ order }}: recall"
    messages:
      - type: outgoing
        channel: email
        sender: {email: anna@acme.example}
        source: {from: {address: support@acme.example}, to: [{address: "{{ email }}"}]}
        body_text: "Hi {{ first_name | default('there') }}"
"""
CUSTOMERS = "email,first_name,order\njane@example.com,Jane,17\njoe@example.com,,18\n"


def _send_batch(tmp_path: Path) -> Path:
    (tmp_path / "customers.csv").write_text(CUSTOMERS)
    batch = tmp_path / "send.yaml"
    batch.write_text(SEND)
    return batch


def test_nothing_is_mailed_without_consent(tmp_path: Path) -> None:
    batch = _send_batch(tmp_path)
    with recorder() as server:
        for flags in ([], ["--yes"], ["--allow-send", "1"], ["--allow-send", "0"]):
            done = run(server.url, "run", batch, *flags)
            assert done.returncode == 4, done.stderr
            assert "--allow-send 2" in done.stderr
        assert run(server.url, "run", batch, BULKMSG_ALLOW_SEND="2", BULKMSG_YES="1").returncode == 4
        assert server.posts == []


def test_with_consent_each_customer_gets_one_ticket_with_one_mail(tmp_path: Path) -> None:
    batch = _send_batch(tmp_path)
    with recorder() as server:
        done = run(server.url, "run", batch, "--allow-send", "2")
        assert done.returncode == 0, done.stderr
        assert [path for path, _ in server.posts] == ["/api/tickets", "/api/tickets"]
        ticket = min((body for _, body in server.posts), key=lambda body: body["subject"])  # they leave side by side
        message = ticket["messages"][0]
        assert ticket.pop("external_id") != message.pop("external_id")
        assert ticket == {
            "subject": "Your order 17: recall",
            "channel": "email",
            "via": "api",
            "from_agent": True,
            "customer": {"email": "jane@example.com"},
            "messages": [message],
        }
        assert message == {
            "channel": "email",
            "via": "api",
            "from_agent": True,
            "sender": {"email": "anna@acme.example"},
            "source": {"from": {"address": "support@acme.example"}, "to": [{"address": "jane@example.com"}]},
            "subject": "Your order 17: recall",
            "body_text": "Hi Jane",
        }
        again = run(server.url, "run", batch)
        assert again.returncode == 0, again.stderr
        assert len(server.posts) == 2
        batch.write_text(SEND.replace("Hi {{", "Dear {{"))
        corrected = run(server.url, "run", batch, "--allow-send", "2")
        assert corrected.returncode == 3
        assert len(server.posts) == 2


def test_an_outgoing_message_without_sent_datetime_is_refused_in_import_mode_and_says_why(tmp_path: Path) -> None:
    batch = tmp_path / "batch.yaml"
    batch.write_text(YAML.replace("    sent_datetime: 2024-03-01T10:05:00Z\n", ""))
    with recorder() as server:
        done = run(server.url, "run", batch)
        assert done.returncode == 3
        assert "batch.yaml:12:" in done.stderr
        assert "sent_datetime" in done.stderr
        assert "really send" in done.stderr
        assert server.requests == []


def test_wrong_credentials_end_the_run_at_once_and_reject_nothing(tmp_path: Path) -> None:
    batch = tmp_path / "batch.yaml"
    batch.write_text(YAML)
    with recorder(status=401) as server:
        done = run(server.url, "run", batch, "--format", "json")
        assert done.returncode == 4, done.stderr
        assert "GORGIAS_API_KEY" in done.stderr
        assert '"rejected": 0' in done.stdout
        assert "key-for-tests" not in done.stdout + done.stderr


def test_a_lost_progress_log_sends_nothing_and_says_so(tmp_path: Path) -> None:
    from tests.acceptance.servers import sandbox

    batch = tmp_path / "batch.yaml"
    batch.write_text(YAML)
    with sandbox() as url:
        assert run(url, "run", batch).returncode == 0
        log = tmp_path / "batch.yaml.acme.progress.jsonl"
        aside = log.rename(tmp_path / "aside.jsonl")
        lost = run(url, "run", batch)
        assert lost.returncode == 7, lost.stderr
        assert "nothing was sent" in lost.stderr
        aside.rename(log)
        assert run(url, "run", batch).returncode == 0
        from tests.acceptance.servers import asked

        assert len(asked(url, "/_sandbox/history")["created"]) == 3
