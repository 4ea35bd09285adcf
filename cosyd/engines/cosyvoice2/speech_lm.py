"""Text tokens → speech tokens, one at a time, for several utterances at once.

What is fed at first is laid out by the kind of voice (`Prompt`). With the whole text there:
start, prompt text and text, task, the prompt's speech; then tokens until the end token. While
text still arrives: runs of text and of speech in turns, a fill token wherever text is due.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from cosyd.engines.cosyvoice2.decoding import Decoder, Feed
from cosyd.engines.cosyvoice2.lm import KvCache, Lm
from cosyd.engines.cosyvoice2.phases import AFTER, Phase, Special
from cosyd.engines.cosyvoice2.sampling import NO_TOKEN, RepetitionAware, Sampler, uniform_pair

MIN_RATIO = 2
"""Speech tokens per text token below which the end token is forbidden …"""
MAX_RATIO = 20
"""… and at which the speech is over."""
RELEASED: Final = RepetitionAware()
"""How tokens are chosen unless one asks for another way."""


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


class State:
    """One utterance: all of it that changes. Only `SpeechLm` writes to it."""

    __slots__ = (
        "broken",
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
        "token",
    )

    def __init__(
        self, cache: KvCache, phase: Phase, rows: Tensor, seed: int, sampler: Sampler
    ) -> None:
        self.phase = phase
        self.rows: Tensor | None = rows
        """[n, C], what the next step feeds; kept, since a step may be fed again."""
        self.token = NO_TOKEN
        """The same where it is one speech token; then `rows` is None."""
        self.sampler = sampler
        self.generator = torch.Generator().manual_seed(seed)
        self.cache = cache
        self.decoded: list[int] = []
        """Everything drawn, fill tokens too."""
        self.broken = False
        """Whether the network gave a NaN; then it is done."""
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

    __slots__ = ("decoder", "lm")

    def __init__(self, lm: Lm) -> None:
        self.lm = lm
        self.decoder: Decoder | None = None
        """Set once, when the model is warmed up."""

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
        state = State(
            (self.decoder or self.lm).cache(), Phase.WHOLE, rows, seed, sampler or RELEASED
        )
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
        state = State(
            (self.decoder or self.lm).cache(), Phase.WAITING, start, seed, sampler or RELEASED
        )
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
        decoder = self.decoder
        fast = [
            state
            for state in states
            if decoder is not None and state.token != NO_TOKEN and decoder.takes(state.cache)
        ]
        slow = [state for state in states if state not in fast]
        drawn = dict(zip(map(id, slow), self._slow(slow), strict=True))
        if decoder is not None:
            drawn |= zip(map(id, fast), self._fast(fast, decoder), strict=True)
        return [self._take(state, self._legal(state, *drawn[id(state)])) for state in states]

    def _slow(self, states: Sequence[State]) -> list[tuple[Tensor, int]]:
        """For each, log-probabilities [V] and a token."""
        if not states:
            return []
        fed = [self.fed(state) for state in states]
        counts = [len(rows) for rows in fed]
        hidden = self.lm.forward(torch.cat(fed), [state.cache for state in states], counts)
        ends = torch.tensor(counts).cumsum(0) - 1
        logp = self.lm.logits(hidden[ends.to(hidden.device)]).log_softmax(-1)
        if logp.device.type == "mps":  # not all that drawing needs is there
            logp = logp.cpu()
        drawn = [self._draw(state, row) for state, row in zip(states, logp, strict=True)]
        tokens = torch.stack(drawn).tolist()  # the one wait for the device
        return list(zip(logp, tokens, strict=True))

    def _fast(self, states: Sequence[State], decoder: Decoder) -> list[tuple[Tensor, int]]:
        """The same, of states that are fed one token."""
        if not states:
            return []
        logp, tokens = decoder.step([self._feed(state) for state in states])
        return [
            (row, token if self._is_drawn(state) else int(self._draw(state, row)))
            for state, row, token in zip(states, logp, tokens, strict=True)
        ]

    def _feed(self, state: State) -> Feed:
        barred = len(state.decoded) < state.least
        uniforms = uniform_pair(state.generator) if self._is_drawn(state) else None
        return Feed(state.cache, state.token, barred, state.decoded[-RELEASED.window :], uniforms)

    def _is_drawn(self, state: State) -> bool:  # by a decoder
        return state.sampler == RELEASED and len(state.decoded) != state.fill_at

    def fed(self, state: State) -> Tensor:
        """[n, C], what the next step feeds."""
        return self.lm.embed_speech([state.token]) if state.rows is None else state.rows

    def _id(self, special: Special) -> int:
        return self.lm.sizes.speech_tokens + special

    def _draw(self, state: State, logp: Tensor) -> Tensor:
        if logp.device.type == "cpu" and bool(logp.isnan().any()):
            return torch.tensor(NO_TOKEN)  # `multinomial` would fail, and all others with it
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
            if (state.phase, special) not in AFTER:
                logp[self._id(special)] = -torch.inf
        return int(state.sampler(logp, state.decoded, state.generator))

    def _next_phase(self, state: State, token: int) -> Phase | None:
        special = token - self.lm.sizes.speech_tokens
        return state.phase if special < 0 else AFTER.get((state.phase, Special(special)))

    def _take(self, state: State, token: int) -> int | None:
        if token == NO_TOKEN:
            state.phase, state.broken = Phase.DONE, True
            return None
        state.phase = self._next_phase(state, token) or Phase.DONE
        if state.phase is Phase.DONE:
            return None
        state.decoded.append(token)
        if state.phase is Phase.WAITING:
            state.fill_at = len(state.decoded) + self.lm.sizes.speech_run
            state.text_due = True
            self._lay_out(state)
            return None
        state.rows, state.token = None, token
        if state.phase is not Phase.MIXED and len(state.decoded) >= state.most:
            state.phase = Phase.DONE
        return token

    def _lay_out(self, state: State) -> None:
        """Feed a waiting utterance what is due, if there is enough text for it."""
        self._lay_out_prompt(state)
        if not state.prompt_speech and self._lay_out_text(state):
            state.phase = Phase.MIXED
        elif state.final:
            rest = (self.fed(state), self.lm.embed_text(state.text), self.lm.marks[1:])
            self._feed_rows(state, torch.cat(rest))
            state.phase = Phase.LAST if state.most else Phase.DONE
            state.least, state.fill_at = 0, -1

    def _lay_out_prompt(self, state: State) -> None:
        """Runs of text, each with its run of the prompt's speech."""
        run = self.lm.sizes.speech_run
        while state.prompt_speech and (text := self._text_run(state)) is not None:
            speech = self.lm.embed_speech(state.prompt_speech[:run])
            del state.prompt_speech[:run]
            self._feed_rows(state, torch.cat((self.fed(state), text, speech)))

    def _lay_out_text(self, state: State) -> bool:
        """The run of text that is due; whether speech can follow."""
        if state.text_due:
            text = self._text_run(state)
            if text is None:
                return False
            before = () if state.decoded else (self.fed(state),)
            self._feed_rows(state, torch.cat((*before, text)))
            state.text_due = False
        return True

    def _feed_rows(self, state: State, rows: Tensor) -> None:
        state.rows, state.token = rows, NO_TOKEN

    def _text_run(self, state: State) -> Tensor | None:
        run = self.lm.sizes.text_run
        if len(state.text) < run:
            return None
        ids, state.text = state.text[:run], state.text[run:]
        return self.lm.embed_text(ids)
