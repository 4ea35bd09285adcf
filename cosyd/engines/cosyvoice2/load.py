"""The factory: a release in the data directory → the engine, or why there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cosyd.engines.cosyvoice2 import DESCRIPTOR, MODEL, layout, threads
from cosyd.engines.registry import missing
from cosyd.errors import EngineNotInstalled, ModelNotFound, OutOfMemory

if TYPE_CHECKING:
    from cosyd.engines.base import Settings
    from cosyd.engines.cosyvoice2.device import Device
    from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
    from cosyd.engines.cosyvoice2.release import Release
    from cosyd.engines.cosyvoice2.speech import Model


def load(model: str, settings: Settings) -> CosyVoice2Engine:
    """The engine with its weights loaded; the factory of the descriptor.

    Raises:
        EngineNotInstalled: packages are missing.
        ModelNotFound: the weights are; the message says how to fetch them.
        ModelLoadFailed: they are broken, or the device asked for is not there.
        OutOfMemory: they do not fit into its memory.
    """
    if model != MODEL:
        raise ModelNotFound(f"no model {model!r}: cosyvoice2's is {MODEL!r}")
    if lacking := missing(DESCRIPTOR):
        raise EngineNotInstalled(f"{', '.join(lacking)} missing: {DESCRIPTOR.install}")
    folder = settings.data_dir / "models" / MODEL
    layout.check(folder)

    threads.wait_quietly()

    from cosyd.engines.cosyvoice2 import device, release

    _use_all_cores()
    opened = release.Release(folder, cache=settings.data_dir / "converted" / MODEL)
    chosen = device.choose(settings)
    device.prepare(chosen)
    with _memory_may_lack():
        return _engine(opened, settings, chosen)


def _engine(opened: Release, settings: Settings, chosen: Device) -> CosyVoice2Engine:
    from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
    from cosyd.engines.cosyvoice2.lanes import lane
    from cosyd.engines.cosyvoice2.voice import Shelf
    from cosyd.engines.cosyvoice2.voices import Voices, stamp

    model = _model(opened, chosen)
    shelf = Shelf(settings.data_dir / "conditioning", stamp(opened.folder))
    voices = Voices(opened, model.flow, model.speller, shelf)
    return CosyVoice2Engine(model, voices, chosen, lane(chosen.device))


def _model(opened: Release, chosen: Device) -> Model:
    from cosyd.engines.cosyvoice2 import flow, lm, wave
    from cosyd.engines.cosyvoice2.hift import HiftSizes
    from cosyd.engines.cosyvoice2.lm_sizes import LmSizes
    from cosyd.engines.cosyvoice2.speech import Model
    from cosyd.engines.cosyvoice2.speech_lm import SpeechLm
    from cosyd.engines.cosyvoice2.spelling import Speller
    from cosyd.engines.cosyvoice2.tokenizer import Tokenizer

    numbers, place = opened.settings, chosen.device
    tokenizer = Tokenizer.load(opened.folder / layout.QWEN)
    sizes = LmSizes.read(numbers)
    network = lm.load(opened.llm(chosen.lm), sizes, device=place, dtype=chosen.lm)
    return Model(
        Speller(tokenizer),
        SpeechLm(network),
        flow.load(opened.flow(), flow.FlowSizes.read(numbers), device=place, dtype=chosen.flow),
        wave.load(opened.hift(), HiftSizes.read(numbers), device=place, dtype=chosen.vocoder),
    )


def _use_all_cores() -> None:
    """Let torch use the cores that this process may use, not all that the machine has."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ and hasattr(os, "sched_getaffinity"):
        torch.set_num_threads(len(os.sched_getaffinity(0)))


@contextmanager
def _memory_may_lack() -> Iterator[None]:
    from cosyd.engines.cosyvoice2.engine import lacks_memory

    try:
        yield
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        raise OutOfMemory("no memory to load CosyVoice 2: unload another model") from error
