"""The original's classes, in an environment of their own: `python FILE RELEASE REQUESTS`.

The modules are made as the release's yaml says, their weights loaded as `CosyVoice2Model.load`
does; the language model's own pretrained weights, which that reads first and then replaces, are
not read, to the original's advantage. What is left out runs beside neither of both: text front
end and the two ONNX models.
"""

# ruff: noqa: E402 the time that imports take is measured
# mypy: disable-error-code=import-not-found
# Its packages are in an environment of their own.
from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import stand_ins
from bench.forced import SEED, TEXT, VOICE, Sample, forced, requests, resident_mb, timed

stand_ins.install()
_BEGIN = time.perf_counter()

import torch
from cosyvoice.cli.model import CosyVoice2Model
from cosyvoice.flow.decoder import CausalConditionalDecoder
from cosyvoice.flow.flow import CausalMaskedDiffWithXvec
from cosyvoice.flow.flow_matching import CausalConditionalCFM
from cosyvoice.hifigan.f0_predictor import ConvRNNF0Predictor
from cosyvoice.hifigan.generator import HiFTGenerator
from cosyvoice.llm.llm import Qwen2Encoder, Qwen2LM
from cosyvoice.transformer.upsample_encoder import UpsampleConformerEncoder
from cosyvoice.utils.common import ras_sampling
from omegaconf import DictConfig
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.modeling_utils import no_init_weights

_IMPORTED = time.perf_counter()
RATE = 24_000


def sampling(logp: Any, decoded: Any, count: int) -> Any:
    """The release's sampler, with the number of tokens forced."""
    if len(decoded) >= 250:
        return torch.tensor([6561])
    choose = partial(
        ras_sampling,
        decoded_tokens=decoded,
        sampling=count,
        top_p=0.8,
        top_k=25,
        win_size=10,
        tau_r=0.1,
    )
    return forced(choose, logp, decoded)


def language_model(folder: Path) -> Any:
    """Without its weights."""
    encoder = Qwen2Encoder.__new__(Qwen2Encoder)
    torch.nn.Module.__init__(encoder)
    config = Qwen2Config.from_pretrained(folder / "CosyVoice-BlankEN")
    config._attn_implementation = "sdpa"
    with no_init_weights():
        encoder.model = Qwen2ForCausalLM(config)
    encoder.model.tie_weights()  # as `from_pretrained` does
    return Qwen2LM(896, 896, 6561, encoder, sampling)


def flow() -> Any:
    """Without its weights."""
    encoder = UpsampleConformerEncoder(
        output_size=512,
        attention_heads=8,
        linear_units=2048,
        num_blocks=6,
        dropout_rate=0.1,
        positional_dropout_rate=0.1,
        attention_dropout_rate=0.1,
        normalize_before=True,
        input_layer="linear",
        pos_enc_layer_type="rel_pos_espnet",
        selfattention_layer_type="rel_selfattn",
        input_size=512,
        use_cnn_module=False,
        macaron_style=False,
        static_chunk_size=25,
    )
    estimator = CausalConditionalDecoder(
        in_channels=320,
        out_channels=80,
        channels=[256],
        dropout=0.0,
        attention_head_dim=64,
        n_blocks=4,
        num_mid_blocks=12,
        num_heads=8,
        act_fn="gelu",
        static_chunk_size=50,
        num_decoding_left_chunks=-1,
    )
    numbers = {
        "sigma_min": 1e-6,
        "solver": "euler",
        "t_scheduler": "cosine",
        "training_cfg_rate": 0.2,
        "inference_cfg_rate": 0.7,
        "reg_loss_type": "l1",
    }
    decoder = CausalConditionalCFM(
        in_channels=240,
        n_spks=1,
        spk_emb_dim=80,
        cfm_params=DictConfig(numbers),
        estimator=estimator,
    )
    return CausalMaskedDiffWithXvec(
        input_size=512,
        output_size=80,
        spk_embed_dim=192,
        output_type="mel",
        vocab_size=6561,
        input_frame_rate=25,
        only_mask_loss=True,
        token_mel_ratio=2,
        pre_lookahead_len=3,
        encoder=encoder,
        decoder=decoder,
    )


def vocoder() -> Any:
    """Without its weights."""
    return HiFTGenerator(
        in_channels=80,
        base_channels=512,
        nb_harmonics=8,
        sampling_rate=RATE,
        nsf_alpha=0.1,
        nsf_sigma=0.003,
        nsf_voiced_threshold=10,
        upsample_rates=[8, 5, 3],
        upsample_kernel_sizes=[16, 11, 7],
        istft_params={"n_fft": 16, "hop_len": 4},
        resblock_kernel_sizes=[3, 7, 11],
        resblock_dilation_sizes=[[1, 3, 5]] * 3,
        source_resblock_kernel_sizes=[7, 7, 11],
        source_resblock_dilation_sizes=[[1, 3, 5]] * 3,
        lrelu_slope=0.1,
        audio_limit=0.99,
        f0_predictor=ConvRNNF0Predictor(num_class=1, in_channels=80, cond_channels=512),
    )


def load(folder: Path) -> Any:
    """The model with its weights."""
    modules = {"llm": language_model(folder), "flow": flow(), "hift": vocoder()}
    for name, module in modules.items():
        path = folder / f"{name}.pt"
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
        module.eval()
    model = CosyVoice2Model(None, modules["flow"], modules["hift"])
    model.llm = modules["llm"]  # the package leaves it out of its own constructor
    return model


def say(model: Any, voice: Any) -> Any:
    """The lengths of the pieces, in samples, as they come."""
    torch.manual_seed(SEED)
    with torch.inference_mode():
        for piece in model.tts(
            text=torch.tensor([TEXT], dtype=torch.int32),
            flow_embedding=voice["flow_embedding"],
            llm_embedding=voice["llm_embedding"],
            prompt_text=voice["prompt_text"],
            llm_prompt_speech_token=voice["llm_prompt_speech_token"],
            flow_prompt_speech_token=voice["flow_prompt_speech_token"],
            prompt_speech_feat=voice["prompt_speech_feat"],
            stream=True,
        ):
            yield piece["tts_speech"].shape[1]


def main(folder: Path, count: int) -> None:
    """Measure and tell."""
    sample = Sample(imports_s=_IMPORTED - _BEGIN)
    begin = time.perf_counter()
    model = load(folder)
    sample.load_s, sample.loaded_mb = time.perf_counter() - begin, resident_mb()
    voice = torch.load(folder / "spk2info.pt", weights_only=True)[VOICE]
    for _ in range(count):
        sample.requests.append(timed(say(model, voice), RATE))
    sample.tell()


if __name__ == "__main__":
    main(Path(sys.argv[1]), requests(sys.argv))
