"""Management messages: one function each, found by the message's type."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgpack

from cosyd.daemon import cloning
from cosyd.daemon.boundary import attempt
from cosyd.daemon.core import Core
from cosyd.errors import (
    BadRequest,
    Busy,
    CosydError,
    UnsupportedVersion,
)
from cosyd.version import VERSION as PROGRAM_VERSION
from cosyd.wire.fields import FieldError
from cosyd.wire.messages import (
    MAX_CLIENT_MESSAGE_BYTES,
    MAX_CONNECTIONS,
    MAX_NONCE_BYTES,
    MAX_PENDING_ANSWERS,
    MAX_REF_BYTES,
    MAX_TEXT_CHARS,
    MAX_UTTERANCES,
    VERSION,
    Message,
)


class Asker(Protocol):
    """The session that asks."""

    pending_answers: int
    client: str

    def send(self, message: Message) -> None:
        """Put a message on the connection."""

    def close_if_done(self) -> None:
        """The last answer may have been sent."""


def refusal(error: CosydError, asked: Message | None = None) -> Message:
    """The `error` message for a refused request."""
    message = {"type": "error", "code": error.code, "message": error.message}
    return _with_ref(message, asked or {})


def check_ref(asked: Message) -> None:
    """Whether the `ref` fits into an answer; if not, it is taken out of the refusal too."""
    if len(msgpack.packb(asked.get("ref"))) > MAX_REF_BYTES:
        del asked["ref"]
        raise FieldError(f"ref must be {MAX_REF_BYTES} bytes long at most")


def _expect_answer(asker: Asker) -> None:
    if asker.pending_answers >= MAX_PENDING_ANSWERS:
        raise Busy(f"{MAX_PENDING_ANSWERS} answers are still to come: wait for one first")
    asker.pending_answers += 1


def _with_ref(message: Message, asked: Message) -> Message:
    if asked.get("ref") is not None:
        message["ref"] = asked["ref"]
    return message


def _answer(asker: Asker, kind: str, asked: Message, **fields: Any) -> None:
    asker.send(_with_ref({"type": kind, **fields}, asked))


def _hello(_core: Core, asker: Asker, asked: Message) -> None:
    if asked["version"] != VERSION:
        raise UnsupportedVersion(
            f"protocol version {asked['version']} is not spoken here, only {VERSION}: update"
        )
    asker.client = asked["client"]
    limits = {
        "max_message_bytes": MAX_CLIENT_MESSAGE_BYTES,
        "max_text_chars": MAX_TEXT_CHARS,
        "max_utterances": MAX_UTTERANCES,
        "max_connections": MAX_CONNECTIONS,
    }
    server = f"cosyd/{PROGRAM_VERSION}"
    _answer(asker, "hello", asked, version=VERSION, server=server, pid=os.getpid(), limits=limits)


def _ping(_core: Core, asker: Asker, asked: Message) -> None:
    if len(msgpack.packb(asked["nonce"])) > MAX_NONCE_BYTES:
        raise FieldError(f"nonce must be {MAX_NONCE_BYTES} bytes long at most")
    _answer(asker, "pong", asked, nonce=asked["nonce"])


def _status(core: Core, asker: Asker, asked: Message) -> None:
    _answer(asker, "status", asked, **core.status())


def _voices(core: Core, asker: Asker, asked: Message) -> None:
    _answer(asker, "voices", asked, voices=core.voices())


def _load(core: Core, asker: Asker, asked: Message) -> None:
    if (asked["voice"] is None) == (asked["model"] is None):
        raise BadRequest("voice or model is missing: give exactly one of them")
    model = asked["model"] or core.catalog.find(asked["voice"]).model

    def told(result: float | CosydError) -> None:
        asker.pending_answers -= 1
        if isinstance(result, CosydError):
            asker.send(refusal(result, asked))
        else:
            _answer(asker, "loaded", asked, model=model, load_ms=round(result, 3))
        asker.close_if_done()

    _expect_answer(asker)
    try:
        core.load(model, told)
    except CosydError:
        asker.pending_answers -= 1
        raise


def _unload(core: Core, asker: Asker, asked: Message) -> None:
    _answer(asker, "unloaded", asked, models=core.unload(asked["model"]))


def _add_voice(core: Core, asker: Asker, asked: Message) -> None:
    cloning.check(core, asked)
    _expect_answer(asker)
    task = asyncio.get_running_loop().create_task(cloning.add(core, asked))
    _TASKS.add(task)

    def added(done: asyncio.Task[str]) -> None:
        _TASKS.discard(done)
        if done.cancelled():  # the daemon ends
            return
        asker.pending_answers -= 1
        name = attempt(done.result)
        if isinstance(name, CosydError):
            asker.send(refusal(name, asked))
        else:
            entry = next(voice for voice in core.voices() if voice["name"] == name)
            _answer(asker, "voice_added", asked, voice=entry)
        asker.close_if_done()

    task.add_done_callback(added)


_TASKS: Final[set[asyncio.Task[str]]] = set()
"""The loop itself keeps only weak references."""


def _remove_voice(core: Core, asker: Asker, asked: Message) -> None:
    cloning.remove(core, asked["name"])
    _answer(asker, "voice_removed", asked, name=asked["name"])


def _shutdown(core: Core, asker: Asker, asked: Message) -> None:
    core.farewells.append(lambda: _answer(asker, "bye", asked))
    core.on_shutdown(asked["drain"])


MANAGEMENT: Final[dict[str, Callable[[Core, Asker, Message], None]]] = {
    "hello": _hello,
    "ping": _ping,
    "status": _status,
    "voices": _voices,
    "load": _load,
    "unload": _unload,
    "add_voice": _add_voice,
    "remove_voice": _remove_voice,
    "shutdown": _shutdown,
}
"""Type → what obeys it. Answers are sent, refusals raised."""
