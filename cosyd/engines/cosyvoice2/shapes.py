"""Names and shapes of a release's tensors, by its settings' numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cosyd.engines.cosyvoice2.layout import Settings

Shapes = dict[str, tuple[int, ...]]

SPEAKER: Final = 192
UP_BLOCKS: Final = 4
"""Conformer blocks after the upsampling; not in the yaml."""
_F0_LAYERS: Final = (0, 2, 4, 6, 8)
_SPECIAL_SPEECH_TOKENS: Final = 3


def llm(settings: Settings) -> Shapes:
    """Of `llm.pt`; `llm.model.lm_head.weight` is the text embedding again."""
    width = settings.qwen_integer("hidden_size")
    heads, kv_heads = (
        settings.qwen_integer(name) for name in ("num_attention_heads", "num_key_value_heads")
    )
    inner = settings.qwen_integer("intermediate_size")
    vocabulary = settings.qwen_integer("vocab_size"), width
    kv = kv_heads * (width // heads)
    speech = settings.integer("llm.speech_token_size") + _SPECIAL_SPEECH_TOKENS
    shapes: Shapes = {"llm_embedding.weight": (2, width)}
    shapes["llm.model.model.embed_tokens.weight"] = vocabulary
    for layer in range(settings.qwen_integer("num_hidden_layers")):
        name = f"llm.model.model.layers.{layer}"
        for part, size in (("q", width), ("k", kv), ("v", kv)):
            shapes |= _linear(f"{name}.self_attn.{part}_proj", size, width)
        shapes[f"{name}.self_attn.o_proj.weight"] = (width, width)
        shapes[f"{name}.mlp.gate_proj.weight"] = (inner, width)
        shapes[f"{name}.mlp.up_proj.weight"] = (inner, width)
        shapes[f"{name}.mlp.down_proj.weight"] = (width, inner)
        shapes[f"{name}.input_layernorm.weight"] = (width,)
        shapes[f"{name}.post_attention_layernorm.weight"] = (width,)
    shapes["llm.model.model.norm.weight"] = (width,)
    shapes["llm.model.lm_head.weight"] = vocabulary
    shapes |= _linear("llm_decoder", speech, width)
    shapes["speech_embedding.weight"] = (speech, width)
    return shapes


def flow(settings: Settings) -> Shapes:
    """Of `flow.pt`."""
    mel, width = settings.integer("flow.output_size"), settings.integer("flow.encoder.output_size")
    shapes: Shapes = {
        "input_embedding.weight": (
            settings.integer("flow.vocab_size"),
            settings.integer("flow.input_size"),
        )
    }
    shapes |= _linear("spk_embed_affine_layer", mel, settings.integer("spk_embed_dim", SPEAKER))
    shapes |= _encoder(settings, width)
    shapes |= _linear("encoder_proj", mel, width)
    return shapes | _estimator(settings)


def _encoder(settings: Settings, width: int) -> Shapes:
    entry = settings.integer("flow.encoder.input_size")
    shapes: Shapes = {}
    shapes |= _linear("encoder.embed.out.0", width, entry) | _norm("encoder.embed.out.1", width)
    ahead = settings.integer("flow.pre_lookahead_len") + 1
    shapes |= _conv("encoder.pre_lookahead_layer.conv1", width, width, ahead)
    shapes |= _conv("encoder.pre_lookahead_layer.conv2", width, width, 3)
    stride = settings.integer("token_mel_ratio")
    shapes |= _conv("encoder.up_layer.conv", width, width, 2 * stride + 1)
    shapes |= _linear("encoder.up_embed.out.0", width, entry)
    shapes |= _norm("encoder.up_embed.out.1", width)
    blocks = settings.integer("flow.encoder.num_blocks")
    for stack, count in (("encoders", blocks), ("up_encoders", UP_BLOCKS)):
        for index in range(count):
            shapes |= _conformer(settings, f"encoder.{stack}.{index}", width)
    return shapes | _norm("encoder.after_norm", width)


def _conformer(settings: Settings, name: str, width: int) -> Shapes:
    heads = settings.integer("flow.encoder.attention_heads")
    inner = settings.integer("flow.encoder.linear_units")
    shapes: Shapes = {}
    for part in ("q", "k", "v", "out"):
        shapes |= _linear(f"{name}.self_attn.linear_{part}", width, width)
    shapes[f"{name}.self_attn.linear_pos.weight"] = (width, width)
    for bias in ("pos_bias_u", "pos_bias_v"):
        shapes[f"{name}.self_attn.{bias}"] = (heads, width // heads)
    shapes |= _linear(f"{name}.feed_forward.w_1", inner, width)
    shapes |= _linear(f"{name}.feed_forward.w_2", width, inner)
    return shapes | _norm(f"{name}.norm_ff", width) | _norm(f"{name}.norm_mha", width)


def _estimator(settings: Settings) -> Shapes:
    at = "flow.decoder.estimator"
    name = "decoder.estimator"
    entry, exit_ = settings.integer(f"{at}.in_channels"), settings.integer(f"{at}.out_channels")
    width = settings.integers(f"{at}.channels")[0]
    shapes: Shapes = {}
    shapes |= _linear(f"{name}.time_mlp.linear_1", 4 * width, entry)
    shapes |= _linear(f"{name}.time_mlp.linear_2", 4 * width, 4 * width)
    stages = [("down_blocks.0", entry), ("up_blocks.0", 2 * width)]
    middle = settings.integer(f"{at}.num_mid_blocks")
    stages += [(f"mid_blocks.{index}", width) for index in range(middle)]
    for stage, channels in stages:
        shapes |= _resnet(f"{name}.{stage}.0", width, channels)
        for block in range(settings.integer(f"{at}.n_blocks")):
            shapes |= _transformer(settings, f"{name}.{stage}.1.{block}", width)
    for stage in ("down_blocks.0", "up_blocks.0"):
        shapes |= _conv(f"{name}.{stage}.2", width, width, 3)
    shapes |= _block(f"{name}.final_block", width, width)
    return shapes | _conv(f"{name}.final_proj", exit_, width, 1)


def _resnet(name: str, width: int, entry: int) -> Shapes:
    shapes = _block(f"{name}.block1", width, entry) | _block(f"{name}.block2", width, width)
    shapes |= _linear(f"{name}.mlp.1", width, 4 * width)
    return shapes | _conv(f"{name}.res_conv", width, entry, 1)


def _block(name: str, width: int, entry: int) -> Shapes:
    return _conv(f"{name}.block.0", width, entry, 3) | _norm(f"{name}.block.2", width)


def _transformer(settings: Settings, name: str, width: int) -> Shapes:
    at = "flow.decoder.estimator"
    inner = settings.integer(f"{at}.num_heads") * settings.integer(f"{at}.attention_head_dim")
    shapes: Shapes = {f"{name}.attn1.to_{part}.weight": (inner, width) for part in "qkv"}
    shapes |= _linear(f"{name}.attn1.to_out.0", width, inner)
    shapes |= _linear(f"{name}.ff.net.0.proj", 4 * width, width)
    shapes |= _linear(f"{name}.ff.net.2", width, 4 * width)
    return shapes | _norm(f"{name}.norm1", width) | _norm(f"{name}.norm3", width)


def hift(settings: Settings) -> Shapes:
    """Of `hift.pt`, weight norm as today's torch writes it."""
    mel, base = settings.integer("hift.in_channels"), settings.integer("hift.base_channels")
    bins = settings.integer("hift.istft_params.n_fft") + 2
    rates = settings.integers("hift.upsample_rates")
    kernels = settings.integers("hift.upsample_kernel_sizes")
    shapes = _linear("m_source.l_linear", 1, settings.integer("hift.nb_harmonics") + 1)
    shapes |= _normed("conv_pre", base, mel, 7)
    for index, kernel in enumerate(kernels):
        shapes |= _transposed(f"ups.{index}", base >> (index + 1), base >> index, kernel)
    shapes |= _source_downs(rates, base, bins)
    for name, size, channels, layers in _residual_blocks(settings, len(rates), base):
        for layer in range(layers):
            for part in (1, 2):
                shapes |= _normed(f"{name}.convs{part}.{layer}", channels, channels, size)
                shapes[f"{name}.activations{part}.{layer}.alpha"] = (channels,)
    shapes |= _normed("conv_post", bins, base >> len(rates), 7)
    channels = settings.integer("hift.f0_predictor.cond_channels")
    for layer in _F0_LAYERS:
        shapes |= _normed(f"f0_predictor.condnet.{layer}", channels, channels if layer else mel, 3)
    return shapes | _linear("f0_predictor.classifier", 1, channels)


def _source_downs(rates: tuple[int, ...], base: int, bins: int) -> Shapes:
    """The source comes at the last stage's rate, and is brought down to each stage's."""
    shapes: Shapes = {}
    stride = 1
    for index in reversed(range(len(rates))):
        kernel = 1 if stride == 1 else 2 * stride
        shapes |= _conv(f"source_downs.{index}", base >> (index + 1), bins, kernel)
        stride *= rates[index]
    return shapes


def _residual_blocks(
    settings: Settings, stages: int, base: int
) -> Iterator[tuple[str, int, int, int]]:
    """Name, kernel, channels and number of layers of each residual block."""
    for prefix in ("source_resblock", "resblock"):
        sizes = settings.integers(f"hift.{prefix}_kernel_sizes")
        layers = [len(d) for d in settings.integer_lists(f"hift.{prefix}_dilation_sizes")]
        if prefix == "source_resblock":
            for index in range(stages):
                yield f"{prefix}s.{index}", sizes[index], base >> (index + 1), layers[index]
        else:
            for index in range(stages * len(sizes)):
                stage, kind = divmod(index, len(sizes))
                yield f"{prefix}s.{index}", sizes[kind], base >> (stage + 1), layers[kind]


def _linear(name: str, out: int, entry: int) -> Shapes:
    return {f"{name}.weight": (out, entry), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _conv(name: str, out: int, entry: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (out, entry, kernel), f"{name}.bias": (out,)}


def _normed(name: str, out: int, entry: int, kernel: int) -> Shapes:
    weight = f"{name}.parametrizations.weight.original"
    return {
        f"{name}.bias": (out,),
        f"{weight}0": (out, 1, 1),
        f"{weight}1": (out, entry, kernel),
    }


def _transposed(name: str, out: int, entry: int, kernel: int) -> Shapes:
    weight = f"{name}.parametrizations.weight.original"
    return {
        f"{name}.bias": (out,),
        f"{weight}0": (entry, 1, 1),
        f"{weight}1": (entry, out, kernel),
    }
