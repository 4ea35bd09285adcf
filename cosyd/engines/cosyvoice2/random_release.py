"""A release with random weights: `python -m cosyd.engines.cosyvoice2.random_release DIR [--tiny]`.

Every file, name, shape and number type is a real release's, so that loading, memory and speed can
be measured where the real weights are not. It does not speak: what it makes is noise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import layout, onnx_stand_ins, shapes
from cosyd.engines.cosyvoice2.layout import Settings, read_settings

FBANK_BINS: Final = 80
WHISPER_BINS: Final = 128
PROMPT_TOKENS: Final = 75
"""Of the one voice: three seconds."""
VOICE: Final = "random"
_F0: Final = 150.0
"""Hz around which the random f0 lies, so that the source is voiced."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a random release may differ in; all else is as published."""

    llm_width: int = 896
    llm_layers: int = 24
    llm_heads: int = 14
    llm_kv_heads: int = 2
    llm_inner: int = 4864
    text_vocabulary: int = 151_936
    text_ranks: int = 151_643
    speech_vocabulary: int = 6561
    encoder_width: int = 512
    encoder_heads: int = 8
    encoder_inner: int = 2048
    encoder_blocks: int = 6
    estimator_width: int = 256
    estimator_head: int = 64
    estimator_heads: int = 8
    estimator_blocks: int = 4
    estimator_middle: int = 12
    hift_width: int = 512
    f0_width: int = 512


FULL: Final = Sizes()
TINY: Final = Sizes(
    llm_width=64,
    llm_layers=2,
    llm_heads=4,
    llm_inner=96,
    text_vocabulary=640,
    text_ranks=600,
    speech_vocabulary=243,
    encoder_width=64,
    encoder_heads=4,
    encoder_inner=96,
    encoder_blocks=2,
    estimator_width=32,
    estimator_head=8,
    estimator_heads=4,
    estimator_blocks=1,
    estimator_middle=2,
    hift_width=64,
    f0_width=32,
)


def write(folder: Path, sizes: Sizes = FULL, *, seed: int = 0) -> None:
    """Write a release with random weights.

    Args:
        folder: made if it is not there; files of the same names in it are replaced.
        sizes: `FULL` needs 2.6 GB of disk and as much memory.
        seed: the same seed makes the same weights.

    Raises:
        OSError: it cannot be written.
    """
    write_settings(folder, sizes)
    settings = read_settings(folder)
    random = torch.Generator().manual_seed(seed)
    for file, names in (
        (layout.LLM, shapes.llm(settings)),
        (layout.FLOW, shapes.flow(settings)),
        (layout.HIFT, shapes.hift(settings)),
    ):
        torch.save(_tensors(names, random), folder / file)
    torch.save({VOICE: _voice(settings, sizes, random)}, folder / layout.SPEAKERS)
    weight = torch.randn(FBANK_BINS, shapes.SPEAKER, generator=random).tolist()
    (folder / layout.SPEAKER_ENCODER).write_bytes(onnx_stand_ins.speaker_encoder(weight))
    (folder / layout.SPEECH_TOKENIZER).write_bytes(
        onnx_stand_ins.speech_tokenizer(WHISPER_BINS, sizes.speech_vocabulary)
    )


def write_settings(folder: Path, sizes: Sizes) -> None:
    """Write the small files only: the settings and the tokenizer. Raises as `write`."""
    (folder / layout.QWEN).mkdir(parents=True, exist_ok=True)
    (folder / layout.YAML).write_text(_yaml(sizes), encoding="utf-8")
    _write_json(folder / layout.QWEN_CONFIG, _qwen_config(sizes))
    _write_tokenizer(folder, sizes.text_ranks)


def _tensors(names: shapes.Shapes, random: torch.Generator) -> dict[str, Tensor]:
    tensors = {
        name: _tensor(name, shape, random)
        for name, shape in names.items()
        if name != "llm.model.lm_head.weight"
    }
    if "llm.model.lm_head.weight" in names:  # tied, as published: stored once
        tensors["llm.model.lm_head.weight"] = tensors["llm.model.model.embed_tokens.weight"]
    return {name: tensors[name] for name in names}


def _tensor(name: str, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Random, of a size that keeps what flows through about as large as it came."""
    if name == "f0_predictor.classifier.bias":
        return torch.full(shape, _F0)
    values = torch.randn(shape, generator=random)
    if name.endswith(("original0", ".alpha")) or (name.endswith(".weight") and len(shape) == 1):
        return values.mul_(0.1).add_(1)
    if name.endswith((".bias", "pos_bias_u", "pos_bias_v")):
        return values.mul_(0.02)
    return values.mul_(1 / math.sqrt(math.prod(shape[1:])))


def _voice(settings: Settings, sizes: Sizes, random: torch.Generator) -> dict[str, Tensor]:
    frames = PROMPT_TOKENS * settings.integer("token_mel_ratio")
    tokens = torch.randint(sizes.speech_vocabulary, (1, PROMPT_TOKENS), generator=random)
    text = torch.randint(sizes.text_ranks, (1, 20), generator=random)
    mel = torch.randn(1, frames, settings.integer("flow.output_size"), generator=random)
    embedding = torch.randn(1, shapes.SPEAKER, generator=random)
    arrays = {
        "prompt_text": text.to(torch.int32),
        "llm_prompt_speech_token": tokens.to(torch.int32),
        "flow_prompt_speech_token": tokens.to(torch.int32),
        "prompt_speech_feat": mel,
    }
    lengths = {
        f"{name}_len": torch.tensor([array.shape[1]], dtype=torch.int32)
        for name, array in arrays.items()
    }
    return arrays | lengths | {"llm_embedding": embedding, "flow_embedding": embedding}


def _write_tokenizer(folder: Path, ranks: int) -> None:
    """A byte-level BPE of `ranks` ranks: the bytes, their pairs, then triples."""
    letters = _byte_letters()
    merges = itertools.islice(_merges(letters), max(0, ranks - len(letters)))
    lines, vocabulary = [], {letter: rank for rank, letter in enumerate(letters)}
    for left, right in merges:
        lines.append(f"{left} {right}")
        vocabulary[left + right] = len(vocabulary)
    _write_json(folder / layout.VOCAB, vocabulary)
    text = "\n".join(["#version: 0.2", *lines, ""])
    (folder / layout.MERGES).write_text(text, encoding="utf-8")
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    added = {
        str(ranks + index): {"content": content, "special": True}
        for index, content in enumerate(special)
    }
    _write_json(
        folder / layout.QWEN / "tokenizer_config.json",
        {"added_tokens_decoder": added, "tokenizer_class": "Qwen2Tokenizer"},
    )


def _byte_letters() -> list[str]:
    """The 256 characters that stand for bytes: printable ones for themselves, then U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, printable), *(chr(256 + number) for number in range(256 - len(printable)))]


def _merges(letters: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from itertools.product(letters, letters)
    for left, middle, right in itertools.product(letters, letters, letters):
        yield left + middle, right


def _write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def _qwen_config(sizes: Sizes) -> dict[str, object]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": sizes.llm_width,
        "intermediate_size": sizes.llm_inner,
        "max_position_embeddings": 32_768,
        "model_type": "qwen2",
        "num_attention_heads": sizes.llm_heads,
        "num_hidden_layers": sizes.llm_layers,
        "num_key_value_heads": sizes.llm_kv_heads,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "tie_word_embeddings": True,
        "vocab_size": sizes.text_vocabulary,
    }


def _yaml(sizes: Sizes) -> str:
    """The settings with the keys and tags that readers of a release look at."""
    return f"""\
sample_rate: 24000
llm_input_size: {sizes.llm_width}
llm_output_size: {sizes.llm_width}
spk_embed_dim: {shapes.SPEAKER}
token_frame_rate: 25
token_mel_ratio: 2
chunk_size: 25
num_decoding_left_chunks: -1
llm: !new:cosyvoice.llm.llm.Qwen2LM
    llm_input_size: !ref <llm_input_size>
    llm_output_size: !ref <llm_output_size>
    speech_token_size: {sizes.speech_vocabulary}
    mix_ratio: [5, 15]
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: 0.8
        top_k: 25
        win_size: 10
        tau_r: 0.1
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
    input_size: {sizes.encoder_width}
    output_size: 80
    spk_embed_dim: !ref <spk_embed_dim>
    vocab_size: {sizes.speech_vocabulary}
    input_frame_rate: !ref <token_frame_rate>
    token_mel_ratio: !ref <token_mel_ratio>
    pre_lookahead_len: 3
    encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
        output_size: {sizes.encoder_width}
        attention_heads: {sizes.encoder_heads}
        linear_units: {sizes.encoder_inner}
        num_blocks: {sizes.encoder_blocks}
        input_size: {sizes.encoder_width}
        static_chunk_size: !ref <chunk_size>
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        in_channels: 240
        n_spks: 1
        spk_emb_dim: 80
        cfm_params: !new:omegaconf.DictConfig
            content:
                sigma_min: 1e-06
                t_scheduler: 'cosine'
                inference_cfg_rate: 0.7
        estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
            in_channels: 320
            out_channels: 80
            channels: [{sizes.estimator_width}]
            attention_head_dim: {sizes.estimator_head}
            n_blocks: {sizes.estimator_blocks}
            num_mid_blocks: {sizes.estimator_middle}
            num_heads: {sizes.estimator_heads}
            act_fn: 'gelu'
            static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
            num_decoding_left_chunks: !ref <num_decoding_left_chunks>
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: 80
    base_channels: {sizes.hift_width}
    nb_harmonics: 8
    sampling_rate: !ref <sample_rate>
    nsf_alpha: 0.1
    nsf_sigma: 0.003
    nsf_voiced_threshold: 10
    upsample_rates: [8, 5, 3]
    upsample_kernel_sizes: [16, 11, 7]
    istft_params:
        n_fft: 16
        hop_len: 4
    resblock_kernel_sizes: [3, 7, 11]
    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    source_resblock_kernel_sizes: [7, 7, 11]
    source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    lrelu_slope: 0.1
    audio_limit: 0.99
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: 80
        cond_channels: {sizes.f0_width}
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
    n_fft: 1920
    num_mels: 80
    sampling_rate: !ref <sample_rate>
    hop_size: 480
    win_size: 1920
    fmin: 0
    fmax: 8000
    center: False
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a random release and say what it is. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cosyd.engines.cosyvoice2.random_release",
        description="Write a CosyVoice 2 release with random weights. It does not speak.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true", help="a few MB instead of 2.6 GB")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        write(options.folder, TINY if options.tiny else FULL, seed=options.seed)
    except OSError as error:
        print(f"{error.filename or options.folder}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{options.folder}: a release with random weights. It does not speak: noise comes out.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
