"""A first, silent utterance, so that no real one pays for kernels, graphs and the allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from cosyd.engines.cosyvoice2 import speech_lm
from cosyd.engines.cosyvoice2.device import generator
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.t2w import TokenToWave

if TYPE_CHECKING:
    from cosyd.engines.cosyvoice2.speech import Model

_TEXT: Final = "Hello, 你好."
_PROMPT_TOKENS: Final = 30
"""Of a voice that nobody has: over one block of the flow."""
_SHORT: Final = 4
"""Speech tokens: enough for every part, where computing is slow and nothing is compiled."""


def speak_once(model: Model, *, long: bool) -> None:
    """Run text, language model, flow and vocoder.

    Args:
        long: the hops of a real utterance, so that what depends on lengths is prepared, too.
    """
    drawn = _draw(model, 2)
    sizes, device = model.flow.sizes, model.vocoder.device
    prompt = model.flow.prompt(
        torch.zeros((1, _PROMPT_TOKENS if long else 0), dtype=torch.int64),
        torch.zeros(1, _PROMPT_TOKENS * sizes.encoder.ratio, sizes.estimator.mel, device=device),
        torch.ones(1, sizes.speaker),
    )
    wave = TokenToWave(FlowStream(model.flow, prompt), model.vocoder, generator(device, 0))
    count = 4 * sizes.encoder.block_tokens if long else _SHORT
    wave.write(list(range(count)), final=False)
    wave.write(drawn, final=True)
    while wave.ready:
        wave.step()


def _draw(model: Model, steps: int) -> list[int]:
    """The text's prefill and some steps after it; the speech tokens that came out."""
    tokens = model.speller.tokens(_TEXT)
    state = model.lm.begin(tokens, speech_lm.sft(), seed=0)
    drawn: list[int] = []
    while state.ready and steps:
        drawn += [token for token in model.lm.step([state]) if token is not None]
        steps -= 1
    return drawn
