"""A small client of the Language Server Protocol: opens texts in a server and waits for what it says."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

PATIENCE = 60.0  # seconds until a silent server counts as hanging and is ended; answers take milliseconds

Json = dict[str, Any]

_CAPABILITIES: Json = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {},
    },
    "workspace": {"configuration": True},
}


class Client:
    """One server process, read by one thread. A context manager; lines and columns count from 0, as on the wire."""

    def __init__(self, command: Sequence[str], settings: Json, workspace: Path | None = None) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin and self._process.stdout
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        self._settings = settings
        self._root = workspace.as_uri() if workspace else None
        self._last_id = 0

    def __enter__(self) -> Client:
        folders = [{"uri": self._root, "name": "workspace"}] if self._root else None
        about = {"processId": None, "rootUri": self._root, "workspaceFolders": folders, "capabilities": _CAPABILITIES}
        self.ask("initialize", about)
        self._send({"method": "initialized", "params": {}})
        self._send({"method": "workspace/didChangeConfiguration", "params": {"settings": self._settings}})
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.ask("shutdown", None)
            self._send({"method": "exit"})
        self._process.kill()
        self._process.wait()
        self._to.close()
        self._from.close()

    def open(self, path: Path, text: str) -> None:
        """Open a text as the file of that path, which need not exist. Each path once: nothing is closed."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})

    def diagnostics(self, path: Path) -> list[Json]:
        """What the server finds wrong with a text that was just opened; waits until it says so."""
        method, uri = "textDocument/publishDiagnostics", path.as_uri()
        said = self._wait(lambda m: m.get("method") == method and m["params"]["uri"] == uri)
        found: list[Json] = said["params"]["diagnostics"]
        return found

    def hover(self, path: Path, line: int, column: int) -> str:
        """What an editor shows over that place, as Markdown; empty if nothing."""
        shown = self.ask("textDocument/hover", _place(path, line, column))
        return str(shown["contents"]["value"]) if shown else ""

    def complete(self, path: Path, line: int, column: int) -> list[Json]:
        """What an editor offers at that place."""
        offered = self.ask("textDocument/completion", _place(path, line, column))
        items: list[Json] = offered["items"] if isinstance(offered, dict) else offered or []
        return items

    def ask(self, method: str, params: Json | None) -> Any:
        """Send a request and wait for its answer."""
        self._last_id += 1
        self._send({"id": self._last_id, "method": method, "params": params})
        answer = self._wait(lambda m: m.get("id") == self._last_id and "method" not in m)
        assert "error" not in answer, answer
        return answer["result"]

    def _wait(self, wanted: Callable[[Json], bool]) -> Json:
        """Read on until the message comes; what the server asks meanwhile is answered, the rest is passed over."""
        alarm = threading.Timer(PATIENCE, self._process.kill)
        alarm.start()
        try:
            while not wanted(message := self._read()):
                if "id" in message and "method" in message:
                    self._send({"id": message["id"], "result": self._answer(message)})
            return message
        finally:
            alarm.cancel()

    def _answer(self, question: Json) -> Any:
        if question["method"] != "workspace/configuration":
            return None
        return [self._settings.get(item.get("section", "")) for item in question["params"]["items"]]

    def _send(self, message: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._to.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._to.flush()

    def _read(self) -> Json:
        length = 0
        while line := self._from.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server ended"
        message: Json = json.loads(self._from.read(length))
        return message


def _place(path: Path, line: int, column: int) -> Json:
    return {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": column}}
