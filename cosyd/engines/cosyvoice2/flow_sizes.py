"""The flow's sizes, as a release tells them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cosyd.engines.cosyvoice2 import shapes
from cosyd.engines.cosyvoice2.encoder import EncoderSizes
from cosyd.engines.cosyvoice2.estimator import EstimatorSizes

if TYPE_CHECKING:
    from cosyd.engines.cosyvoice2.layout import Settings


@dataclass(frozen=True, slots=True)
class FlowSizes:
    """Sizes of the flow; the defaults are CosyVoice2-0.5B's.

    Attributes:
        vocabulary: speech tokens.
        speaker: width of a speaker embedding.
        steps: Euler steps.
        guidance: how far from the unconditional velocity.
    """

    vocabulary: int = 6561
    speaker: int = 192
    steps: int = 10
    guidance: float = 0.7
    encoder: EncoderSizes = field(default_factory=EncoderSizes)
    estimator: EstimatorSizes = field(default_factory=EstimatorSizes)

    @classmethod
    def read(cls, settings: Settings) -> FlowSizes:
        """The sizes that a release's yaml tells.

        Raises:
            ModelLoadFailed: a number is missing or is none.
        """
        whole = settings.integer
        at, ratio, block = "flow.decoder.estimator", whole("token_mel_ratio"), whole("chunk_size")
        return cls(
            vocabulary=whole("flow.vocab_size"),
            speaker=whole("spk_embed_dim", shapes.SPEAKER),
            guidance=settings.number("flow.decoder.cfm_params.content.inference_cfg_rate"),
            encoder=EncoderSizes(
                input_width=whole("flow.input_size"),
                width=whole("flow.encoder.output_size"),
                heads=whole("flow.encoder.attention_heads"),
                ffn=whole("flow.encoder.linear_units"),
                blocks=whole("flow.encoder.num_blocks"),
                up_blocks=shapes.UP_BLOCKS,
                lookahead=whole("flow.pre_lookahead_len"),
                ratio=ratio,
                block_tokens=block,
            ),
            estimator=EstimatorSizes(
                inputs=whole(f"{at}.in_channels"),
                mel=whole(f"{at}.out_channels"),
                channels=settings.integers(f"{at}.channels")[0],
                heads=whole(f"{at}.num_heads"),
                head_width=whole(f"{at}.attention_head_dim"),
                blocks=whole(f"{at}.n_blocks"),
                mid_stages=whole(f"{at}.num_mid_blocks"),
                block_frames=block * ratio,
            ),
        )
