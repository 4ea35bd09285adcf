"""Part by part on the card: the same numbers as on the CPU, graphs as eager; what each takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import torch

from bench.figures import Figure
from bench.gpu_card import wait
from cosyd.engines.cosyvoice2 import flow, lm, release, wave
from cosyd.engines.cosyvoice2.acceleration import Report, accelerate
from cosyd.engines.cosyvoice2.device import generator
from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt, FlowSizes
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.graphs import Capture, CudaCapture
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.lm_sizes import LmSizes
from cosyd.engines.cosyvoice2.sampling import greedy
from cosyd.engines.cosyvoice2.speech_lm import Prompt, SpeechLm, State
from cosyd.engines.cosyvoice2.wave import Stream, Vocoder

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

TOLERANCES: Final = {torch.float32: 2e-3}
"""Largest difference of a logit, a mel or a wave in float32: sums in another order through all
layers. In 16 bits the difference is told, without a limit."""
TEXT: Final = (11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
PROMPT: Final = 75
"""Speech tokens: three seconds."""


def again(_device: torch.device) -> Capture:
    """In place of graphs where there are none: the work is done again."""

    return lambda work: work


class Parts:
    """Language model, flow and vocoder of a release on a device."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        opened = release.Release(folder)
        numbers = opened.settings
        self.device = device
        self.dtype = dtype
        sizes = LmSizes.read(numbers)
        self.lm = SpeechLm(lm.load(opened.llm(), sizes, device=device, dtype=dtype))
        flow_sizes = FlowSizes.read(numbers)
        self.flow: Flow = flow.load(opened.flow(), flow_sizes, device=device, dtype=dtype)
        hift = HiftSizes.read(numbers)
        self.vocoder: Vocoder = wave.load(opened.hift(), hift, device=device, dtype=torch.float32)

    def accelerate(self) -> Report:
        """Capture graphs, or what stands for them."""
        capture = CudaCapture if self.device.type == "cuda" else again
        return accelerate(self.lm, self.flow, self.device, capture=capture)

    def eager(self) -> None:
        """Let go of them."""
        self.lm.decoder = self.flow.cfm.graphs = None

    def voice(self) -> FlowPrompt:
        """A random voice, its state made."""
        random = torch.Generator().manual_seed(3)
        sizes = self.flow.sizes
        tokens = torch.randint(sizes.vocabulary, (1, PROMPT), generator=random)
        mel = torch.randn(1, PROMPT * sizes.encoder.ratio, sizes.estimator.mel, generator=random)
        return self.flow.prompt(tokens, mel, torch.randn(1, sizes.speaker, generator=random))

    def begin(self, *, seed: int = 1, chosen: bool = False) -> State:
        """An utterance; `chosen`: it always says the likeliest token."""
        sampler = greedy if chosen else None
        return self.lm.begin(TEXT, Prompt(TEXT, range(PROMPT)), seed=seed, sampler=sampler)

    def said(self, steps: int) -> tuple[list[int], Tensor]:
        """The first tokens of one utterance, and the log-probabilities of the last step."""
        state = self.begin(chosen=True)
        seen: list[Tensor] = []

        def looking(logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
            del decoded, generator
            seen[:] = [logp.clone()]
            return logp[: self.lm.lm.sizes.speech_tokens].argmax()

        state.sampler = looking
        tokens = [self.lm.step([state])[0] for _ in range(steps)]
        return [token for token in tokens if token is not None], seen[0].float().cpu()

    def mel(self, count: int) -> Tensor:
        """[1, mel, frames] of some tokens, streamed."""
        stream = FlowStream(self.flow, self.voice())
        stream.push([7 * place % self.flow.sizes.vocabulary for place in range(count)])
        made = []
        while stream.ready:
            made.append(stream.step())
        return torch.cat([*made, stream.finish()], dim=2).float()

    def wave(self, mel: Tensor) -> Tensor:
        """[1, samples] of a mel, from the CPU's noise."""
        stream = Stream(self.vocoder, torch.Generator().manual_seed(1))
        return stream.push(mel.to(self.device), final=True)


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a.cpu() - b.cpu()).abs().max())


def _difference(
    section: str, name: str, value: float, limit: float | None, note: str = ""
) -> Figure:
    """Told in millionths: the tables' two digits would hide it."""
    return Figure(section, name, value * 1e6, "·10⁻⁶", limit and limit * 1e6, note)


def parity(reference: Parts, parts: Parts, steps: int) -> list[Figure]:
    """The largest differences from the CPU in float32, which `check` compares with the original."""
    kind = str(parts.dtype).removeprefix("torch.")
    limit = TOLERANCES.get(parts.dtype)
    state = [each.said(1)[1] for each in (reference, parts)]
    mels = [each.mel(steps) for each in (reference, parts)]
    waves = [each.wave(mels[0]) for each in (reference, parts)]
    found = {
        "logits after the prompt": _apart(*(row.clamp(min=-50) for row in state)),
        "mel, streamed": _apart(*mels),
        "wave of the same mel": _apart(*waves),
    }
    return [
        _difference("parity", f"{kind}: {name}, largest difference from the CPU", value, limit)
        for name, value in found.items()
    ]


def equality(parts: Parts, steps: int) -> tuple[list[Figure], Report]:
    """Graphs against eager on the same device; the graphs stay."""
    parts.eager()
    (words, row), mel = parts.said(steps), parts.mel(2 * steps)
    report = parts.accelerate()
    (graph_words, graph_row), graph_mel = parts.said(steps), parts.mel(2 * steps)
    limit = TOLERANCES.get(parts.dtype)
    differing = sum(a != b for a, b in zip(words, graph_words, strict=True))
    kind = str(parts.dtype).removeprefix("torch.")
    exact = parts.dtype == torch.float32
    return [
        Figure(
            "graphs",
            f"{kind}: of {steps} greedy tokens other than eager",
            differing,
            "",
            0 if exact else None,
        ),
        _difference(
            "graphs",
            f"{kind}: log-probability, largest difference from eager",
            _apart(row.clamp(min=-50), graph_row.clamp(min=-50)),
            limit,
            "" if exact else "means nothing once the tokens differ",
        ),
        _difference(
            "graphs",
            f"{kind}: mel, largest difference from eager",
            _apart(mel, graph_mel),
            limit,
        ),
    ], report


def profile(parts: Parts, *, times: int, label: str) -> list[Figure]:
    """What each part takes, alone, in the middle of an utterance."""
    voice, device, ratio = parts.voice(), parts.device, parts.flow.sizes.encoder.ratio
    figures = [_timed(f"{label}: prefill", parts, times, lambda: parts.lm.step([parts.begin()]))]
    for batch in (1, 4, 16):
        states = [parts.begin(seed=seed) for seed in range(batch)]
        parts.lm.step(states)
        work = _stepping(parts, states)
        figures.append(_timed(f"{label}: decode step of {batch}", parts, times, work))
    figures += [
        _timed(f"{label}: flow, hop of {hop} tokens", parts, times, _hopping(parts, voice, hop))
        for hop in (25, 50, 100)
    ]
    bins = parts.flow.sizes.estimator.mel
    for hop in (25, 100):
        mel = torch.randn((1, bins, hop * ratio), device=device)
        work = _vocoding(parts, mel)
        figures.append(_timed(f"{label}: vocoder, {hop} tokens' mel", parts, times, work))
    samples = torch.zeros(100 * ratio * 480, device=device)
    figures.append(_timed(f"{label}: copy of 4 s to the host", parts, times, samples.cpu))
    return figures


def _stepping(parts: Parts, states: list[State]) -> Callable[[], object]:
    return lambda: parts.lm.step([state for state in states if state.ready] or [parts.begin()])


def _hopping(parts: Parts, voice: FlowPrompt, hop: int) -> Callable[[], object]:
    tokens = list(range(hop + 60))

    def work() -> object:
        stream = FlowStream(parts.flow, voice, hops=(hop,))
        stream.push(tokens)
        return stream.step()

    return work


def _vocoding(parts: Parts, mel: Tensor) -> Callable[[], object]:
    def work() -> object:
        return Stream(parts.vocoder, generator(parts.device, 1)).push(mel, final=True)

    return work


def _timed(name: str, parts: Parts, times: int, work: Callable[[], object]) -> Figure:
    work()
    taken = []
    for _ in range(times):
        wait(parts.device)
        begin = time.perf_counter()
        work()
        wait(parts.device)
        taken.append(time.perf_counter() - begin)
    return Figure("profile", name, sorted(taken)[times // 2] * 1e3, "ms", note=f"{times} times")
