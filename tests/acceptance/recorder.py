"""A server that accepts everything and remembers the very bytes: what is on the wire, before any helpdesk reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Recording:
    """Requests in order: method, path with query, headers, body."""

    url: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 201

    @property
    def posts(self) -> list[tuple[str, Any]]:
        return [(path, json.loads(body)) for method, path, _, body in self.requests if method == "POST"]


@contextmanager
def recorder(status: int = 201) -> Iterator[Recording]:
    """A recording server on loopback; creates are answered with the given status."""
    recording = Recording(status=status)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            recording.requests.append((self.command, self.path, dict(self.headers), body))
            status, answer = _reply(recording, self.command, self.path, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Gorgias-Account-Api-Call-Limit", "1/40")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    recording.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield recording
    finally:
        server.shutdown()
        server.server_close()


def _reply(recording: Recording, method: str, path: str, body: bytes) -> tuple[int, Any]:
    if method == "GET":
        if path.startswith(("/api/messages", "/api/tickets?")):
            return 200, {"data": [], "meta": {"next_cursor": None}}
        if path.startswith("/api/tickets/"):
            return 200, {"id": int(path.split("/")[3]), "messages": []}
        return 200, {"id": 7, "domain": "acme"}
    if recording.status >= 400:
        return recording.status, {"error": {"msg": "Unauthorized."}}
    sent = json.loads(body)
    number = 1000 + len(recording.requests)
    inner = [{"id": number + 1}] if "messages" in sent else None
    return recording.status, {"id": number, "external_id": sent.get("external_id"), "messages": inner}
