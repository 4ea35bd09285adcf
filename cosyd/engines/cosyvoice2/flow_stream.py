"""One utterance through the flow: speech tokens in as they come, mel out in growing hops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cosyd.engines.cosyvoice2.causal import go_on

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.causal import Check, Count
    from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt, FlowState

HOPS: Final = (25, 50, 100)
"""Speech tokens of the first call, the second, and all after it."""


class FlowStream:
    """One utterance. All that changes while it is spoken is here.

    Calls end at whole blocks, counted from the prompt's start; so the first one also takes what
    is missing of the prompt's last block. Which hops are taken does not change the mel.

    Args:
        flow: the model.
        voice: whose; any number of streams share it.
        hops: tokens of each call, the last for all that follow; multiples of the block. A first
            hop of 0 speaks only up to the end of the prompt's last block, if that is open.
        counter: told (stage, rows) of what is computed.
        check: called between computations. Once it has raised, the stream is of no more use.

    Raises:
        ValueError: a hop is not a multiple of the block, or the last is not above 0.
    """

    __slots__ = (
        "_check",
        "_counter",
        "_done",
        "_ended",
        "_flow",
        "_given",
        "_hops",
        "_state",
        "_voice",
    )

    def __init__(
        self,
        flow: Flow,
        voice: FlowPrompt,
        *,
        hops: Sequence[int] = HOPS,
        counter: Count | None = None,
        check: Check = go_on,
    ) -> None:
        block = flow.sizes.encoder.block_tokens
        if not hops or hops[-1] <= 0 or any(hop < 0 or hop % block for hop in hops):
            raise ValueError(f"hops are multiples of {block} tokens, the last above 0")
        edge = -(-voice.length // block) * block
        self._flow = flow
        self._voice = voice
        self._counter = counter
        self._check = check
        self._hops = _Hops(edge, tuple(hops), voice.length)
        self._given: list[int] = []
        self._done = voice.done
        self._ended = False
        # Made by the first call: memory belongs to the stream of the thread that computes.
        self._state: FlowState | None = None

    @property
    def wanted_tokens(self) -> int:
        """How many tokens must have been pushed, all calls together, for the next `step`."""
        return self._hops.end - self._voice.length + self._flow.sizes.encoder.lookahead

    @property
    def ready(self) -> bool:
        """Whether `step` has tokens enough; never after `finish`."""
        return not self._ended and len(self._given) >= self.wanted_tokens

    @property
    def frames(self) -> int:
        """Mel frames given out so far."""
        return max(0, self._done - self._voice.length) * self._flow.sizes.encoder.ratio

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the caches hold, what they still share with the voice included."""
        if self._state is None:
            return 0 if self._ended else self._voice.nbytes
        return self._state.nbytes

    def push(self, tokens: Sequence[int]) -> None:
        """Give speech tokens.

        Raises:
            BadRequest: one is not in the vocabulary; none is taken.
        """
        self._flow.check(tokens)
        self._given.extend(tokens)

    def step(self) -> Tensor:
        """Compute one hop: float32 [1, mel, frames], the frames after those given out so far.

        Raises:
            ValueError: not `ready`.
            TextTooLong: prompt and speech are longer than the model can go.
        """
        if not self.ready:
            raise ValueError(f"{self.wanted_tokens} tokens wanted, {len(self._given)} given")
        mel = self._advance(self._hops.end, self._flow.joined(self._voice, self._given))
        self._hops = self._hops.next()
        return mel

    def finish(self, *, exact_upstream: bool = False) -> Tensor:
        """Compute what is left: float32 [1, mel, frames], maybe none. The caches are let go.

        Args:
            exact_upstream: as upstream does it: everything once more, with the full mask. The
                frames already given out would differ then, so they do not join as well.

        Raises:
            ValueError: it was called before.
            TextTooLong: prompt and speech are longer than the model can go.
        """
        if self._ended:
            raise ValueError("the stream has ended")
        mel = self._recompute() if exact_upstream else self._rest()
        self._ended = True
        self._state = None
        return mel

    def _rest(self) -> Tensor:
        tokens = self._flow.joined(self._voice, self._given)
        if tokens.numel() <= max(self._done, self._voice.length):
            return self._voice.mel.new_zeros((1, self._flow.sizes.estimator.mel, 0))
        return self._advance(tokens.numel(), tokens)

    def _recompute(self) -> Tensor:
        told = self.frames
        mel = self._flow.whole(self._voice, self._given, counter=self._counter)
        self._done = self._voice.length + len(self._given)
        return mel[:, :, told:]

    def _advance(self, end: int, tokens: Tensor) -> Tensor:
        start = self._done
        if self._state is None:
            self._state = self._voice.state.fork() if self._voice.state else self._flow.fresh()
        mel = self._flow.solve(
            self._voice,
            tokens,
            end,
            start=start,
            state=self._state,
            counter=self._counter,
            check=self._check,
        )
        self._done = end
        known = max(0, self._voice.length - start) * self._flow.sizes.encoder.ratio
        return mel[:, :, known:]


@dataclass(frozen=True, slots=True)
class _Hops:
    """Where the next call ends, and the hops from it on.

    Attributes:
        base: where the last call ended, or the prompt's last block does.
        hops: of the next call and those after it; the last one stays.
        prompt: the prompt's tokens; a call must end after them.
    """

    base: int
    hops: tuple[int, ...]
    prompt: int

    @property
    def end(self) -> int:
        """Where the next call ends, in tokens since the prompt's start."""
        hops = (self.base + hop for hop in self.hops)
        return next(end for end in hops if end > self.prompt)

    def next(self) -> _Hops:
        """After that call."""
        return _Hops(self.end, self.hops[1:] or self.hops, self.prompt)
