"""Management messages: one function each, found by the message's type."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgpack

from cosyd.daemon.boundary import attempt
from cosyd.daemon.core import Core
from cosyd.errors import (
    BadAudio,
    BadRequest,
    Busy,
    CosydError,
    Forbidden,
    Unsupported,
    UnsupportedVersion,
    VoiceExists,
)
from cosyd.paths import data_dir
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

MAX_EXAMINERS: Final = 2
"""Processes that look at recordings at a time."""


class Asker(Protocol):
    """The session that asks."""

    pending_answers: int

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


_VOICE_NAME: Final = re.compile(r"\w[\w.-]*")
"""It becomes a directory's name."""


def _add_voice(core: Core, asker: Asker, asked: Message) -> None:
    if not _VOICE_NAME.fullmatch(asked["name"]):
        raise FieldError("name must be letters, digits, '_', '-' and '.', and begin with a letter")
    _expect_answer(asker)
    task = asyncio.get_running_loop().create_task(_examine(asked["audio"]))
    _TASKS.add(task)

    def examined(done: asyncio.Task[str | None]) -> None:
        _TASKS.discard(done)
        asker.pending_answers -= 1
        fault = attempt(done.result)
        told = fault if isinstance(fault, CosydError) else _verdict(core, asked, fault)
        asker.send(refusal(told, asked))
        asker.close_if_done()

    task.add_done_callback(examined)


_TASKS: Final[set[asyncio.Task[str | None]]] = set()
"""The loop itself keeps only weak references."""
_EXAMINERS: Final = asyncio.Semaphore(MAX_EXAMINERS)


async def _examine(audio: bytes) -> str | None:
    """What is wrong with a recording, or None. In a process of its own: decoders are big and
    take input from anywhere."""
    async with _EXAMINERS:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cosyd.voices.recording"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        out, _ = await process.communicate(audio)
    if process.returncode:
        return "the recording cannot be read: give a WAV, FLAC, OGG or MP3 file"
    fault: str | None = json.loads(out)["fault"]
    return fault


def _verdict(core: Core, asked: Message, fault: str | None) -> CosydError:
    if fault is not None:
        return BadAudio(fault)
    if asked["name"] in core.catalog.voices() and not asked["replace"]:
        return VoiceExists(f"a voice is called {asked['name']!r} already: take another name")
    return Unsupported("no installed engine can clone a voice")


def _remove_voice(core: Core, _asker: Asker, asked: Message) -> None:
    voice = core.catalog.find(asked["name"])
    own = data_dir(core.config).resolve()
    if not voice.path.resolve().is_relative_to(own):
        raise Forbidden(f"{voice.name} came with the installation and stays: uninstall its package")
    raise Unsupported("no installed engine can clone a voice, so none can be unmade")


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
