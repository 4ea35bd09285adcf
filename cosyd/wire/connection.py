"""The client's end of one connection, sans-io: what to send, and what arrived for whom.

The shells (`cosyd.client.sync`, `cosyd.client.aio`) move bytes and wait; every decision is here.

Flow control: a shell reads only while somebody waits for something, so a slow listener holds
the whole connection's audio back, as the contract says. But whoever waits for one utterance
must not be stuck behind another that nobody listens to: an inbox that fills up meanwhile is
paused at the daemon (`relieve`) and resumed once it has been listened to (`take`).

Repeating: a daemon that exits just as a client comes drops the connection before its first
byte. Until that byte everything said is kept, so that a shell can say it again elsewhere. After
it, utterances of which no audio has come are: when the connection is lost, or when the engine
died (`engine_crashed`; not when it hung, as that would only take as long again). Once each, under
a new id, and only if all of their text is still held. One that was heard is never repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cosyd.errors import BadRequest, CosydError, Protocol, Unreachable, from_code
from cosyd.wire.call import Call
from cosyd.wire.fields import FieldError
from cosyd.wire.framing import Decoder, encode
from cosyd.wire.inbox import COLLECT_FRAMES, INBOX_FRAMES, Inbox
from cosyd.wire.messages import (
    ANSWERS,
    MAX_CLIENT_MESSAGE_BYTES,
    MAX_SERVER_MESSAGE_BYTES,
    MAX_TEXT_CHARS,
    SAY,
    SERVER,
    VERSION,
    Message,
    check_server,
)

REPEAT_BYTES: Final = 1024 * 1024
"""Most that is kept to be said again; what goes beyond it is not repeated."""
_REPEATED: Final = "engine_crashed"

_FATAL: Final = frozenset({"protocol", "forbidden", "unsupported_version", "busy"})
"""Errors that nobody asked for after which the daemon closes the connection."""

_SAY_FIELDS: Final = {field.name: field for field in SAY}


def split_text(text: str, limit: int = MAX_TEXT_CHARS) -> Iterator[str]:
    """`text` in pieces of at most `limit` characters, cut after white space where there is some."""
    start = 0
    while len(text) - start > limit:
        cut = start + limit
        while cut > start + limit // 2 and not text[cut - 1].isspace():
            cut -= 1
        if cut == start + limit // 2:
            cut = start + limit
        yield text[start:cut]
        start = cut
    yield text[start:]


class ClientConnection:
    """Everything a client knows about one connection. No locks: one thread at a time."""

    def __init__(self, client: str = "", inbox_frames: int = INBOX_FRAMES) -> None:
        self._client = client
        self._inbox_frames = inbox_frames
        self._inboxes: dict[int, Inbox] = {}
        self._calls: dict[int, Call] = {}
        self._last_id = 0
        self._last_ref = 0
        self.lost: CosydError | None = None
        """Why the connection is of no more use; None while it is."""
        self._begin()

    def _begin(self) -> None:
        """A new connection."""
        self._decoder = Decoder(MAX_SERVER_MESSAGE_BYTES)
        self._first: bytearray | None = bytearray()
        self.outgoing = bytearray()
        """What must be sent now; whoever sends it takes it out with `sent`."""
        self.answered = False
        """Whether the daemon has said anything."""
        self.hello = self.call("hello", version=VERSION, client=self._client)
        """The daemon's greeting; asked for at once, travels with the first write."""

    def say(self, text: str, *, final: bool = True, **fields: Any) -> Inbox:
        """Begin an utterance; text of any length, sent as `say` and `text` messages.

        A field that is None is left to the daemon; `...` leaves one whose nil has a meaning.

        Raises:
            TypeError: `say` has no such field.
            BadRequest: a value that cannot go over the wire.
        """
        utterance_id = self._last_id + 1
        first, *rest = split_text(text)
        inbox = Inbox(utterance_id, self._inbox_frames)
        self._write(inbox, "say", text=first, final=final and not rest, **_given(fields))
        self._last_id = utterance_id
        self._inboxes[utterance_id] = inbox
        inbox.text_final = final
        for index, piece in enumerate(rest, start=1):
            last = final and index == len(rest)
            self._write(inbox, "text", text=piece, final=last)
        return inbox

    def text(self, inbox: Inbox, text: str, *, final: bool = False, flush: bool = False) -> None:
        """More text for an utterance that was begun with `final=False`; none if it has ended.

        Raises:
            BadRequest: the last of its text was sent already.
        """
        if inbox.text_final:
            raise BadRequest("this utterance has all its text: say the rest as a new one")
        if inbox.ended or inbox.dropped:
            return
        inbox.text_final = final
        *head, last = split_text(text)
        for piece in head:
            self._write(inbox, "text", text=piece)
        self._write(inbox, "text", text=last, final=final, flush=flush)

    def pause(self, inbox: Inbox) -> None:
        """Ask for silence until `resume`."""
        inbox.wants_pause = inbox.paused = True
        self._control("pause", inbox)

    def resume(self, inbox: Inbox) -> None:
        """Go on after a pause, whoever paused it."""
        inbox.wants_pause = inbox.paused = False
        if not inbox.flow_paused:
            self._control("resume", inbox)

    def stop(self, inbox: Inbox) -> None:
        """End it now; what has arrived and was not taken is dropped at once."""
        inbox.drop()
        self._control("stop", inbox)

    def everything(self, kind: str, *, scope: str | None = None) -> None:
        """`pause`, `resume` or `stop` all utterances of this connection, or of the daemon."""
        self._send(kind, **({} if scope is None else {"scope": scope}))
        for inbox in self._inboxes.values():
            if kind == "stop":
                inbox.drop()
            else:
                inbox.wants_pause = inbox.paused = kind == "pause"
                inbox.flow_paused &= kind == "pause"

    def call(self, kind: str, **fields: Any) -> Call:
        """A management request (a key of `ANSWERS`); fields that are None are left out."""
        ref = self._last_ref + 1
        given = {name: value for name, value in fields.items() if value is not None}
        self._send(kind, ref=ref, **given)
        self._last_ref = ref
        call = self._calls[ref] = Call(ANSWERS[kind])
        return call

    def sent(self, size: int) -> None:
        """The first `size` bytes of `outgoing` are on their way."""
        del self.outgoing[:size]

    def take(self, inbox: Inbox) -> bytes | None:
        """The next frame of a `ready` inbox, None at its end. Raises what `failed` said."""
        frame = inbox.take()
        if inbox.flow_paused and len(inbox.frames) <= inbox.limit // 2:
            self._flow_resume(inbox)
        return frame

    def collect(self, inbox: Inbox) -> None:
        """Make room for the whole of an utterance that nobody listens to."""
        if not inbox.listened:
            inbox.limit = max(inbox.limit, COLLECT_FRAMES)
            if inbox.flow_paused and not inbox.full:
                self._flow_resume(inbox)

    @property
    def full(self) -> bool:
        """Whether an inbox is full that still gets more."""
        return any(inbox.full for inbox in self._inboxes.values() if not inbox.flow_paused)

    def relieve(self) -> None:
        """Pause what fills up, because somebody waits for something else."""
        for inbox in self._inboxes.values():
            if inbox.full and not inbox.flow_paused:
                inbox.flow_paused = True
                if not inbox.wants_pause:
                    self._control("pause", inbox)

    def receive(self, data: bytes) -> None:
        """Take bytes from the daemon; b"" is the end of the stream.

        What goes wrong is told to every open inbox and call, and kept in `lost`.
        """
        if not data:
            self.lose(_hung_up())
        if self.lost is not None:
            return
        self.answered, self._first = True, None
        try:
            self._decoder.feed(data)
            while self.lost is None and (message := self._decoder.next_message()) is not None:
                self._dispatch(message)
        except Protocol as error:
            self.lose(error)
        except FieldError as error:
            self.lose(Protocol(f"the daemon sent a broken message: {error}"))

    def repeat(self) -> bool:
        """Say again, over a new connection, what may be; False if nothing may.

        What may not is told that the connection was lost.
        """
        if self.lost is not None:
            return False
        if self._first is not None:
            self.outgoing = bytearray(self._first)
            return True
        unheard = [inbox for inbox in self._inboxes.values() if inbox.kept]
        if unheard:
            self._lose_all(_hung_up())
            self._begin()
            for inbox in unheard:
                self._say_again(inbox)
        return bool(unheard)

    def lose(self, error: CosydError) -> None:
        """Give up: every open utterance and call ends with `error` (the first one counts)."""
        self.lost = self.lost or error
        for inbox in self._inboxes.values():
            inbox.forget()
        self._lose_all(self.lost)

    def _lose_all(self, error: CosydError) -> None:
        """Tell all that the connection is gone, except those that may be repeated."""
        for inbox in self._inboxes.values():
            if not inbox.kept:
                inbox.lose(error)
        for call in self._calls.values():
            call.error = call.error or error
        self._inboxes.clear()
        self._calls.clear()
        self.outgoing.clear()

    def _say_again(self, inbox: Inbox) -> None:
        self._inboxes.pop(inbox.id, None)
        self._last_id += 1
        self._inboxes[self._last_id] = inbox
        for kind, fields in inbox.begin_again(self._last_id):
            # Those that it was to interrupt are gone; those that came after it are not meant.
            mended = {**fields, "interrupt": False} if fields.get("interrupt") else fields
            self._send(kind, id=inbox.id, **mended)
        if inbox.paused:
            self._control("pause", inbox)

    def _write(self, inbox: Inbox, kind: str, **fields: Any) -> None:
        """Send text of an utterance, and keep it as long as it may have to be said again."""
        size = self._send(kind, id=inbox.id, **fields)
        kept = sum(other.kept_bytes for other in self._inboxes.values())
        inbox.keep(kind, fields, size, REPEAT_BYTES - kept)

    def _send(self, kind: str, **fields: Any) -> int:
        """Put a message into `outgoing`; its size in bytes."""
        if self.lost is not None:
            raise self.lost
        try:
            data = encode({"type": kind, **fields}, MAX_CLIENT_MESSAGE_BYTES)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadRequest(f"{kind} cannot be sent: {error}") from error
        self.outgoing += data
        if self._first is not None:
            self._first += data
            if len(self._first) > REPEAT_BYTES:
                self._first = None
        return len(data)

    def _control(self, kind: str, inbox: Inbox) -> None:
        if not inbox.ended and self.lost is None:
            self._send(kind, id=inbox.id)

    def _flow_resume(self, inbox: Inbox) -> None:
        inbox.flow_paused = False
        if not inbox.wants_pause:
            self._control("resume", inbox)

    def _dispatch(self, message: Message) -> None:
        if message["type"] not in SERVER:
            return  # a newer daemon may say more than we know
        message = {"type": message["type"], **check_server(message)}
        if "id" in message:
            self._to_inbox(message)
        elif (call := self._answered_call(message["ref"])) is not None:
            self._answer(call, message)
        elif message["type"] == "error" and message["code"] in _FATAL:
            self.lose(from_code(message["code"], message["message"]))

    def _answered_call(self, ref: object) -> Call | None:
        return self._calls.pop(ref, None) if isinstance(ref, int) else None

    def _to_inbox(self, message: Message) -> None:
        inbox = self._inboxes.get(message["id"])
        if inbox is None:
            return
        if inbox.kept and message["type"] == "failed" and message["code"] == _REPEATED:
            self._say_again(inbox)
            return
        inbox.receive(message)
        if inbox.ended:
            del self._inboxes[inbox.id]

    def _answer(self, call: Call, message: Message) -> None:
        if message["type"] == "error":
            call.error = from_code(message["code"], message["message"])
            if call is self.hello:
                self.lose(call.error)  # no greeting, no connection
        elif message["type"] == call.expected:
            call.answer = {k: v for k, v in message.items() if k not in ("type", "ref")}
        else:
            raise Protocol(f"the daemon answered {message['type']!r} to {call.expected!r}")


def _hung_up() -> Unreachable:
    return Unreachable("the daemon closed the connection: try again")


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    for name in fields:
        if name not in _SAY_FIELDS:
            raise TypeError(f"say() has no field {name!r}")
    return {
        name: value
        for name, value in fields.items()
        if value is not ... and (value is not None or _SAY_FIELDS[name].nil)
    }
