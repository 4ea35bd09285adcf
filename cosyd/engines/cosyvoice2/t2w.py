"""Speech tokens → wave, for one utterance: the flow's hops, and the vocoder after each.

The product's way keeps what was spoken and continues it: the flow's blocks, the vocoder's phase.
`exact_upstream` follows the original call by call instead, to be compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import torch

from cosyd.engines.cosyvoice2.causal import go_on
from cosyd.engines.cosyvoice2.wave import ExactStream, Stream, Stretch, finished

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.causal import Check
    from cosyd.engines.cosyvoice2.wave import Vocoder


class MelStream(Protocol):
    """One utterance inside the flow; `flow.FlowStream` is one."""

    @property
    def ready(self) -> bool:
        """Whether `step` has tokens enough for a hop and what is seen ahead of it."""

    def push(self, tokens: Sequence[int]) -> None:
        """Give speech tokens."""

    def step(self) -> Tensor:
        """`[1, mel, frames]`: the frames after those given out so far."""

    def finish(self, *, exact_upstream: bool = False) -> Tensor:
        """`[1, mel, frames]`: the last ones, of all tokens that are left."""


class TokenToWave:
    """One utterance: speech tokens in, sound out. All that changes while it is spoken is here.

    Args:
        mel: the utterance in the flow, no step taken yet.
        vocoder: shared by all.
        generator: draws the noise of the vocoder's source.
        speed: 2 is twice as fast.
        whole: wait for all tokens and compute once.
        check: called before and after the vocoder. Once it has raised, no step may follow.
    """

    def __init__(
        self,
        mel: MelStream,
        vocoder: Vocoder,
        generator: torch.Generator,
        *,
        speed: float = 1.0,
        whole: bool = False,
        check: Check = go_on,
    ) -> None:
        self._mel = mel
        self._wave = Stream(vocoder, generator)
        self._stretch = Stretch(speed)
        self._sample_rate = vocoder.sizes.sampling_rate
        self._whole = whole
        self._check = check
        self._begun = False  # whether any sound is out
        self._final = False
        self._ended = False

    @property
    def ready(self) -> bool:
        """Whether a step can compute something without more tokens."""
        return not self._ended and (self._final or (self._mel.ready and not self._whole))

    @property
    def ended(self) -> bool:
        """Whether the last step is done."""
        return self._ended

    def write(self, tokens: Sequence[int], *, final: bool) -> None:
        """Give speech tokens. `final`: the last of them."""
        self._mel.push(tokens)
        self._final = self._final or final

    def step(self) -> Tensor:
        """Compute one hop, or all that is left.

        Returns:
            float32 `[samples]` on the CPU; empty if nothing is certain yet.

        Raises:
            ValueError: not `ready`.
        """
        if not self.ready:
            raise ValueError("no step without more speech tokens")
        last = self._whole or not self._mel.ready
        mel = self._mel.finish() if last else self._mel.step()
        self._check()
        wave = self._wave.push(self._stretch.push(mel, final=last), final=last)
        self._check()
        wave = finished(wave, self._sample_rate, first=not self._begun, last=last)
        self._begun = self._begun or wave.shape[1] > 0
        self._ended = last
        return wave[0].cpu()


def exact_upstream(
    mel: MelStream,
    vocoder: Vocoder,
    tokens: Sequence[int],
    generator: Callable[[int], torch.Generator],
    *,
    sources: Sequence[Tensor] = (),
    speed: float = 1.0,
    whole: bool = False,
) -> list[Tensor]:
    """All of an utterance as the original computes it.

    Args:
        mel: the utterance in the flow, no step taken yet.
        tokens: all speech tokens.
        generator: for the draws of call 0, 1, …: the original draws from a global one.
        sources: of the first calls, `[1, 1, samples]` each, instead of drawing them.
        speed: only with `whole`, as in the original.
        whole: in one call.

    Returns:
        Each call's sound, float32 `[samples]`.
    """
    stream = ExactStream(vocoder)
    waves: list[Tensor] = []

    def speak(frames: Tensor, *, final: bool) -> None:
        call = len(waves)
        source = sources[call].clone() if call < len(sources) else None
        made = stream.push(frames, generator(call), final=final, speed=speed, source=source)
        waves.append(made[0])

    mel.push(tokens)
    while mel.ready and not whole:
        speak(mel.step(), final=False)
    speak(mel.finish(exact_upstream=True), final=True)
    return waves
