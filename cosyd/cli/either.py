"""`--or-output`: the loudspeaker, or a file where nothing can play."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cosyd.cli.failure import Failure, note
from cosyd.cli.speaker import Speaker
from cosyd.cli.target import Target

_TRUST_SAMPLES: Final = 2 * 48_000
"""A player that took so much (2 s at 48 kHz) works; until then all is kept for the file: some
player programs open without a device and fail at the first sound."""


class Either:
    """Plays as long as that works from the start; else `open_file` gets all of it."""

    def __init__(self, speaker: Speaker, open_file: Callable[[], Target], sample_rate: int) -> None:
        """Tries the device out at once: whether it can play decides the pace to ask for."""
        self._target: Target = speaker
        self._open_file = open_file
        self._rate = sample_rate
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0
        self._attempt(lambda: speaker.try_out(sample_rate))
        self.pace = self._target.pace

    def prepare(self, sample_rate: int) -> None:
        """All is open."""
        del sample_rate

    def write(self, pcm: bytes) -> None:
        """Take one frame."""
        self._keep(pcm)
        self._attempt(lambda: self._target.write(pcm))

    def heard(self) -> int:
        """As the target in use says."""
        return self._target.heard()

    def finish(self, samples: int) -> None:
        """Play or write the rest."""
        self._attempt(lambda: self._target.finish(samples), last=samples)

    def abort(self) -> None:
        """Fall silent."""
        self._target.abort()

    def _keep(self, pcm: bytes) -> None:
        if self._kept is not None:
            self._kept.append(pcm)
            self._kept_bytes += len(pcm)
            if self._kept_bytes > _TRUST_SAMPLES * 2:
                self._kept = None

    def _attempt(self, action: Callable[[], None], last: int | None = None) -> None:
        """Do it; if the loudspeaker cannot, do it and all before with the file."""
        try:
            action()
        except Failure as failure:
            if self._kept is None:
                raise
            self._target.abort()
            note(f"{failure.__cause__ or failure}; writing a file instead")
            self._switch(last)

    def _switch(self, last: int | None) -> None:
        kept, self._kept = self._kept or [], None
        self._target = self._open_file()
        self._target.prepare(self._rate)
        for pcm in kept:
            self._target.write(pcm)
        if last is not None:
            self._target.finish(last)
