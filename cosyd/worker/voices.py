"""The worker's voices: manifests by directory, read again when a voice was replaced."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final

from cosyd.errors import VoiceNotFound
from cosyd.voices.voicepack import BadVoicepack, Voicepack, load

MAX_KEPT: Final = 64
"""Manifests are small, but voices come and go while a worker lives."""

_Stamp = tuple[int, int] | None


class Voices:
    """Voicepacks that were asked for lately."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[Path, tuple[_Stamp, Voicepack]] = OrderedDict()

    def get(self, path: Path, prompt: str | None) -> Voicepack:
        """The voice in directory `path`, speaking as `prompt`.

        Raises:
            VoiceNotFound: it was removed, or its prompt was, or what replaced it is broken.
        """
        stamp = _stamp(path)
        kept = self._kept.get(path)
        if kept is None or kept[0] != stamp:
            kept = (stamp, _load(path))
            self._kept[path] = kept
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(path)
        return kept[1] if prompt is None else kept[1].with_prompt(prompt)


def _load(path: Path) -> Voicepack:
    try:
        return load(path)
    except BadVoicepack as error:
        raise VoiceNotFound(f"voice {path.name} was removed or is broken: cosy voices") from error


def _stamp(path: Path) -> _Stamp:
    """Changes when a voice is replaced: that puts another directory, so another file, in place."""
    try:
        found = (path / "metadata.yaml").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
