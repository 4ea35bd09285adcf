"""Speech tokens to mel: whole, or in hops that cost only what is new.

The rows of a finished block of 25 tokens never change, so a stream keeps its caches and each
call computes the new blocks only. The blocks inside the prompt are computed once per voice:
every utterance forks them. The last call may be in the same blocks, which joins on smoothly, or,
as upstream does it, over everything with the full mask, which moves what was already spoken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from cosyd.engines.cosyvoice2.causal import (
    Cache,
    Check,
    Count,
    Linear,
    Loader,
    go_on,
    span,
)
from cosyd.engines.cosyvoice2.cfm import Cfm
from cosyd.engines.cosyvoice2.encoder import Encoder
from cosyd.engines.cosyvoice2.estimator import Estimator
from cosyd.engines.cosyvoice2.flow_sizes import FlowSizes as FlowSizes
from cosyd.engines.cosyvoice2.tensors import Tensors
from cosyd.errors import BadRequest

if TYPE_CHECKING:
    from torch import Tensor


FILE: Final = "flow.pt"


@dataclass(frozen=True, slots=True)
class FlowState:
    """What a stream keeps: the encoder's cache and one for each Euler step."""

    encoder: Cache
    steps: tuple[Cache, ...]

    def fork(self) -> FlowState:
        return FlowState(self.encoder.fork(), tuple(cache.fork() for cache in self.steps))

    def packed(self) -> FlowState:
        return FlowState(self.encoder.packed(), tuple(cache.packed() for cache in self.steps))

    @property
    def nbytes(self) -> int:
        return self.encoder.nbytes + sum(cache.nbytes for cache in self.steps)


@dataclass(frozen=True, slots=True)
class FlowPrompt:
    """A voice, as the flow needs it; immutable, for any number of streams.

    Attributes:
        tokens: int64 [P], the recording's speech tokens.
        mel: float32 [1, ratio · P, mel], its mel.
        speaker: [1, mel], the projected embedding.
        done: tokens whose state is here: whole blocks, as far as they need only the prompt.
    """

    tokens: Tensor
    mel: Tensor
    speaker: Tensor
    done: int = 0
    state: FlowState | None = field(default=None, repr=False)

    @property
    def length(self) -> int:
        """Speech tokens of the recording."""
        return self.tokens.numel()

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the state holds."""
        return self.state.nbytes if self.state else 0


class Flow:
    """The flow; immutable. Voices are `FlowPrompt`s, utterances `flow_stream.FlowStream`s."""

    __slots__ = ("_cfm", "_device", "_embedding", "_projection", "_speaker", "encoder", "sizes")

    sizes: FlowSizes
    encoder: Encoder
    _cfm: Cfm
    _embedding: Tensor
    _projection: Linear
    _speaker: Linear
    _device: torch.device

    def __init__(
        self, load: Loader, sizes: FlowSizes, device: torch.device, dtype: torch.dtype
    ) -> None:
        encoder, mel = sizes.encoder, sizes.estimator.mel
        self.sizes = sizes
        self._device = device
        self._embedding = load.tensor(
            "input_embedding.weight", sizes.vocabulary, encoder.input_width
        )
        self._speaker = load.linear("spk_embed_affine_layer", sizes.speaker, mel)
        self.encoder = Encoder(load.child("encoder"), encoder)
        self._projection = load.linear("encoder_proj", encoder.width, mel)
        estimator = Estimator(load.child("decoder.estimator"), sizes.estimator)
        self._cfm = Cfm(estimator, sizes.steps, sizes.guidance, device, dtype)

    @property
    def cfm(self) -> Cfm:
        """The solver."""
        return self._cfm

    def embed(self, tokens: Tensor) -> Tensor:
        """tokens: int64 [T] -> [1, T, in]."""
        return functional.embedding(tokens, self._embedding)[None]

    def mean(self, encoded: Tensor) -> Tensor:
        """encoded: [1, T, width] -> [1, T, mel], the flow's mean."""
        return self._projection(encoded)

    def speaker(self, embedding: Tensor) -> Tensor:
        """embedding: [1, speaker] -> [1, mel]; its length does not matter."""
        unit = functional.normalize(embedding.to(self._device, torch.float32), dim=1)
        return self._speaker(unit.to(self._cfm.dtype))

    def prompt(
        self,
        tokens: Tensor | None,
        mel: Tensor | None,
        embedding: Tensor,
        *,
        warm: bool = True,
        check: Check = go_on,
    ) -> FlowPrompt:
        """Prepare a voice.

        Args:
            tokens: int [1, P], the recording's speech tokens; None: none, as for SFT.
            mel: float [1, frames, mel], its mel. The longer of the two is cut.
            embedding: float [1, speaker].
            warm: compute the state of the whole blocks now, so that utterances need not.
            check: see `solve`.

        Raises:
            BadRequest: a token is not in the vocabulary.
        """
        ratio = self.sizes.encoder.ratio
        if tokens is None or mel is None:
            tokens = torch.zeros((1, 0), dtype=torch.int64)
            mel = torch.zeros((1, 0, self.sizes.estimator.mel))
        count = min(tokens.shape[1], mel.shape[1] // ratio)
        self.check(tokens[0].tolist())
        with torch.inference_mode():
            voice = FlowPrompt(
                tokens[0, :count].to(self._device, torch.int64, copy=True),
                mel[:, : count * ratio].to(self._device, torch.float32, copy=True),
                self.speaker(embedding),
            )
            return self._warmed(voice, check) if warm else voice

    def _warmed(self, voice: FlowPrompt, check: Check) -> FlowPrompt:
        block = self.sizes.encoder.block_tokens
        done = max(0, voice.tokens.numel() - self.sizes.encoder.lookahead) // block * block
        if not done:
            return voice
        state = self.fresh()
        self.solve(voice, voice.tokens, done, state=state, check=check)
        return FlowPrompt(voice.tokens, voice.mel, voice.speaker, done, state.packed())

    def whole(
        self,
        voice: FlowPrompt,
        tokens: Sequence[int],
        *,
        chunked: bool = False,
        final: bool = True,
        counter: Count | None = None,
    ) -> Tensor:
        """All tokens in one go, from nothing.

        Args:
            voice: whose; its state is not used.
            tokens: speech tokens.
            chunked: rows see their block and what is before it, as when streaming.
            final: these are all; otherwise the last `lookahead` ones are only seen ahead.
            counter: told (stage, rows) of what is computed.

        Returns:
            float32 [1, mel, ratio · tokens], without the prompt.

        Raises:
            BadRequest: a token is not in the vocabulary.
            TextTooLong: prompt and tokens are over 300 s.
        """
        self.check(tokens)
        given = self.joined(voice, tokens)
        end = given.numel() - (0 if final else self.sizes.encoder.lookahead)
        if end <= voice.length:
            return voice.mel.new_zeros((1, self.sizes.estimator.mel, 0))
        mel = self.solve(voice, given, end, chunked=chunked, counter=counter)
        return mel[:, :, voice.mel.shape[1] :]

    def check(self, tokens: Iterable[int]) -> None:
        wrong = next((token for token in tokens if not 0 <= token < self.sizes.vocabulary), None)
        if wrong is not None:
            last = self.sizes.vocabulary - 1
            raise BadRequest(f"{wrong} is no speech token: they are 0 to {last}.")

    def joined(self, voice: FlowPrompt, tokens: Sequence[int]) -> Tensor:
        given = torch.tensor(tokens, dtype=torch.int64, device=self._device)
        return torch.cat((voice.tokens, given))

    def fresh(self) -> FlowState:
        return FlowState(Cache(), tuple(self._cfm.cache() for _ in range(self._cfm.steps)))

    def solve(
        self,
        voice: FlowPrompt,
        tokens: Tensor,
        end: int,
        *,
        start: int = 0,
        chunked: bool = True,
        state: FlowState | None = None,
        counter: Count | None = None,
        check: Check = go_on,
    ) -> Tensor:
        """Compute tokens start … end - 1.

        Args:
            voice: whose; `voice.mel` is known already where there is any.
            tokens: int64 [T], the prompt's and then the speech's; those from `end` on are only
                seen ahead, and when there are none the speech ends.
            end: where to stop; at a whole block if a call follows.
            start: where `state` has got to.
            chunked: rows see their block and what is before it.
            state: of the tokens before `start`; grows to `end`. None keeps nothing.
            counter: told (stage, rows) of what is computed.
            check: called before the encoder and before each step of the solver. Once it has
                raised, `state` is of no more use.

        Returns:
            float32 [1, mel, ratio · (end - start)], the prompt's frames included.

        Raises:
            TextTooLong: `end` is after the last frame there is start noise for.
        """
        ratio, block = self.sizes.encoder.ratio, self.sizes.estimator.block_frames
        at = span(
            start * ratio,
            (end - start) * ratio,
            block if chunked else None,
            self._device,
            counter,
            self._cfm.dtype,
        )
        known = voice.mel[:, at.start : at.end]
        with torch.inference_mode():
            check()
            noise = self._cfm.noise(at)
            mu = self._mean(tokens, start, end, chunked, state, counter)
            cond = functional.pad(known, (0, 0, 0, at.count - known.shape[1]))
            steps = state.steps if state else None
            mel = self._cfm(noise, mu, cond, voice.speaker, at, steps, check=check)
            return mel.transpose(1, 2)

    def _mean(
        self,
        tokens: Tensor,
        start: int,
        end: int,
        chunked: bool,
        state: FlowState | None,
        counter: Count | None,
    ) -> Tensor:
        ahead = tokens[end : end + self.sizes.encoder.lookahead]
        encoded = self.encoder(
            self.embed(tokens[start:end]),
            self.embed(ahead) if ahead.numel() else None,
            start=start,
            chunked=chunked,
            cache=state.encoder if state else None,
            counter=counter,
        )
        return self.mean(encoded)


def load(
    tensors: Mapping[str, Tensor],
    sizes: FlowSizes,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> Flow:
    """Make the flow of a checkpoint's tensors.

    Raises:
        ModelLoadFailed: a tensor is missing, unknown or of another shape.
    """
    view = Tensors(FILE, tensors)
    with torch.inference_mode():
        flow = Flow(Loader(view, device, dtype), sizes, device, dtype)
    view.done()
    return flow
