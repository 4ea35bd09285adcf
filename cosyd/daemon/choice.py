"""From a checked `say` to the voice that speaks it, or why none can. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from cosyd.config import Config
from cosyd.engines.base import Descriptor
from cosyd.engines.registry import find, missing
from cosyd.errors import (
    EmptyText,
    EngineNotInstalled,
    TextTooLong,
    Unsupported,
)
from cosyd.voices.catalog import Catalog
from cosyd.voices.voicepack import Voicepack
from cosyd.wire.messages import MAX_TEXT_CHARS, Message

_SPEAKABLE: Final = frozenset("LNS")
"""Unicode general categories (their first letter) that can be spoken: letters, numbers, signs."""

_CHINESE: Final = re.compile(r"[\u3400-\u9fff]")
_OTHER_WORDS: Final = re.compile(r"[^\W\d_\u3400-\u9fff]+")


def check_length(text: str) -> None:
    """Raises `TextTooLong` for more than one message may carry."""
    if len(text) > MAX_TEXT_CHARS:
        raise TextTooLong(
            f"{len(text)} characters in one message, {MAX_TEXT_CHARS} are allowed: "
            "send the rest in text messages"
        )


def is_chinese(text: str) -> bool:
    """Whether the text has more Chinese characters than words of other scripts."""
    chinese = len(_CHINESE.findall(text))
    return chinese > len(_OTHER_WORDS.findall(text))


def choose_voice(request: Message, catalog: Catalog, config: Config) -> Voicepack:
    """The voice asked for, or the default one for the language.

    Raises:
        VoiceNotFound: no such voice.
    """
    if request["voice"] is not None:
        return catalog.find(request["voice"])
    asked: str | None = request["language"]
    chinese = asked.startswith("zh") if asked else is_chinese(request["text"])
    return catalog.find(config.voice_zh if chinese else config.voice)


def engine_of(voice: Voicepack) -> Descriptor:
    """The voice's engine. Raises `EngineNotInstalled`, saying what to type."""
    engine = find(voice.engine)
    if engine is None:
        raise EngineNotInstalled(f"{voice.name} needs the engine {voice.engine!r}: install it")
    if missing(engine):
        raise EngineNotInstalled(f"{voice.name} needs {engine.name}: {engine.install}")
    return engine


def check_can(request: Message, voice: Voicepack, catalog: Catalog) -> None:
    """Whether the voice can do what is asked.

    Raises:
        EmptyText: the whole text is here and there is nothing to speak in it.
        TextTooLong: more text than one message may carry.
        Unsupported: the engine cannot do it; names voices that can.
    """
    check_length(request["text"])
    if request["ssml"]:
        raise Unsupported("no voice speaks SSML: send plain text")
    voices = catalog.voices().values()
    for asked, capability in (
        (request["instruct"] is not None, "instruct"),
        (request["speed"] != 1.0, "speed"),
    ):
        if asked and capability not in voice.capabilities:
            able = _names(other for other in voices if capability in other.capabilities)
            raise Unsupported(f"{voice.name} does not take {capability!r}: {able}")
    _check_language(request["language"], voice, voices)
    if request["final"] and not speakable(request["text"]):
        raise EmptyText("nothing speakable in the text: give some words")


def speakable(text: str) -> bool:
    """Whether the text has a letter, a number or a sign."""
    return any(unicodedata.category(letter)[0] in _SPEAKABLE for letter in text)


def _check_language(asked: str | None, voice: Voicepack, voices: Iterable[Voicepack]) -> None:
    if asked is None or _speaks(voice, asked):
        return
    # Voices of one model share its front ends: one of them knowing the language is enough.
    if any(other.model == voice.model and _speaks(other, asked) for other in voices):
        return
    able = _names(other for other in voices if _speaks(other, asked))
    raise Unsupported(f"{voice.name} does not speak {asked!r}: {able}")


def _speaks(voice: Voicepack, language: str) -> bool:
    primary = language.lower().replace("_", "-").split("-")[0]
    return any(known.lower().split("-")[0] == primary for known in voice.languages)


def _names(voices: Iterable[Voicepack]) -> str:
    names = sorted(voice.name for voice in voices)
    return f"{', '.join(names[:3])} can" if names else "no installed voice can"
