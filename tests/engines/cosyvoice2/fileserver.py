"""A web server on this machine that breaks off, refuses and lies, as its script says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cosyd.engines.cosyvoice2.pull import Source


@dataclass
class Script:
    """What the server has and what it does; `asked` is what it was asked for, in order."""

    content: dict[str, bytes]
    breaks: list[int] = field(default_factory=list)
    """Bytes of body after which the next answers break off."""
    statuses: list[int] = field(default_factory=list)
    """Of the next answers; 0: as usual."""
    ranges: bool = True
    """Whether it knows partial requests."""
    redirect: str | None = None
    """Where it sends everybody instead of answering."""
    lengths: bool = True
    """Whether it says how long an answer is."""
    wrong_range: bool = False
    """Whether it answers partial requests with another part."""
    go_on: threading.Event | None = None
    """Answers that break off stay open until this is set."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range."""


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, wanted = self.path.removeprefix("/"), self.headers.get("Range")
            script.asked.append((path, wanted))
            status = script.statuses.pop(0) if script.statuses else 0
            if script.redirect is not None:
                self._end(302, {"Location": script.redirect + self.path})
            elif status or path not in script.content:
                self._end(status or 404, {})
            else:
                self._send(script.content[path], wanted)

        def _send(self, body: bytes, wanted: str | None) -> None:
            start, headers = 0, {}
            if wanted and script.ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self._end(416, {})
                    return
                said = start + script.wrong_range
                headers["Content-Range"] = f"bytes {said}-{len(body) - 1}/{len(body)}"
            if script.lengths:
                headers["Content-Length"] = str(len(body) - start)
            self._end(206 if headers.get("Content-Range") else 200, headers)
            breaks = bool(script.breaks)
            end = start + script.breaks.pop(0) if breaks else len(body)
            self.wfile.write(body[start:end])
            if breaks and script.go_on is not None:
                script.go_on.wait(60)

        def _end(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serving(script: Script, name: str = "here") -> Iterator[Source]:
    """Serve while in the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Source(name, f"http://127.0.0.1:{server.server_port}/{{path}}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
