"""A bare client of the wire protocol: what is timed is the daemon, not a client library."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import msgpack

Message = dict[str, Any]
GUARD_S = 120.0
"""How long to wait for any message before the daemon counts as hung."""
_SAMPLE_BYTES = 2


class Failed(RuntimeError):
    """The daemon answered with an error, or not at all."""


class Link:
    """One connection. Only one thread may use it at a time."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(GUARD_S)
        self._socket.connect(path)
        self._buffer = bytearray()
        self._id = 0

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, message: Message) -> None:
        """One message."""
        body = msgpack.packb(message)
        self._socket.sendall(len(body).to_bytes(4, "big") + body)

    def receive(self) -> Message:
        """The next message. Raises `Failed` at the connection's end."""
        while (message := self._whole()) is None:
            data = self._socket.recv(1 << 18)
            if not data:
                raise Failed("the daemon hung up")
            self._buffer += data
        return message

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message of which `wanted` is true. Raises `Failed` for an error."""
        while True:
            message = self.receive()
            if message["type"] in ("failed", "error"):
                raise Failed(f"{message['code']}: {message['message']}")
            if wanted(message):
                return message

    def say(self, text: str, **fields: Any) -> int:
        """Send a `say`; returns its id."""
        self._id += 1
        self.send({"type": "say", "id": self._id, "text": text, **fields})
        return self._id

    def wait(self, kind: str, id: int | None = None) -> Message:
        """The next message of that type (and utterance)."""
        return self.until(lambda each: each["type"] == kind and id in (None, each.get("id")))

    def call(self, kind: str, answer: str, **fields: Any) -> Message:
        """Send one message and wait for its answer."""
        self.send({"type": kind, **fields})
        return self.wait(answer, fields.get("id"))

    def _whole(self) -> Message | None:
        end = 4 + int.from_bytes(self._buffer[:4], "big")
        if len(self._buffer) < max(4, end):
            return None
        message: Message = msgpack.unpackb(self._buffer[4:end])
        del self._buffer[:end]
        return message
