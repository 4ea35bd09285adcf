"""Text tokens → speech tokens, one at a time, for several utterances at once.

What is fed at first is laid out by the kind of voice (`Prompt`). With the whole text there:
start, prompt text and text, task, the prompt's speech; then tokens until the end token. While
text still arrives: runs of text and of speech in turns, a fill token wherever text is due.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum, IntEnum, auto
from typing import NamedTuple

import torch
from torch import Tensor

from cosyd.engines.cosyvoice2.lm import Lm
from cosyd.engines.cosyvoice2.sampling import RepetitionAware, Sampler

MIN_RATIO = 2
"""Speech tokens per text token below which the end token is forbidden …"""
MAX_RATIO = 20
"""… and at which the speech is over."""


class Prompt(NamedTuple):
    """What the language model knows of the voice; see the four makers."""

    text: Sequence[int] = ()
    """Text tokens before the text."""
    speech: Sequence[int] = ()
    """Speech tokens before those to come."""


def zero_shot(transcript: Sequence[int], speech: Sequence[int]) -> Prompt:
    """A recording and what is said in it."""
    return Prompt(transcript, speech)


def cross_lingual() -> Prompt:
    """The recording is in another language than the text: only the flow gets it."""
    return Prompt()


def instruct2(instruction: Sequence[int]) -> Prompt:
    """How to say it; the tokens end with that of `tokenizer.END_OF_PROMPT`."""
    return Prompt(instruction)


def sft() -> Prompt:
    """A voice of the release: only the flow gets its embedding."""
    return Prompt()


class Phase(Enum):
    """Where an utterance is."""

    WHOLE = auto()
    """All text was there at the start."""
    WAITING = auto()
    """Text is due, and there is not enough of it."""
    MIXED = auto()
    """A run of speech; more text follows."""
    LAST = auto()
    """All text has been fed."""
    DONE = auto()
    """No token follows."""


class Special(IntEnum):
    """The ids after the speech tokens."""

    END = 0
    OTHER_END = 1
    FILL = 2


_AFTER = {
    (Phase.WHOLE, Special.END): Phase.DONE,
    (Phase.WHOLE, Special.OTHER_END): Phase.DONE,
    (Phase.WHOLE, Special.FILL): Phase.DONE,
    (Phase.MIXED, Special.FILL): Phase.WAITING,
    (Phase.LAST, Special.END): Phase.DONE,
}
"""What a special token leads to; one that is not here is drawn again without it."""


class State:
    """One utterance: all of it that changes. Only `SpeechLm` writes to it."""

    __slots__ = (
        "cache",
        "decoded",
        "fill_at",
        "final",
        "generator",
        "least",
        "most",
        "phase",
        "prompt_speech",
        "rows",
        "sampler",
        "text",
        "text_due",
    )

    def __init__(self, lm: Lm, phase: Phase, rows: Tensor, seed: int, sampler: Sampler) -> None:
        self.phase = phase
        self.rows = rows  # [n, C], what the next step feeds; kept, since a step may be fed again
        self.sampler = sampler
        self.generator = torch.Generator(lm.device).manual_seed(seed)
        self.cache = lm.cache()
        self.decoded: list[int] = []
        """Everything drawn, fill tokens too."""
        self.least = 0
        self.most = sys.maxsize
        self.text: list[int] = []
        """Text tokens that are not fed yet."""
        self.prompt_speech: list[int] = []
        """The prompt's speech tokens that are not laid out yet."""
        self.text_due = True
        self.fill_at = -1
        self.final = False

    @property
    def ready(self) -> bool:
        """Whether `SpeechLm.step` may be given it."""
        return self.phase not in (Phase.WAITING, Phase.DONE)

    @property
    def done(self) -> bool:
        """Whether no token follows."""
        return self.phase is Phase.DONE


class SpeechLm:
    """The rules around the network. Immutable: everything that changes is in the `State`s."""

    __slots__ = ("lm",)

    def __init__(self, lm: Lm) -> None:
        self.lm = lm

    @torch.inference_mode()
    def begin(
        self,
        text: Sequence[int],
        prompt: Prompt,
        *,
        seed: int,
        sampler: Sampler | None = None,
        min_ratio: float = MIN_RATIO,
        max_ratio: float = MAX_RATIO,
    ) -> State:
        """An utterance whose whole text is known.

        Args:
            text: text tokens; none: the state is done at once.
            prompt: see the makers above.
            seed: of its own random numbers.
            sampler: how tokens are chosen; None: as the release does.
            min_ratio, max_ratio: bounds of its length, in speech tokens per text token.
        """
        rows = torch.cat(
            (
                self.lm.marks[:1],
                self.lm.embed_text([*prompt.text, *text]),
                self.lm.marks[1:],
                self.lm.embed_speech(prompt.speech),
            )
        )
        state = State(self.lm, Phase.WHOLE, rows, seed, sampler or RepetitionAware())
        state.least = int(len(text) * min_ratio)
        state.most = int(len(text) * max_ratio)
        if not state.most:
            state.phase = Phase.DONE
        return state

    @torch.inference_mode()
    def begin_streamed(self, prompt: Prompt, *, seed: int, sampler: Sampler | None = None) -> State:
        """An utterance whose text comes through `write`; it is not ready before that.

        What it says depends on the text alone, not on how it was cut into writes.
        """
        start = self.lm.marks[:1]
        state = State(self.lm, Phase.WAITING, start, seed, sampler or RepetitionAware())
        state.text = [*prompt.text]
        state.prompt_speech = [*prompt.speech]
        state.text_due = not prompt.speech
        run = self.lm.sizes.speech_run
        state.fill_at = run - len(prompt.speech) % run
        state.least = sys.maxsize
        state.most = 0
        return state

    @torch.inference_mode()
    def write(self, state: State, text: Sequence[int], *, final: bool = False) -> None:
        """Append text tokens to an utterance of `begin_streamed`; `final`: the last of them."""
        state.text += text
        state.most += len(text) * MAX_RATIO
        state.final |= final
        if state.phase is Phase.WAITING:
            self._lay_out(state)

    @torch.inference_mode()
    def step(self, states: Sequence[State]) -> list[int | None]:
        """Draw one token for each of one or more different `ready` states.

        Returns:
            A speech token for each, or None: it is done, or was given text instead of speaking
            (then look at its `ready`).
        """
        counts = [len(state.rows) for state in states]
        hidden = self.lm.forward(
            torch.cat([state.rows for state in states]), [state.cache for state in states], counts
        )
        ends = torch.tensor(counts).cumsum(0) - 1
        logp = self.lm.logits(hidden[ends.to(hidden.device)]).log_softmax(-1)
        drawn = [self._draw(state, row) for state, row in zip(states, logp, strict=True)]
        tokens = torch.stack(drawn).tolist()  # the one wait for the device
        return [
            self._take(state, self._legal(state, row, token))
            for state, row, token in zip(states, logp, tokens, strict=True)
        ]

    def _id(self, special: Special) -> int:
        return self.lm.sizes.speech_tokens + special

    def _draw(self, state: State, logp: Tensor) -> Tensor:
        if len(state.decoded) == state.fill_at:
            return torch.tensor(self._id(Special.FILL), device=logp.device)
        if len(state.decoded) < state.least:
            logp[self._id(Special.END)] = -torch.inf
        return state.sampler(logp, state.decoded, state.generator)

    def _legal(self, state: State, logp: Tensor, token: int) -> int:
        """`token`, or another where it is a special one that means nothing in this phase."""
        if self._next_phase(state, token) is not None:
            return token
        for special in Special:
            if (state.phase, special) not in _AFTER:
                logp[self._id(special)] = -torch.inf
        return int(state.sampler(logp, state.decoded, state.generator))

    def _next_phase(self, state: State, token: int) -> Phase | None:
        special = token - self.lm.sizes.speech_tokens
        return state.phase if special < 0 else _AFTER.get((state.phase, Special(special)))

    def _take(self, state: State, token: int) -> int | None:
        state.phase = self._next_phase(state, token) or Phase.DONE
        if state.phase is Phase.DONE:
            return None
        state.decoded.append(token)
        if state.phase is Phase.WAITING:
            state.fill_at = len(state.decoded) + self.lm.sizes.speech_run
            state.text_due = True
            self._lay_out(state)
            return None
        state.rows = self.lm.embed_speech([token])
        if state.phase is not Phase.MIXED and len(state.decoded) >= state.most:
            state.phase = Phase.DONE
        return token

    def _lay_out(self, state: State) -> None:
        """Feed a waiting utterance what is due, if there is enough text for it."""
        self._lay_out_prompt(state)
        if not state.prompt_speech and self._lay_out_text(state):
            state.phase = Phase.MIXED
        elif state.final:
            state.rows = torch.cat((state.rows, self.lm.embed_text(state.text), self.lm.marks[1:]))
            state.phase = Phase.LAST if state.most else Phase.DONE
            state.least, state.fill_at = 0, -1

    def _lay_out_prompt(self, state: State) -> None:
        """Runs of text, each with its run of the prompt's speech."""
        run = self.lm.sizes.speech_run
        while state.prompt_speech and (text := self._text_run(state)) is not None:
            speech = self.lm.embed_speech(state.prompt_speech[:run])
            del state.prompt_speech[:run]
            state.rows = torch.cat((state.rows, text, speech))

    def _lay_out_text(self, state: State) -> bool:
        """The run of text that is due; whether speech can follow."""
        if state.text_due:
            text = self._text_run(state)
            if text is None:
                return False
            state.rows = text if state.decoded else torch.cat((state.rows, text))
            state.text_due = False
        return True

    def _text_run(self, state: State) -> Tensor | None:
        run = self.lm.sizes.text_run
        if len(state.text) < run:
            return None
        ids, state.text = state.text[:run], state.text[run:]
        return self.lm.embed_text(ids)
