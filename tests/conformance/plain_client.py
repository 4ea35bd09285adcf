"""A client written from the protocol page alone: plain sockets, struct, msgpack, no cosyd.

It is the second opinion on the wire: nothing here shares code with the daemon or with the
client library, and every message that comes in passes the referee.
"""

from __future__ import annotations

import socket
import struct
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from tests.conformance.referee import Referee

Message = dict[str, Any]
TERMINAL = ("finished", "stopped", "failed")
GUARD_S = 10.0
"""How long to wait for anything before it counts as never coming."""
MAX_SERVER_BYTES = 1 << 20


def pack(message: object) -> bytes:
    """One framed message."""
    return frame(msgpack.packb(message))


def frame(body: bytes) -> bytes:
    """Any bytes behind a true length."""
    return struct.pack(">I", len(body)) + body


@dataclass
class Heard:
    """All that came for one utterance."""

    started: Message
    """Empty if it ended before it started."""
    audio: list[Message]
    marks: list[Message]
    end: Message

    @property
    def pcm(self) -> bytes:
        """All frames joined, padding included."""
        return b"".join(message["pcm"] for message in self.audio)

    @property
    def samples(self) -> list[float]:
        """The true samples, -1…1."""
        wide = self.started["encoding"] == "f32le"
        values = array("f" if wide else "h", self.pcm)
        scale = 1.0 if wide else 1 / 32768
        return [value * scale for value in values][: self.end.get("samples")]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.end["samples"] / self.started["sample_rate"])


class Peer:
    """One connection."""

    def __init__(self, path: str, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(GUARD_S)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(path)
        self.log: list[Message] = []
        self.times: list[float] = []
        self.last_id = 0
        self._untaken: list[Message] = []
        self._bytes = bytearray()
        self._referee = Referee()

    def close(self) -> None:
        """Gone altogether."""
        self.socket.close()

    def end_writing(self) -> None:
        """Close the writing side only."""
        self.socket.shutdown(socket.SHUT_WR)

    def write(self, data: bytes) -> None:
        """Raw bytes."""
        self.socket.sendall(data)

    def send(self, *messages: Message) -> None:
        """All in one write."""
        self.write(b"".join(map(pack, messages)))

    def _exactly(self, count: int) -> bytes:
        while len(self._bytes) < count:
            data = self.socket.recv(1 << 18)
            if not data:
                assert not self._bytes, "the stream ended inside a message"
                raise EOFError
            self._bytes += data
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken

    def read(self) -> Message:
        """The next message from the socket. Raises EOFError at the end of the stream."""
        (length,) = struct.unpack(">I", self._exactly(4))
        assert 0 < length <= MAX_SERVER_BYTES
        message = msgpack.unpackb(self._exactly(length), strict_map_key=True)
        assert isinstance(message, dict)
        assert isinstance(message["type"], str)
        self._referee.check(message)
        self.log.append(message)
        self.times.append(time.monotonic())
        self._untaken.append(message)
        return message

    def ask(self, message: Message) -> Message:
        """Send and take the very next message of an otherwise quiet connection."""
        self.send(message)
        return self.next()

    def next(self) -> Message:
        """The oldest message not yet taken, or the next one."""
        message = self._untaken[0] if self._untaken else self.read()
        self._untaken.remove(message)
        return message

    def until(self, *kinds: str, **fields: object) -> Message:
        """Take the first message not yet taken of one of `kinds` with `fields`; keep the rest."""
        for message in self._unfolding():
            same = all(key in message and message[key] == fields[key] for key in fields)
            if message["type"] in kinds and same:
                self._untaken.remove(message)
                return message
        raise AssertionError("unreachable")

    def _unfolding(self) -> Iterator[Message]:
        yield from list(self._untaken)
        while True:
            yield self.read()

    def rest(self) -> list[Message]:
        """Everything not yet taken up to the end of the stream."""
        try:
            while True:
                self.read()
        except (EOFError, ConnectionResetError):
            taken, self._untaken = self._untaken, []
            return taken

    def quiet(self) -> list[str]:
        """The types of what came and was not taken, up to the answer to a ping sent now."""
        nonce = f"quiet {len(self.log)}"
        self.send({"type": "ping", "nonce": nonce})
        self.until("pong", nonce=nonce)
        kinds = [message["type"] for message in self._untaken]
        self._untaken.clear()
        return kinds

    def say(self, text: str, **fields: object) -> int:
        """Send a `say` with the next id and give the id."""
        self.last_id += 1
        self.send({"type": "say", "id": self.last_id, "text": text, **fields})
        return self.last_id

    def hear(self, id: int) -> Heard:
        """Read on until utterance `id` has ended."""
        end = next((m for m in self._of(id) if m["type"] in TERMINAL), None)
        end = end or self.until(*TERMINAL, id=id)
        mine = self._of(id)
        self._untaken = [message for message in self._untaken if message.get("id") != id]
        started = [message for message in mine if message["type"] == "started"]
        return Heard(
            started=started[0] if started else {},
            audio=[message for message in mine if message["type"] == "audio"],
            marks=[message for message in mine if message["type"] == "mark"],
            end=end,
        )

    def _of(self, id: int) -> list[Message]:
        return [message for message in self.log if message.get("id") == id]

    def speak(self, text: str, **fields: object) -> Heard:
        """Say it and hear it to its end."""
        return self.hear(self.say(text, **fields))

    def status(self) -> Message:
        """The daemon's status."""
        self.send({"type": "status"})
        return self.until("status")


def still_speaks(peer: Peer) -> None:
    """Prove that the connection is as good as new."""
    heard = peer.speak("Still here", voice="tone", sample_rate=8000)
    assert heard.end["type"] == "finished", heard.end
    assert abs(heard.seconds - 0.2) < 0.02


def drops(peer: Peer, code: str) -> str:
    """The connection is closed after one `error` with `code`; gives its message."""
    *before, last = peer.rest()
    assert not before
    assert (last["type"], last["code"]) == ("error", code)
    return str(last["message"])
