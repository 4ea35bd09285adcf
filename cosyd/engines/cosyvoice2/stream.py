"""One utterance inside the engine: its text, the segment that is being spoken, what is made.

Everything here but `interrupt` runs in the thread that steps the engine; `job` in its lane.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cosyd.engines.base import Chunk, Interrupted, Request, Span
from cosyd.engines.cosyvoice2 import speech_lm
from cosyd.engines.cosyvoice2.front import Front
from cosyd.engines.cosyvoice2.marks import Place
from cosyd.engines.cosyvoice2.pauses import SHAPE
from cosyd.engines.cosyvoice2.speech import Model, Speech
from cosyd.engines.segmented import NOTHING_SPEAKABLE
from cosyd.errors import CosydError, EmptyText

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosyd.engines.cosyvoice2.lanes import Pending
    from cosyd.engines.cosyvoice2.speech_lm import Prompt
    from cosyd.engines.cosyvoice2.voices import Voice

Outcome = Chunk | CosydError | None


class Stream:
    """One utterance. See `base.EngineStream`.

    Args:
        model: what speaks.
        request: what was asked.
        cross_lingual: the language model is not told what is said in the recording.
        seed: of its random numbers.
    """

    def __init__(self, model: Model, request: Request, *, cross_lingual: bool, seed: int) -> None:
        self.request = request
        self.voice: Voice | None = None
        self.speech: Speech | None = None
        self.job: Pending[NDArray[np.float32] | Voice] | None = None
        """What runs for it in the lane: a hop, or before that its voice is made."""
        self._model = model
        self._cross_lingual = cross_lingual
        self._seed = seed
        self._segments = 0
        self._front = Front(model.speller)
        self._place = Place()
        self._made: deque[Outcome] = deque()
        self._over = False  # nothing will be made any more
        self._sounded = False
        self._owed_ms = 0
        """Pause after the last segment that was not made yet, because nothing followed."""
        self._lock = threading.Lock()
        self._cancelled = False
        self._computing = 0  # of it, at the same moment

    # what the worker asks ------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether a step can make audio or find the end without more text being written."""
        if self._made or self.job is not None:
            return True
        if self._over:
            return False
        if self.voice is None:
            return True
        speech = self.speech
        if speech is None:
            return self._front.waiting or self._front.done
        more = self._front.waiting or self._front.complete or speech.segment.at_sentence_end
        return speech.can_hop or speech.wants_tokens or (speech.starved and more)

    def write(self, text: str, *, final: bool, flush: bool = False) -> None:
        """Append text; see `base.EngineStream.write`."""
        self._front.write(text, final=final, flush=flush)

    def interrupt(self) -> bool:
        """From any thread: end what is computed for it; see `base.EngineStream.interrupt`."""
        with self._lock:
            self._cancelled = True
            return self._computing > 0

    def close(self) -> None:
        """Drop everything; what runs in the lane ends soon and is not asked for."""
        self._cancelled = True
        self._drop()

    # what the engine asks ------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether it was interrupted or closed."""
        return self._cancelled

    def check(self) -> None:
        """Raise `Interrupted` if it was; called between computations."""
        if self._cancelled:
            raise Interrupted

    def claim(self) -> bool:
        """Begin to compute something for it; False: it was interrupted."""
        with self._lock:
            self._computing += not self._cancelled
            return not self._cancelled

    def release(self) -> None:
        """What `claim` began is done."""
        with self._lock:
            self._computing -= 1

    @property
    def wants_voice(self) -> bool:
        """Whether its voice must be made first."""
        return self._idle and self.voice is None

    @property
    def wants_tokens(self) -> bool:
        """Whether a step of the language model is of use to it."""
        speech = self.speech
        return not (self._over or self._cancelled) and speech is not None and speech.wants_tokens

    @property
    def can_hop(self) -> bool:
        """Whether flow and vocoder can make sound for it."""
        return self._idle and self.speech is not None and self.speech.can_hop

    @property
    def _idle(self) -> bool:
        return not (self._over or self._cancelled) and self.job is None

    def advance(self) -> None:
        """Move text along: begin the next segment, or give the open one what has come."""
        if self._over or self._cancelled:
            return
        if self.speech is not None:
            self._extend(self.speech)
        elif self._front.done:
            self._end()
        elif self.voice is not None:
            self._begin(self.voice)

    def _begin(self, voice: Voice) -> None:
        segment = self._front.begin()
        if segment is None:
            return
        paragraph_ms = SHAPE.paragraph_ms - SHAPE.sentence_ms if segment.paragraph else 0
        self.speech = Speech(
            self._model,
            segment,
            voice.flow,
            self._prompt(voice),
            seed=self._seed + self._segments,
            speed=self.request.speed,
            before_ms=self._owed_ms + (paragraph_ms if self._sounded else 0),
            check=self.check,
        )
        self._segments += 1
        self._owed_ms = 0

    def _extend(self, speech: Speech) -> None:
        segment = speech.segment
        if segment.closed:
            return
        self._front.extend(segment)
        if speech.starved and segment.at_sentence_end and not self._front.waiting:
            segment.closed = True  # whoever wrote a whole sentence and waits wants to hear it
        speech.feed()
        speech.take(None)

    def _end(self) -> None:
        self._over = True
        self._made.append(None if self._sounded else EmptyText(NOTHING_SPEAKABLE))

    def _prompt(self, voice: Voice) -> Prompt:
        if self.request.instruct:
            return speech_lm.instruct2(self._model.speller.instruction(self.request.instruct))
        if self._cross_lingual or not voice.text:
            return speech_lm.cross_lingual()
        return speech_lm.zero_shot(voice.text, voice.speech)

    def take_sound(self, pcm: NDArray[np.float32]) -> None:
        """What a hop made."""
        speech = self.speech
        if speech is None or self._over:
            return
        for chunk in speech.chunks(pcm, self._place, lambda: self._front.waiting):
            self._sounded = self._sounded or len(chunk.pcm) > 0
            self._made.append(chunk)
        if speech.ended:
            self._sounded = self._sounded or bool(speech.state.decoded)
            self._owed_ms = (
                0
                if self._front.waiting
                else max(0, speech.pause_ms - SHAPE.after_ms - SHAPE.before_ms)
            )
            self.speech = None
            self._place.begin()

    def fail(self, error: CosydError) -> None:
        """End it with an error; nothing of it is kept, not even sound that waits."""
        self._drop()
        self._made.append(error)

    def _drop(self) -> None:
        self._over = True
        self._made.clear()
        self.speech = self.voice = None
        self._front = Front(self._model.speller)

    def outcome(self) -> Outcome:
        """What the step gives for it."""
        if self._made:
            return self._made.popleft()
        reached = self._place.reached
        return Chunk(np.zeros(0, np.float32), Span(reached, reached))

    @property
    def has_outcome(self) -> bool:
        """Whether something waits to be given."""
        return bool(self._made)

    def work(self, get_voice: Callable[[], Voice]) -> Callable[[], NDArray[np.float32] | Voice]:
        """What the lane has to do next for it."""
        if self.speech is None:
            return get_voice
        return self.speech.hop
