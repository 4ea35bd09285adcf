"""The CosyVoice 2 engine: many utterances, one step at a time.

A step draws the next speech token of every utterance that wants one, and has flow and vocoder
make a hop of sound for the one that needs it most: on CUDA beside the language model, elsewhere
instead of it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import torch

from cosyd.engines.base import Chunk, EngineStream, Interrupted, Request
from cosyd.engines.cosyvoice2 import DESCRIPTOR, LANGUAGES
from cosyd.engines.cosyvoice2.acceleration import accelerate
from cosyd.engines.cosyvoice2.speech import BROKEN, Model
from cosyd.engines.cosyvoice2.stream import Stream
from cosyd.engines.cosyvoice2.voices import Voice, Voices, key_of
from cosyd.engines.cosyvoice2.warm_up import speak_once
from cosyd.errors import CosydError, Internal, OutOfMemory, Unsupported
from cosyd.logs import bug_facts, event

if TYPE_CHECKING:
    from cosyd.engines.cosyvoice2.device import Device
    from cosyd.engines.cosyvoice2.lanes import Lane
    from cosyd.voices.voicepack import Voicepack

IN_THE_LANE: Final = 2
"""Pieces of work that wait or run there: one to run while the next is chosen."""
_LOG: Final = logging.getLogger("cosyd.worker")
_SEEDS: Final = 1 << 31


class CosyVoice2Engine:
    """CosyVoice2-0.5B. See `base.Engine`.

    Args:
        model: everything loaded.
        voices: conditioning by voice.
        device: where it computes.
        lane: where flow and vocoder do.
    """

    batch = DESCRIPTOR.max_streams

    def __init__(self, model: Model, voices: Voices, device: Device, lane: Lane) -> None:
        self.sample_rate = model.sample_rate
        self.device = device.name
        self._model = model
        self._voices = voices
        self._lane = lane
        self._overlapped = device.on_cuda
        self._working: list[Stream] = []  # that have a job in the lane, or had when they ended

    def warm_up(self) -> None:
        """Capture graphs where there are any, then speak a few tokens through every part."""
        if self._overlapped:
            accelerate(self._model.lm, self._model.flow, self._model.vocoder.device)
        self._lane.run(lambda: speak_once(self._model, long=self._overlapped)).result()

    def open(self, request: Request) -> Stream:
        """Begin an utterance.

        Raises:
            Unsupported: a language that the model does not speak.
            VoiceNotFound: the voice has no recording, or it is gone.
        """
        language = _primary(request.language)
        if language is not None and language not in LANGUAGES:
            raise Unsupported(
                f"CosyVoice 2 speaks {', '.join(LANGUAGES)}, not {request.language!r}"
            )
        key_of(request.voice)
        own = _primary(next(iter(request.voice.languages), None))
        seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed % _SEEDS
        foreign = language is not None and own is not None and language != own
        return Stream(self._model, request, cross_lingual=foreign, seed=seed)

    def step(self, streams: Sequence[EngineStream]) -> Sequence[Chunk | CosydError | None]:
        """One token of each, one hop of one; see `base.Engine.step`.

        The streams come in the order of their need. What was made for the others of a batch in
        which one was interrupted is kept, and given at their next step.
        """
        own = [stream for stream in streams if isinstance(stream, Stream)]
        self._collect(wait=False)
        for stream in own:
            stream.advance()
        if not any(stream.has_outcome for stream in own):
            self._compute(own)
        if any(stream.cancelled for stream in own):
            raise Interrupted
        return [stream.outcome() for stream in own]

    def _compute(self, streams: Sequence[Stream]) -> None:
        """The next thing to do for the neediest; beside a lane that overlaps, all there is."""
        begun = False
        for stream in streams:
            if len(self._working) >= IN_THE_LANE:
                break
            if stream.wants_voice or stream.can_hop:
                begun = self._begin(stream) or begun
            if not self._overlapped and (begun or stream.wants_tokens):
                break
        if begun and not self._overlapped:
            self._collect(wait=True)
            return
        drawing = [stream for stream in streams if stream.wants_tokens and stream.claim()]
        if drawing:
            self._draw(drawing)
        elif self._working:
            self._collect(wait=True)

    def _draw(self, streams: Sequence[Stream]) -> None:
        """A token for each."""
        speeches = [stream.speech for stream in streams if stream.speech is not None]
        failure = None
        try:
            tokens = self._model.lm.step([speech.state for speech in speeches])
        except RuntimeError as error:
            failure = _failure(error)
        finally:
            for stream in streams:
                stream.release()
        if failure is not None:
            self._fail(streams, failure)
            return
        for speech, token in zip(speeches, tokens, strict=True):
            speech.take(token)

    def _fail(self, streams: Sequence[Stream], failure: CosydError) -> None:
        """A step of the language model failed, which changed nothing yet.

        Without the stream that came in last there may be memory enough for the others.
        """
        lacking = isinstance(failure, OutOfMemory)
        for stream in streams[-1:] if lacking else streams:
            stream.fail(failure)
        if lacking:
            self._give_memory_back()

    def _begin(self, stream: Stream) -> bool:
        """Have the lane do what is next for `stream`; False: it was interrupted."""
        if not stream.claim():
            return False
        voice = stream.request.voice
        work = stream.work(lambda: self._voice(voice, stream))
        stream.job = self._lane.run(work)
        self._working.append(stream)
        return True

    def _voice(self, voice: Voicepack, stream: Stream) -> Voice:
        return self._voices.get(voice, stream.check)

    def _collect(self, *, wait: bool) -> None:
        """Take what the lane has made; `wait`: until it has made something."""
        for stream in list(self._working):
            assert stream.job is not None
            if wait or stream.job.done():
                wait = False
                self._working.remove(stream)
                self._take(stream)

    def _take(self, stream: Stream) -> None:
        job, stream.job = stream.job, None
        assert job is not None
        failure: CosydError | None = None
        try:
            made = job.result()
        except Interrupted:
            return
        except CosydError as error:
            failure = error
        except RuntimeError as error:
            failure = _failure(error)
        finally:
            stream.release()
        if failure is not None:
            del job
            stream.fail(failure)
            if isinstance(failure, OutOfMemory):
                self._give_memory_back()
        elif isinstance(made, Voice):
            stream.voice = made
            stream.advance()
        else:
            stream.take_sound(made)

    def _give_memory_back(self) -> None:
        self._lane.run(self._voices.clear).result()  # there alone they are looked at
        if self._overlapped:
            torch.cuda.empty_cache()


def _primary(tag: str | None) -> str | None:
    return None if tag is None else tag.partition("-")[0].lower()


def _failure(error: RuntimeError) -> CosydError:
    """What one of torch's errors means; it holds on to nothing of the computation."""
    if lacks_memory(error):
        return OutOfMemory("no memory left to speak: unload another model, or say less at once")
    event(_LOG, "bug", level=logging.ERROR, **bug_facts(error))
    return Internal(BROKEN)


def lacks_memory(error: RuntimeError) -> bool:
    """Whether memory ran out: on the CPU torch says so in words only."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        "allocate memory" in words or "not enough memory" in words or "out of memory" in words
    )
