"""One segment being spoken: text tokens → speech tokens → sound with its place in the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cosyd.engines.cosyvoice2.device import generator
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.pauses import SHAPE, Edges
from cosyd.engines.cosyvoice2.t2w import TokenToWave
from cosyd.errors import Internal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cosyd.engines.base import Chunk
    from cosyd.engines.cosyvoice2.causal import Check
    from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt
    from cosyd.engines.cosyvoice2.front import Segment
    from cosyd.engines.cosyvoice2.marks import Place
    from cosyd.engines.cosyvoice2.speech_lm import Prompt, SpeechLm
    from cosyd.engines.cosyvoice2.spelling import Speller
    from cosyd.engines.cosyvoice2.wave import Vocoder

AHEAD: Final = 150
"""Speech tokens that may wait for the flow: more than its largest hop takes."""
BROKEN: Final = "the model made broken sound: say it again, or in other words"


@dataclass(frozen=True, slots=True)
class Model:
    """Everything loaded. Nothing here changes."""

    speller: Speller
    lm: SpeechLm
    flow: Flow
    vocoder: Vocoder

    @property
    def sample_rate(self) -> int:
        """Hz of the sound."""
        return self.vocoder.sizes.sampling_rate

    @property
    def samples_per_token(self) -> int:
        """Of sound at speed 1, for each speech token."""
        return self.flow.sizes.encoder.ratio * self.vocoder.sizes.samples_per_frame


class Speech:
    """A segment's way through the model. All of it that changes is here.

    Args:
        model: what speaks.
        segment: its text; grows as long as it is open.
        voice: whose voice.
        prompt: what the language model knows of it.
        seed: of the random numbers.
        speed: 2 is twice as fast.
        before_ms: silence that goes before it.
        check: called between computations; it raises to end them early.
    """

    def __init__(
        self,
        model: Model,
        segment: Segment,
        voice: FlowPrompt,
        prompt: Prompt,
        *,
        seed: int,
        speed: float,
        before_ms: int,
        check: Check,
    ) -> None:
        self.segment = segment
        self._model = model
        self._speed = speed
        self._wave = TokenToWave(
            FlowStream(model.flow, voice, check=check),
            model.vocoder,
            generator(model.vocoder.device, seed),
            speed=speed,
            check=check,
        )
        self._edges = Edges(model.sample_rate, before_ms=before_ms)
        self._fed = len(segment.units) if segment.closed else 0
        if segment.closed:
            tokens = [token for unit in segment.units for token in unit.tokens]
            self.state = model.lm.begin(tokens, prompt, seed=seed)
        else:
            self.state = model.lm.begin_streamed(prompt, seed=seed)
            self.feed()
        self._waiting: list[int] = []  # speech tokens that the flow has not been given
        self._written = 0
        self._final = False
        self._samples = 0  # made by the vocoder
        self.take(None)

    def feed(self) -> None:
        """Give the language model what was appended to the segment."""
        if self._fed == len(self.segment.units) and not self.segment.closed:
            return
        units, self._fed = self.segment.units[self._fed :], len(self.segment.units)
        tokens = [token for unit in units for token in unit.tokens]
        self._model.lm.write(self.state, tokens, final=self.segment.closed)

    def take(self, token: int | None) -> None:
        """What a step of the language model gave for `state`."""
        if token is not None:
            self._waiting.append(token)
        self._final = self.state.done

    @property
    def wants_tokens(self) -> bool:
        """Whether a step of the language model is of use now."""
        ahead = self._written + len(self._waiting) - self._rendered
        return self.state.ready and ahead < AHEAD

    @property
    def starved(self) -> bool:
        """Whether the language model waits for text."""
        return not self.state.ready and not self.state.done

    @property
    def ended(self) -> bool:
        """Whether all its sound is made."""
        return self._wave.ended

    @property
    def can_hop(self) -> bool:
        """Whether `hop` may be called. Not while one runs."""
        if self._waiting or (self._final and not self._wave.ended):
            self._wave.write(self._waiting, final=self._final)
            self._written += len(self._waiting)
            self._waiting = []
        return self._wave.ready

    def hop(self) -> NDArray[np.float32]:
        """float32 [samples]: the next piece of sound, as the model makes it; maybe none.

        Raises:
            Internal: it is no sound, or was made of no numbers.
            Interrupted, TextTooLong: see `FlowStream`.
        """
        wave = self._wave.step()
        if self.state.broken or not bool(wave.isfinite().all()):
            raise Internal(BROKEN)
        pcm: NDArray[np.float32] = wave.numpy()
        return pcm

    def chunks(
        self, pcm: NDArray[np.float32], place: Place, follows: Callable[[], bool]
    ) -> Iterator[Chunk]:
        """What is heard of a hop's sound, and what it speaks.

        Args:
            place: where the utterance is in its text.
            follows: whether another segment does; asked at the end only.
        """
        self._samples += len(pcm)
        if self.ended:
            out = self._edges.finish(pcm, self.pause_ms if follows() else 0)
            text = sum(len(unit.tokens) for unit in self.segment.units)
            place.learn(len(self.state.decoded), text)
            yield from place.cut(out, self.segment.units, None)
        elif len(out := self._edges.push(pcm)):
            total = len(self.state.decoded) if self.state.done else None
            share = place.share(self._rendered, self.segment.units, total=total)
            yield from place.cut(out, self.segment.units, share)

    @property
    def pause_ms(self) -> int:
        """From its last sound to the next segment's first."""
        return SHAPE.sentence_ms if self.segment.at_sentence_end else SHAPE.clause_ms

    @property
    def _rendered(self) -> float:
        """Speech tokens whose sound is made."""
        return self._samples * self._speed / self._model.samples_per_token
