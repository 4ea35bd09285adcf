"""Ours, from a release's files to sound: `python FILE RELEASE [options] REQUESTS`.

The parts as the engine uses them on a CPU: tokens are drawn until flow and vocoder can make a hop.
`--off` leaves one optimisation out.
"""

# ruff: noqa: E402 the time that imports take is measured
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.forced import SEED, TEXT, VOICE, Sample, forced, resident_mb, timed
from cosyd.engines.cosyvoice2 import threads

WAITING = "threads that soon sleep when they wait"
"""The one optimisation that must be left out before torch is imported."""
if WAITING not in sys.argv:
    threads.wait_quietly()
_BEGIN = time.perf_counter()

import torch
from torch import Tensor

from bench import without
from cosyd.engines.base import Settings
from cosyd.engines.cosyvoice2 import device, flow, lm, speech_lm, wave
from cosyd.engines.cosyvoice2.flow import FlowPrompt
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.release import Release, Speaker
from cosyd.engines.cosyvoice2.sampling import RepetitionAware
from cosyd.engines.cosyvoice2.speech import Model
from cosyd.engines.cosyvoice2.speech_lm import SpeechLm
from cosyd.engines.cosyvoice2.spelling import Speller
from cosyd.engines.cosyvoice2.t2w import MelStream, TokenToWave
from cosyd.engines.cosyvoice2.tokenizer import Tokenizer
from cosyd.engines.cosyvoice2.warm_up import speak_once

_IMPORTED = time.perf_counter()
RATE = 24_000


def load(folder: Path, precision: str, off: str) -> Model:
    """The model with its weights."""
    opened = Release(folder)
    chosen = device.choose(Settings(folder, "cpu", precision))
    numbers = opened.settings
    tensors = without.checkpoints(folder) if off == without.MAPPED else None
    sizes = lm.LmSizes.read(numbers)
    llm = tensors["llm"] if tensors else opened.llm(chosen.lm)
    network = lm.load(llm, sizes, device=chosen.device, dtype=chosen.lm)
    part = tensors["flow"] if tensors else opened.flow()
    decoder = flow.load(part, flow.FlowSizes.read(numbers), device=chosen.device, dtype=chosen.flow)
    part = tensors["hift"] if tensors else opened.hift()
    vocoder = wave.load(part, HiftSizes.read(numbers), device=chosen.device, dtype=chosen.vocoder)
    speller = Speller(Tokenizer.load(folder / "CosyVoice-BlankEN"))
    return Model(speller, SpeechLm(network), decoder, vocoder)


def say(model: Model, voice: FlowPrompt, speaker: Speaker, off: str) -> Iterator[int]:
    """The lengths of the pieces, in samples, as they come."""
    assert speaker.prompt_text is not None
    assert speaker.llm_tokens is not None
    prompt = speech_lm.zero_shot(speaker.prompt_text[0].tolist(), speaker.llm_tokens[0].tolist())
    release = RepetitionAware()

    def sampler(logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
        chosen: Tensor = forced(lambda left: release(left, decoded, generator), logp, decoded)
        return chosen

    state = model.lm.begin(TEXT, prompt, seed=SEED, sampler=sampler)
    mel: MelStream = without.stream(model.flow, voice, off) or FlowStream(model.flow, voice)
    sound = TokenToWave(mel, model.vocoder, torch.Generator().manual_seed(SEED))
    while not sound.ended:
        if sound.ready:
            yield len(sound.step())
            continue
        [token] = model.lm.step([state])
        sound.write([] if token is None else [token], final=state.done)


def main(arguments: list[str]) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--off", default="")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("requests", type=int)
    asked = parser.parse_args(arguments)
    without.leave_out(asked.off)
    sample = Sample(imports_s=_IMPORTED - _BEGIN)
    begin = time.perf_counter()
    model = load(asked.folder, asked.precision, asked.off)
    speak_once(model, long=False)  # a worker does that too before it says that it is ready
    sample.load_s, sample.loaded_mb = time.perf_counter() - begin, resident_mb()
    speaker = Release(asked.folder).speakers()[VOICE]
    begin = time.perf_counter()
    warm = asked.off != without.PROMPT
    voice = model.flow.prompt(speaker.flow_tokens, speaker.prompt_mel, speaker.embedding, warm=warm)
    sample.voice_s = time.perf_counter() - begin
    for _ in range(asked.requests):
        sample.requests.append(timed(say(model, voice, speaker, asked.off), RATE))
    sample.tell()


if __name__ == "__main__":
    main(sys.argv[1:])
