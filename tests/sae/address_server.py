"""A server of stores on this machine that misbehaves on demand, for tests of fetching."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Server(ThreadingHTTPServer):
    """Serves ``root`` with Range. ``faults`` maps the end of a path to the name of a fault; ``asked`` are requests
    as (path, Range)."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.faults: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.gate = threading.Event()  # what waits at the fault "gate"
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        self.server.asked.append((path, self.headers.get("Range")))
        fault = next((name for end, name in self.server.faults.items() if path.endswith(end)), "")
        if fault == "gate":
            self.server.gate.wait(60)
        if fault.startswith("redirect "):
            return self._send(
                302, b"", {"Location": fault.removeprefix("redirect ").replace("HERE", self.path)}
            )
        if fault.startswith("status "):
            return self._send(int(fault.removeprefix("status ")), b"no")
        if fault == "html":
            return self._send(200, b"<!DOCTYPE html><html><body>Sign in</body></html>")
        if fault == "once":
            end = next(end for end in self.server.faults if path.endswith(end))
            del self.server.faults[end]
            return self._send(503, b"later")
        if path.startswith("api/"):
            return self._send(200, b'{"sha": "' + b"a" * 40 + b'"}')
        file = self.server.root / path.split("/resolve/" + "a" * 40 + "/")[-1]
        if not file.is_file():
            return self._send(404, b"not here")
        data = file.read_bytes()
        if fault == "other bytes":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if fault == "longer":
            data += b"x" * 1000
        if fault == "shorter":
            data = data[: len(data) // 2]
        start = 0
        if (asked := self.headers.get("Range")) and fault != "no range":
            start = int(asked.removeprefix("bytes=").split("-")[0])
        headers = {"ETag": f'"{len(data)}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if fault == "endless":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            while True:
                self.wfile.write(bytes(1 << 16))
        if fault == "cut":  # promises all and hangs up half-way
            self.send_response(206 if start else 200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + max(1, (len(data) - start) // 2)])
            self.wfile.flush()
            self.connection.close()
            return None
        if fault == "slow":
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            for byte in data:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
            return None
        return self._send(206 if start else 200, data[start:], headers)

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    """A running server of a folder."""
    server = Server(root)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        server.server_close()
