"""Compares vocoder, source, joins and front-end features with recorded arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import features, flow, release, t2w, wave
from cosyd.engines.cosyvoice2.features import PromptMelSizes
from cosyd.engines.cosyvoice2.flow_stream import HOPS, FlowStream
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.tensors import Row
from cosyd.engines.cosyvoice2.wave import ExactStream, Vocoder

EXACT: Final = 0.0
WAVE: Final = 1e-5
"""From a given source; the reference's own rounding is 3e-7."""
LAYER: Final = 1e-4
F0_HZ: Final = 1e-2
SINES: Final = 2e-4
OWN_SOURCE: Final = 4e-3
"""From an own f0: 1e-4 Hz of rounding, nine harmonics, seconds of summed phase."""
FEATURE: Final = 1e-4
LOG_ENERGY: Final = 1e-3
"""Kaldi takes the logarithm of energies near the rounding of what they are sums of."""
SPOKEN: Final = 1e-4
"""From speech tokens, with a given source."""
SINE_SEED, CALL_SEED = 7, 1000
"""Added to the recording's seed: before the sine generator; before the vocoder's first call."""

Arrays = Mapping[str, Tensor]


def rows(folder: Path) -> Iterator[Row]:
    """Run everything that a folder with a release and recorded arrays can be asked.

    Draws are compared where the recording's seed is known. A missing file is passed over.

    Raises:
        ModelNotFound, ModelLoadFailed: the release is incomplete or broken.
    """
    opened = release.Release(folder)
    vocoder = wave.load(
        opened.hift(),
        HiftSizes.read(opened.settings),
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    seed = _seed(folder)
    checks: list[tuple[str, Callable[[Arrays], Iterator[Row]]]] = [
        ("hift.npz", partial(_vocoder, vocoder, seed)),
        ("fade.npz", _fade),
        ("frontend.npz", partial(_features, PromptMelSizes.read(opened.settings))),
    ]
    with torch.inference_mode():
        for file, check in checks:
            if (folder / file).exists():
                yield from check(_arrays(folder / file))
        for path in sorted(folder.glob("t2w_*.npz")):
            yield from _calls(vocoder, seed, path.name, _arrays(path))
        yield from _spoken(folder, opened, vocoder)


def _arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(np.asarray(array)) for name, array in file.items()}


def _seed(folder: Path) -> int | None:
    path = folder / "config.json"
    seed = json.loads(path.read_bytes()).get("seed") if path.exists() else None
    return seed if isinstance(seed, int) else None


def _row(stage: str, array: str, got: Tensor, wanted: Tensor, tolerance: float) -> Row:
    if got.shape != wanted.shape:
        return Row(stage, array, float("inf"), tolerance)
    return Row(stage, array, float((got - wanted).abs().max()), tolerance)


def _vocoder(vocoder: Vocoder, seed: int | None, arrays: Arrays) -> Iterator[Row]:
    def row(name: str, got: Tensor, tolerance: float) -> Row:
        return _row("hift", f"hift.npz:{name}", got, arrays[name], tolerance)

    mel, source, spectrum = arrays["mel"], arrays["source"], vocoder.hift.spectrum
    yield row("f0", vocoder.source.f0(mel), F0_HZ)
    yield row("conv_pre", vocoder.hift.conv_pre(mel), LAYER)
    real, imaginary = spectrum.of(source).chunk(2, dim=1)
    yield row("source_stft_real", real, WAVE)
    yield row("source_stft_imag", imaginary, WAVE)
    yield row("stft_window", torch.hann_window(spectrum.n_fft), 1e-6)
    yield row("wave", vocoder.hift(mel, source), WAVE)
    if seed is not None and _is_drawn_after(seed + SINE_SEED, arrays["rand_ini"]):
        made = vocoder.source.whole(arrays["f0"], _generator(seed + SINE_SEED))
        yield row("sine_waves", made.sines, SINES)
        yield row("uv", made.voiced, EXACT)
        yield row("source", made.source, SINES)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _is_drawn_after(seed: int, drawn: Tensor) -> bool:
    return torch.equal(torch.rand(drawn.shape, generator=_generator(seed)), drawn)


def _fade(arrays: Arrays) -> Iterator[Row]:
    got = wave.cross_faded(arrays["fade_in"], arrays["fade_out"])
    yield _row("wave", "fade.npz:out", got, arrays["out"], 1e-6)


def _calls(vocoder: Vocoder, seed: int | None, file: str, arrays: Arrays) -> Iterator[Row]:
    """Every call with the recorded source; and what the source would be, drawn anew."""
    stream, waves = ExactStream(vocoder), []
    for call, final in enumerate(arrays["finalize_flag"].tolist()):
        recorded = {
            name: arrays[f"call{call}.{name}"]
            for name in ("hift_mel_in", "source", "hift_speech_raw", "wave_out")
        }
        made = stream.vocode(
            _new_frames(arrays, call),
            _generator(0),
            final=final,
            speed=_speed(arrays),
            source=recorded["source"].clone(),
        )
        waves.append(made.wave)
        for name, got, tolerance in (
            ("hift_mel_in", made.mel, LAYER),
            ("source", made.source, EXACT),  # that its beginning is the end of the call before
            ("hift_speech_raw", made.raw, WAVE),
            ("wave_out", made.wave, WAVE),
        ):
            if call or name != "source":
                yield _row("wave", f"{file}:call{call}.{name}", got, recorded[name], tolerance)
    yield _row("wave", f"{file}:wave", torch.cat(waves, 1), arrays["wave"], WAVE)
    if seed is not None:
        yield from _drawn(vocoder, seed + CALL_SEED, file, arrays)


def _drawn(vocoder: Vocoder, seed: int, file: str, arrays: Arrays) -> Iterator[Row]:
    """The first call's source, unless it was not this seed: then nothing is like it."""
    mel, recorded = arrays["call0.hift_mel_in"], arrays["call0.source"]
    got = vocoder.source.whole(vocoder.source.f0(mel), _generator(seed)).source
    if float((got - recorded).square().mean()) < 0.01 * float(recorded.square().mean()):
        yield _row("source", f"{file}:call0.source", got, recorded, OWN_SOURCE)


def _new_frames(arrays: Arrays, call: int) -> Tensor:
    before = arrays[f"call{call - 1}.flow_mel"].shape[2] if call else 0
    return arrays[f"call{call}.flow_mel"][..., before:]


def _speed(arrays: Arrays) -> float:
    """What a recording of one call was spoken with, out of how many mel frames went in."""
    before, after = (arrays[f"call0.{name}"].shape[2] for name in ("flow_mel", "hift_mel_in"))
    return 1.0 if before == after else before / (after + 0.5)


def _spoken(folder: Path, opened: release.Release, vocoder: Vocoder) -> Iterator[Row]:
    """From speech tokens, through the flow, with the recorded sources."""
    model = flow.load(
        opened.flow(),
        flow.FlowSizes.read(opened.settings),
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    voices = opened.speakers()
    for path in sorted([*folder.glob("t2w_*.npz"), *folder.glob("e2e_stream.npz")]):
        arrays = _arrays(path)
        if "token" in arrays:
            names = ("prompt_token", "prompt_feat", "embedding")
            prompt = model.prompt(*(arrays[name] for name in names))
            tokens = arrays["token"]
        elif voices:
            voice = next(iter(voices.values()))
            prompt = model.prompt(voice.flow_tokens, voice.prompt_mel, voice.embedding)
            tokens = arrays["tokens"]
        else:
            continue
        calls = len(arrays["wave_chunk_len"])
        waves = t2w.exact_upstream(
            FlowStream(model, prompt, hops=(25,) if "hop25" in path.name else HOPS),
            vocoder,
            tokens.flatten().tolist(),
            _generator,
            sources=[arrays[f"call{call}.source"] for call in range(calls)],
            speed=_speed(arrays) if "call0.flow_mel" in arrays else 1.0,
            whole="nonstream" in path.name,
        )
        wave_, lengths = torch.cat(waves)[None], torch.tensor([len(wave) for wave in waves])
        yield _row("t2w", f"{path.name}:wave_chunk_len", lengths, arrays["wave_chunk_len"], EXACT)
        yield _row("t2w", f"{path.name}:wave", wave_, arrays["wave"], SPOKEN)


def _features(sizes: PromptMelSizes, arrays: Arrays) -> Iterator[Row]:
    def row(name: str, got: Tensor, tolerance: float) -> Row:
        return _row("features", f"frontend.npz:{name}", got, arrays[name], tolerance)

    high, low = arrays["wave24k"], arrays["wave16k_resampled"]
    for name, made in (
        ("wave16k_resampled", features.resampled(high, 24_000, 16_000)),
        ("resample_24k_to_22050", features.resampled(high, 24_000, 22_050)),
        ("resample_16k_to_24k", features.resampled(low, 16_000, 24_000)),
    ):
        yield row(name, made, 1e-5)
    yield row("mel24k_80", features.prompt_mel(high, sizes), FEATURE)
    yield row("kaldi_fbank80", features.kaldi_bank(low), LOG_ENERGY)
    yield row("kaldi_fbank80_meansub", features.speaker_bank(low), LOG_ENERGY)
    yield row("whisper_logmel128", features.token_mel(low), FEATURE)
