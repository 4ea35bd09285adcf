"""Words of one language, with words of the other in between → phonemes."""

from __future__ import annotations

import re

from cosyd.engines.kokoro import g2p_en, g2p_zh, vocab
from cosyd.text.characters import HAN
from cosyd.text.normalise import normalise

_RUN = re.compile(f"[{HAN}]+|[^{HAN}]+")
_HAN = re.compile(f"[{HAN}]")
_WORD = re.compile(r"[^\W\d_]")
_SPACES = re.compile(r"\s+")
_BEFORE_MARK = re.compile(r"\s+(?=[,.!?;:…)”])")
_LONE_LETTER = re.compile(r"(?<![A-Za-z'’.])a(?![A-Za-z'’.])", re.IGNORECASE)


def phonemes(text: str, language: str) -> list[str]:
    """The phonemes of `text` as it is written, in pieces of at most `vocab.MAX_PHONEMES`.

    No piece: nothing speakable.
    """
    words = normalise(text, language)
    if not _WORD.search(words):
        return []
    spoken = "".join(_run(run, language) for run in _RUN.findall(words))
    spoken = _BEFORE_MARK.sub("", _SPACES.sub(" ", spoken)).strip()
    return vocab.pieces(vocab.known(spoken))


def _run(run: str, language: str) -> str:
    if _HAN.match(run):
        return f" {g2p_zh.phonemes(run)}" if language != "zh" else g2p_zh.phonemes(run)
    run = g2p_zh.latin_punctuation(run)
    if not _WORD.search(run):
        return run
    if language == "zh":
        run = _LONE_LETTER.sub("Ay", run)
    # A space to both sides: the other language's words are words of their own.
    return f" {g2p_en.phonemes(run)} "
