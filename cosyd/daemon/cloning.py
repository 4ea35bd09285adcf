"""Voices made of recordings: what is checked, in the contract's order, and who does the work.

The recording itself is looked at, converted and written by a process of its own
(`cosyd.voices.recording`); the rest is small enough to be done here and now.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import cosyd.voices.store as store  # its functions are called as actions of the store
from cosyd.config import Config
from cosyd.daemon.choice import is_chinese
from cosyd.daemon.core import Core
from cosyd.engines.base import Descriptor
from cosyd.engines.registry import cloning
from cosyd.errors import (
    BadAudio,
    BadRequest,
    Forbidden,
    Internal,
    Unsupported,
    VoiceExists,
)
from cosyd.paths import data_dir
from cosyd.voices.voicepack import Voicepack
from cosyd.wire.fields import FieldError
from cosyd.wire.messages import Message

MAX_EXAMINERS: Final = 2
"""Processes that look at recordings at a time."""
MAX_NAME_BYTES: Final = 128
"""It becomes a file's name, of which systems take 255 bytes."""
CHARS_A_SECOND: Final = 30
"""More letters than anybody says in a second; quick English has about half of that."""
CHINESE_CHARS: Final = 3
"""As many letters as one Chinese character, which is a syllable."""

_NAME: Final = re.compile(r"\w[\w.-]*")
_LETTERS: Final = re.compile(r"\w")
_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")
_EXAMINERS: Final = asyncio.Semaphore(MAX_EXAMINERS)
_UNREADABLE: Final = "the recording cannot be read: give a WAV, FLAC, OGG or MP3 file"


class _Target(NamedTuple):
    """What a name means."""

    voice: str
    prompt: str | None
    """None: the whole voice."""


def check(core: Core, asked: Message) -> None:
    """What can be said of an `add_voice` before its recording is looked at.

    Raises:
        FieldError: the name cannot be one.
        BadRequest, Forbidden: a prompt for a voice that is not there, or cannot have one.
    """
    target = _target(asked["name"])
    if target.prompt is not None:
        _voice_for_prompt(core, target)


async def add(core: Core, asked: Message) -> str:
    """Make a voice, or a prompt of one, as a checked `add_voice` asks; the voice's name.

    Raises:
        BadAudio: no voice can be made of the recording.
        BadRequest: the text is longer than anybody could have said in that time.
        VoiceExists: the name is taken, and `replace` not set.
        Forbidden: the voice came with the installation.
        Unsupported: no engine can clone.
        Internal: it cannot be written; the message says why.
    """
    engine = cloning()
    root = data_dir(core.config) / "voicepacks"
    if engine is None:
        await _examine(asked["audio"], None)
        _check_free(core, asked)
        raise Unsupported("no installed engine can clone a voice: install one that can")
    with _written(root), _draft(root, engine.name) as draft:
        file = draft / "recording.wav"
        found = await _examine(asked["audio"], file)
        _check_text(asked["text"], found["duration_s"])
        _check_free(core, asked)
        target = _target(asked["name"])
        take = store.Take(
            target.prompt or store.DEFAULT,
            asked["text"],
            asked["language"] or _language(asked["text"]),
            found["loudness_lufs"],
            file,
        )
        with _forgetting(core, target.voice):
            _store(core, root, target, _kind(engine), take)
    return target.voice


def remove(core: Core, name: str) -> None:
    """Unmake a voice, or a prompt of one.

    Raises:
        VoiceNotFound: there is none of that name.
        Forbidden: it came with the installation.
        BadRequest: it is the only prompt of its voice.
        Internal: it cannot be deleted; the message says why.
    """
    voice = core.catalog.find(name)
    _check_own(core.config, voice)
    _, slash, prompt = name.partition("/")
    with _written(voice.path), _forgetting(core, voice.name):
        if slash:
            store.remove_prompt(core.catalog.find(voice.name), prompt)
        else:
            store.remove(voice.path)


def _target(name: str) -> _Target:
    voice, slash, prompt = name.partition("/")
    for part in (voice, prompt) if slash else (voice,):
        if not _NAME.fullmatch(part) or len(part.encode()) > MAX_NAME_BYTES:
            raise FieldError(
                "name must be letters, digits, '_', '-' and '.', and begin with a letter"
            )
    return _Target(voice, prompt if slash else None)


def _voice_for_prompt(core: Core, target: _Target) -> Voicepack:
    voice = core.catalog.voices().get(target.voice)
    if voice is None:
        raise BadRequest(f"no voice is called {target.voice!r}: add that first, then its prompts")
    _check_own(core.config, voice)
    if not voice.prompts:
        raise BadRequest(f"{voice.name} is not made of recordings: take a name of its own")
    return voice


def _check_own(config: Config, voice: Voicepack) -> None:
    own = (data_dir(config) / "voicepacks").resolve()
    if not voice.path.resolve().is_relative_to(own):
        raise Forbidden(f"{voice.name} came with the installation and stays as it is")


def _check_free(core: Core, asked: Message) -> None:
    """Whether the name is to be had."""
    target = _target(asked["name"])
    voice = core.catalog.voices().get(target.voice)
    if target.prompt is not None:
        voice = _voice_for_prompt(core, target)
        if all(prompt.name != target.prompt for prompt in voice.prompts):
            return
    elif voice is None:
        return
    if not asked["replace"]:
        name = asked["name"]
        raise VoiceExists(f"a voice is called {name!r} already: take another name, or replace it")
    _check_own(core.config, voice)


def _check_text(text: str, duration_s: float) -> None:
    weight = len(_LETTERS.findall(text)) + (CHINESE_CHARS - 1) * len(_CHINESE.findall(text))
    if weight > CHARS_A_SECOND * duration_s:
        raise BadRequest(
            f"text is too long for a recording of {duration_s:.1f} s: "
            "give what is said in it, or leave it out"
        )


def _language(text: str) -> str | None:
    if not _LETTERS.search(text):
        return None
    return "zh" if is_chinese(text) else "en"


def _kind(engine: Descriptor) -> store.Kind:
    clones = engine.clones
    assert clones is not None
    return store.Kind(
        engine.name, clones.model, engine.capabilities, clones.sample_rate, clones.languages
    )


def _store(core: Core, root: Path, target: _Target, kind: store.Kind, take: store.Take) -> None:
    old = core.catalog.voices().get(target.voice)
    if old is None:
        store.create(root, target.voice, kind, take)
    elif target.prompt is not None:
        store.put_prompt(old, kind, take)
    elif old.path == root / kind.family / target.voice:
        store.replace(old, kind, take)
    else:  # another engine's voice, or one in a directory of another name
        store.create(root, target.voice, kind, take)
        store.remove(old.path)


@contextmanager
def _forgetting(core: Core, name: str) -> Iterator[None]:
    """Delete what engines have computed from recordings that the voice has no longer."""
    before = _recordings(core, name)
    yield
    for digest in before - _recordings(core, name):
        for made in (data_dir(core.config) / "conditioning").glob(f"{digest}*"):
            made.unlink(missing_ok=True)


def _recordings(core: Core, name: str) -> set[str]:
    """The sha256 of each of a voice's recordings."""
    voice = core.catalog.voices().get(name)
    files = [] if voice is None else [prompt.path for prompt in voice.prompts]
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


@contextmanager
def _draft(root: Path, family: str) -> Iterator[Path]:
    draft = store.open_draft(root, family)
    try:
        yield draft
    finally:
        store.discard(draft)


@contextmanager
def _written(place: Path) -> Iterator[None]:
    """What the system refuses as an error that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise Internal(f"{error.filename or place}: {reason}: mend that and try again") from error


async def _examine(audio: bytes, output: Path | None) -> dict[str, Any]:
    """Duration and loudness of a recording, which is written to `output`. In a process of its
    own: decoders are big and take input from anywhere.

    Raises:
        BadAudio: no voice can be made of it.
        OSError: it cannot be written.
    """
    where = [] if output is None else ["--output", str(output)]
    async with _EXAMINERS:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cosyd.voices.recording", *where),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        out, _ = await process.communicate(audio)
    if process.returncode:
        raise BadAudio(_UNREADABLE)
    found: dict[str, Any] = json.loads(out)
    if found["fault"] is not None:
        raise BadAudio(found["fault"])
    if "unwritten" in found:
        raise OSError(0, found["unwritten"], str(output))
    return found
