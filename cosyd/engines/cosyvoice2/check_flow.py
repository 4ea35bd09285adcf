"""Compares the flow's encoder, estimator, solver and streams with recorded arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import flow, release
from cosyd.engines.cosyvoice2.causal import span
from cosyd.engines.cosyvoice2.cfm import moments, start_noise
from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt, FlowSizes
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.tensors import Row

MEL: Final = 1e-4
"""Tolerance of everything of the flow in float32; the reference's own rounding is 4e-6."""
EXACT: Final = 0.0
_CPU: Final = torch.device("cpu")
_NOISE_KEY: Final = "rand_noise_sha256_float32_1x80x15000"

Arrays = Mapping[str, Tensor]


def rows(folder: Path) -> Iterator[Row]:
    """Run everything of the flow that a folder with a release and recorded arrays can be asked.

    A missing file is passed over.

    Raises:
        ModelNotFound, ModelLoadFailed: the release is incomplete or broken.
    """
    opened = release.Release(folder)
    sizes = FlowSizes.read(opened.settings)
    network = flow.load(opened.flow(), sizes, device=_CPU, dtype=torch.float32)
    with torch.inference_mode():
        if (folder / "config.json").exists():
            yield from _noise(folder / "config.json", sizes.estimator.mel)
        for file, check in (
            ("flow_encoder.npz", _encoder),
            ("estimator.npz", _estimator),
            ("cfm.npz", _cfm),
        ):
            if (folder / file).exists():
                yield from check(file, arrays(folder / file), network)
        for path in sorted(folder.glob("t2w_*.npz")):
            yield from _mels(path.name, arrays(path), network)


def arrays(path: Path) -> Arrays:
    """The arrays of a file, by name."""
    with np.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def voice(recorded: Arrays, network: Flow) -> FlowPrompt:
    """The voice of a recorded run."""
    return network.prompt(recorded["prompt_token"], recorded["prompt_feat"], recorded["embedding"])


def _row(stage: str, array: str, got: Tensor, wanted: Tensor) -> Row:
    if got.shape != wanted.shape:
        return Row(stage, array, float("inf"), MEL)
    return Row(stage, array, float((got - wanted).abs().max()), MEL)


def _noise(path: Path, mel: int) -> Iterator[Row]:
    wanted = json.loads(path.read_bytes()).get(_NOISE_KEY)
    if wanted is not None:
        data = start_noise(mel).transpose(1, 2).contiguous().numpy().tobytes()
        wrong = hashlib.sha256(data).hexdigest() != wanted
        yield Row("noise", f"{path.name}:{_NOISE_KEY}", float(wrong), EXACT)


def _encoder(file: str, recorded: Arrays, network: Flow) -> Iterator[Row]:
    row = partial(_named, "flow_encoder", file, recorded)
    tokens = torch.cat((recorded["prompt_token"], recorded["token"]), dim=1)[0]
    yield row("spk_proj", network.speaker(recorded["embedding"]))
    frames = recorded["rand_noise_first"].shape[2]
    mel = network.sizes.estimator.mel
    yield row("rand_noise_first", start_noise(mel)[:, :frames].transpose(1, 2))
    for name, chunked in (("nonstream", False), ("stream", True)):
        encoded = network.encoder(network.embed(tokens), None, chunked=chunked)
        yield row(f"enc_full_{name}", encoded)
        yield row(f"mu_full_{name}", network.mean(encoded))
    count = int(recorded["enc_chunk1_ntok"])
    ahead = network.embed(tokens[count:][: network.sizes.encoder.lookahead])
    encoded = network.encoder(network.embed(tokens[:count]), ahead, chunked=True)
    yield row("enc_chunk1_stream_ctx3", encoded)


def _named(stage: str, file: str, recorded: Arrays, name: str, got: Tensor) -> Row:
    return _row(stage, f"{file}:{name}", got, recorded[name])


def _estimator(file: str, recorded: Arrays, network: Flow) -> Iterator[Row]:
    row = partial(_named, "estimator", file, recorded)
    estimator, t = network.cfm.estimator, recorded["t"]
    yield row("time_embedding", estimator.embed_time(t))
    yield row("time_mlp", estimator.time(t))
    frames = recorded["x"].shape[2]
    speakers = recorded["spks"][:, :, None].expand(-1, -1, frames)
    x = torch.cat((recorded["x"], recorded["mu"], speakers, recorded["cond"]), dim=1)
    for name, block in _masks(network):
        at = span(0, frames, block, _CPU)
        got = estimator(x.transpose(1, 2), estimator.shifts(t), at, None)
        yield row(f"out_{name}", got.transpose(1, 2))


def _masks(network: Flow) -> tuple[tuple[str, int | None], ...]:
    return ("stream", network.sizes.estimator.block_frames), ("nonstream", None)


def _cfm(file: str, recorded: Arrays, network: Flow) -> Iterator[Row]:
    row = partial(_named, "cfm", file, recorded)
    yield row("t_values", moments(network.sizes.steps)[0].double())
    for name, block in _masks(network):
        trace: list[Tensor] = []
        got = network.cfm(
            recorded["z"].transpose(1, 2),
            recorded["mu"].transpose(1, 2),
            recorded["cond"].transpose(1, 2),
            recorded["spks"],
            span(0, recorded["z"].shape[2], block, _CPU),
            trace=trace,
        )
        yield row(f"out_{name}", got.transpose(1, 2))
        before = torch.cat(trace).transpose(1, 2)
        if name == "stream":  # the run that was traced
            yield row("x_before_each_step", before)


def _mels(file: str, recorded: Arrays, network: Flow) -> Iterator[Row]:
    """Each call's mel, recomputed from nothing and, all but full masks, from the caches."""
    prompt, tokens = voice(recorded, network), recorded["token"][0].tolist()
    told = zip(
        recorded["n_token_per_call"].tolist(),
        recorded["streaming_flag"].tolist(),
        recorded["finalize_flag"].tolist(),
        strict=True,
    )
    for number, (count, streaming, final) in enumerate(told):
        got = network.whole(prompt, tokens[:count], chunked=streaming, final=final)
        name = f"call{number}.flow_mel"
        yield _row("flow", f"{file}:{name}", got, recorded[name])
    yield from _streamed(file, recorded, network, prompt, tokens)


def _streamed(
    file: str, recorded: Arrays, network: Flow, prompt: FlowPrompt, tokens: list[int]
) -> Iterator[Row]:
    counts = recorded["n_token_per_call"].tolist()
    stream = FlowStream(network, prompt, hops=_hops(counts, network, prompt))
    for number, count in enumerate(counts):
        stream.push(tokens[:count][_given(counts, number) :])
        before = stream.frames
        last = number == len(counts) - 1
        got = stream.finish(exact_upstream=True) if last else stream.step()
        wanted = recorded[f"call{number}.flow_mel"][:, :, before:]
        yield _row("flow_stream", f"{file}:call{number}.flow_mel", got, wanted)


def _given(counts: list[int], number: int) -> int:
    return counts[number - 1] if number else 0


def _hops(counts: list[int], network: Flow, prompt: FlowPrompt) -> list[int]:
    """The hops that a recorded run took, without its last call's."""
    sizes = network.sizes.encoder
    ends = [prompt.length + count - sizes.lookahead for count in counts[:-1]]
    edge = -(-prompt.length // sizes.block_tokens) * sizes.block_tokens
    taken = [end - start for start, end in zip([edge, *ends], ends, strict=False)]
    return taken or [sizes.block_tokens]
