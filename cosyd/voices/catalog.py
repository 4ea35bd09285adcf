"""All voices of this installation, found on disk and kept until a directory changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cosyd.errors import VoiceNotFound
from cosyd.logs import event
from cosyd.voices.voicepack import BadVoicepack, Voicepack, load

_LOG: Final = logging.getLogger("cosyd.voices")


def _subdirs(path: Path) -> list[Path]:
    """Those with a name; what is being put together or taken apart is hidden."""
    if not path.is_dir():
        return []
    return sorted(e for e in path.iterdir() if e.is_dir() and not e.name.startswith("."))


class Catalog:
    """Voicepacks by name; of two with one name the first directory's counts."""

    def __init__(self, roots: Iterable[Path]) -> None:
        """`roots`: directories that hold `<family>/<name>/metadata.yaml`."""
        self._roots = tuple(roots)
        self._seen: tuple[tuple[str, int], ...] | None = None
        self._voices: dict[str, Voicepack] = {}

    def voices(self) -> dict[str, Voicepack]:
        """Every usable voice; broken voicepacks are logged and left out."""
        seen = self._signature()
        if seen != self._seen:
            self._voices, self._seen = self._scan(), seen
        return self._voices

    def find(self, name: str) -> Voicepack:
        """The voice called `name`, or `name/prompt` for one of its prompts.

        Raises:
            VoiceNotFound: names near matches, or the prompts there are.
        """
        own, slash, prompt = name.partition("/")
        voices = self.voices()
        if own not in voices:
            raise VoiceNotFound(f"no voice is called {own!r}: {self._hint(own)}")
        return voices[own].with_prompt(prompt) if slash else voices[own]

    def _hint(self, name: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name.lower(), self.voices(), n=3, cutoff=0.5)
        if near:
            return f"did you mean {' or '.join(near)}? (cosy voices lists all)"
        return "cosy voices lists those there are"

    def _signature(self) -> tuple[tuple[str, int], ...]:
        families = [family for root in self._roots for family in _subdirs(root)]
        return tuple((str(path), path.stat().st_mtime_ns) for path in families)

    def _scan(self) -> dict[str, Voicepack]:
        voices: dict[str, Voicepack] = {}
        for path in self._packs():
            try:
                pack = load(path)
            except BadVoicepack as error:
                event(_LOG, "bad voicepack", level=logging.WARNING, why=str(error))
                continue
            voices.setdefault(pack.name, pack)
        return voices

    def _packs(self) -> Iterable[Path]:
        for root in self._roots:
            for family in _subdirs(root):
                yield from _subdirs(family)
