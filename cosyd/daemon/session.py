"""One connection: bytes in, decisions by the tables, messages out under back-pressure."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from itertools import count
from typing import Final, cast

from cosyd.daemon.boundary import attempt
from cosyd.daemon.choice import check_length
from cosyd.daemon.clock import Timer
from cosyd.daemon.core import Core
from cosyd.daemon.management import MANAGEMENT, check_ref, refusal
from cosyd.daemon.pump import Pump
from cosyd.daemon.utterance import Text, Utterance, facts
from cosyd.errors import (
    BadRequest,
    Busy,
    CosydError,
    Protocol,
    TextTooLong,
    UnknownId,
    UnknownType,
    UnsupportedVersion,
)
from cosyd.logs import event, text_facts
from cosyd.wire.fields import ID_MAX, FieldError
from cosyd.wire.framing import Decoder, encode
from cosyd.wire.messages import (
    CLIENT,
    MAX_CLIENT_MESSAGE_BYTES,
    MAX_SERVER_MESSAGE_BYTES,
    MAX_UTTERANCE_CHARS,
    MAX_UTTERANCE_PIECES,
    MAX_UTTERANCES,
    Message,
    check_client,
)

_LOG: Final = logging.getLogger("cosyd.session")
_NUMBERS = count(1)

WRITE_HIGH_BYTES: Final = 7_680
"""About 80 ms of 48 kHz s16: what waits in the transport cannot be stopped any more."""
SEND_BUFFER_BYTES: Final = 8_192
UNREAD_ANSWERS_BYTES: Final = 1024 * 1024
"""A client that asks on without reading its answers is not read from beyond this."""
MESSAGES_A_TURN: Final = 16
"""Messages obeyed before other connections get the loop."""
HALF_CLOSED_CHECK_S: Final = 0.2
LINGER_S: Final = 2.0


class Session(asyncio.Protocol):
    """Server side of one connection."""

    def __init__(self, core: Core, loop: asyncio.AbstractEventLoop) -> None:
        self.number = next(_NUMBERS)
        self.pending_answers = 0
        """Management requests whose answer is still to come."""
        self.client = ""
        """Name of the program at the other end, as its `hello` gave it."""
        self._core = core
        self._decoder = Decoder(MAX_CLIENT_MESSAGE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._open: dict[int, Utterance] = {}
        self._pump = Pump(self.send, core.clock, loop.call_soon)
        self._call_soon = loop.call_soon
        self._turn_waits = False
        self._last_id = -1
        self._broken = False
        self._half_closed = False
        self._hang_up_timer: Timer | None = None

    # asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep little in the buffers, so that a stop is heard soon."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES, low=WRITE_HIGH_BYTES // 2)
        event(_LOG, "connected", level=logging.DEBUG, connection=self.number)

    def connection_lost(self, _error: Exception | None) -> None:
        """The client is gone: stop what it asked for, compute included."""
        self._transport = None
        self._pump.stop()
        if self._hang_up_timer is not None:
            self._hang_up_timer.cancel()
        for utterance in list(self._open.values()):
            utterance.abandon()
        self._core.connections.discard(self)
        self._core.on_change()
        event(_LOG, "disconnected", level=logging.DEBUG, connection=self.number)

    def pause_writing(self) -> None:
        """The client reads slower than we send."""
        self._pump.writable = False

    def resume_writing(self) -> None:
        """It has caught up."""
        self._pump.writable = True
        self._obey_waiting()
        self._pump.run()

    def eof_received(self) -> bool:
        """It sends no more; a pipe still wants its answers, a closed socket wants nothing."""
        if not self._half_closed:
            self._half_closed = True
            for utterance in self.utterances():
                if not utterance.text_final:  # what it has is all there will be
                    utterance.write(Text("", final=True, flush=False))
            self._check_half_closed()
        return True

    def data_received(self, data: bytes) -> None:
        """Obey every whole message, in turns."""
        if not self._broken:
            self._decoder.feed(data)
            self._obey_waiting()

    # Owner ---------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Put one message on the connection."""
        if message["type"] in ("failed", "error"):
            self._core.statistics.errors[message["code"]] += 1
        if self._transport is None or self._transport.is_closing() or self._broken:
            return
        self._transport.write(encode(message, MAX_SERVER_MESSAGE_BYTES))

    def wake(self) -> None:
        """An utterance may have something to send."""
        self._pump.wake()

    def ended(self, utterance: Utterance) -> None:
        """Forget an utterance that has had its terminal message."""
        del self._open[utterance.id]
        self._pump.remove(utterance)
        event(_LOG, "ended", connection=self.number, **facts(utterance))
        self._core.ended(utterance)
        self.close_if_done()

    def utterances(self) -> list[Utterance]:
        """Those that have not ended."""
        return list(self._open.values())

    # ending --------------------------------------------------------------------------------

    def close(self) -> None:
        """Send what is written, then end the connection."""
        if self._transport is not None:
            self._transport.close()

    def close_if_done(self) -> None:
        """A client that closed its writing side gets EOF once it has all it asked for."""
        if self._half_closed and not self._open and not self.pending_answers:
            self.close()

    def _check_half_closed(self) -> None:
        """Tell a half-closed socket from one whose other end is gone.

        No event loop reports a hang-up after the end of file, so it is looked up now and then.
        """
        if self._transport is None:
            return
        poll = select.poll()
        poll.register(self._socket().fileno(), 0)
        if any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0)):
            self._transport.abort()
            return
        self.close_if_done()
        self._hang_up_timer = self._core.clock.call_later(
            HALF_CLOSED_CHECK_S, self._check_half_closed
        )

    def _refuse(self, error: CosydError, asked: Message | None = None) -> None:
        """Say why, then close; what the client still sends is read and dropped meanwhile.

        Closing at once would reset a client that is still writing, before it read the reason.
        """
        self.send(refusal(error, asked))
        self._broken = True
        for utterance in list(self._open.values()):
            utterance.abandon()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
            self._core.clock.call_later(LINGER_S, self.close)

    def _socket(self) -> socket.socket:
        assert self._transport is not None
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    # obeying -------------------------------------------------------------------------------

    def _obey_waiting(self) -> None:
        """Obey what has come: some of it now, the rest after the other connections' turns.

        Nothing is read meanwhile, nor while answers lie unread (`resume_writing` goes on then),
        so that neither requests nor answers pile up.
        """
        if self._transport is None or self._transport.is_closing():
            return
        for _ in range(MESSAGES_A_TURN):
            if self._transport.get_write_buffer_size() > UNREAD_ANSWERS_BYTES:
                self._transport.pause_reading()
                return
            if self._broken or not self._obey_next():
                if not self._half_closed:
                    self._transport.resume_reading()
                return
        self._transport.pause_reading()
        if not self._turn_waits:
            self._turn_waits = True
            self._call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_waits = False
        self._obey_waiting()

    def _obey_next(self) -> bool:
        """Whether there was a whole message."""
        try:
            message = self._decoder.next_message()
        except Protocol as error:
            self._refuse(error)
            return False
        if message is not None:
            self._obey(message)
        return message is not None

    def _obey(self, message: Message) -> None:
        error = attempt(lambda: self._handle(message["type"], message))
        if isinstance(error, UnsupportedVersion):
            self._refuse(error, message)
        elif error is not None:
            self.send(refusal(error, message))

    def _handle(self, kind: str, message: Message) -> None:
        check_ref(message)
        if kind not in CLIENT:
            raise UnknownType(f"unknown message type {kind[:64]!r}")
        if kind == "say":
            self._on_say(message)
        elif kind in ("pause", "resume", "stop"):
            self._on_control(kind, check_client(message))
        elif kind == "text":
            self._on_text(check_client(message))
        else:
            MANAGEMENT[kind](self._core, self, check_client(message))

    def _on_say(self, message: Message) -> None:
        number = message.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= ID_MAX:
            raise FieldError(f"id must be an integer from 0 to {ID_MAX}")
        if number <= self._last_id:
            raise FieldError(f"id must be greater than {self._last_id}, the last one said")
        self._last_id = number
        self._core.statistics.said += 1
        if (error := attempt(lambda: self._say(message))) is not None:
            self._fail(number, error)

    def _say(self, message: Message) -> None:
        request = check_client(message)
        if len(self._open) >= MAX_UTTERANCES:
            raise Busy(f"{MAX_UTTERANCES} utterances are open here: let one end first")
        event(_LOG, "say", connection=self.number, id=request["id"], **text_facts(request["text"]))
        self._core.say(request, self, self._keep)

    def _keep(self, utterance: Utterance) -> None:
        self._open[utterance.id] = utterance
        self._pump.add(utterance)

    def _fail(self, number: int, error: CosydError) -> None:
        """The terminal message of a `say`, whether it became an utterance or not."""
        if (utterance := self._open.get(number)) is not None:
            utterance.fail(error)
            return
        self._core.statistics.refused(error.code)
        self.send(
            {
                "type": "failed",
                "id": number,
                "code": error.code,
                "message": error.message,
                "retryable": error.retryable,
            }
        )

    def _on_text(self, message: Message) -> None:
        self._check_said(message["id"])
        check_length(message["text"])
        utterance = self._open.get(message["id"])
        if utterance is None:
            return
        if utterance.text_final:
            raise BadRequest(f"the text of utterance {utterance.id} was final: say it anew")
        if utterance.chars + len(message["text"]) > MAX_UTTERANCE_CHARS:
            utterance.fail(TextTooLong(f"over {MAX_UTTERANCE_CHARS} characters: say less at once"))
            return
        if utterance.pieces >= MAX_UTTERANCE_PIECES:
            utterance.fail(TextTooLong(f"over {MAX_UTTERANCE_PIECES} pieces: send larger ones"))
            return
        utterance.write(Text(message["text"], message["final"], message["flush"]))

    def _on_control(self, kind: str, message: Message) -> None:
        for utterance in self._meant(message):
            getattr(utterance, kind)()

    def _meant(self, message: Message) -> list[Utterance]:
        """Whom a control message is for; the latest first: no stop lets another one begin."""
        if message["scope"] == "user":
            return list(self._core.utterances())[::-1]
        if message["id"] is None:
            return self.utterances()[::-1]
        self._check_said(message["id"])
        return [self._open[message["id"]]] if message["id"] in self._open else []

    def _check_said(self, number: int) -> None:
        if number > self._last_id:
            raise UnknownId(f"no utterance {number} was said on this connection")
