"""The language model's sizes, and where a release tells them."""

from __future__ import annotations

from dataclasses import dataclass

from cosyd.engines.cosyvoice2.layout import PULL, QWEN_CONFIG, Settings
from cosyd.errors import ModelLoadFailed


@dataclass(frozen=True, slots=True)
class LmSizes:
    """The language model's sizes; the defaults are those of every release of 0.5B."""

    hidden: int = 896
    layers: int = 24
    heads: int = 14
    kv_heads: int = 2
    mlp: int = 4864
    text_vocabulary: int = 151_936
    speech_tokens: int = 6561
    """Ids that are sound; the three after them are end, task and fill."""
    text_run: int = 5
    """While text still arrives: text tokens in a row …"""
    speech_run: int = 15
    """… and the speech tokens that follow them."""
    rope_theta: float = 1e6
    norm_eps: float = 1e-6

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads

    @classmethod
    def read(cls, settings: Settings) -> LmSizes:
        """From a release's settings.

        Raises:
            ModelLoadFailed: a number is missing, or they do not fit each other.
        """
        runs = settings.integers("llm.mix_ratio")
        sizes = cls(
            hidden=settings.qwen_integer("hidden_size"),
            layers=settings.qwen_integer("num_hidden_layers"),
            heads=settings.qwen_integer("num_attention_heads"),
            kv_heads=settings.qwen_integer("num_key_value_heads"),
            mlp=settings.qwen_integer("intermediate_size"),
            text_vocabulary=settings.qwen_integer("vocab_size"),
            speech_tokens=settings.integer("llm.speech_token_size"),
            text_run=runs[0],
            speech_run=runs[-1],
            rope_theta=settings.qwen_number("rope_theta"),
            norm_eps=settings.qwen_number("rms_norm_eps"),
        )
        if sizes.hidden % (2 * sizes.heads) or sizes.heads % sizes.kv_heads or len(runs) != 2:
            raise ModelLoadFailed(f"{QWEN_CONFIG}: the sizes do not fit: {PULL}")
        return sizes
