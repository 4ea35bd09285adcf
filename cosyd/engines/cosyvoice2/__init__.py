"""CosyVoice 2 (0.5B): a language model writes speech tokens, flow and vocoder make sound of them.

In the order of the data: `front` (on `text`), `tokenizer`, `speech_lm` (on `lm` and `sampling`),
`flow` (on `encoder`, `estimator`, `cfm`), `wave` (on `source`, `hift`), `pauses`, `marks`.
`stream` is an utterance, `engine` steps many of them. `release` reads the official files, `check`
compares every stage with recorded arrays.
"""

from __future__ import annotations

from typing import Final

from cosyd.engines.base import Clones, Descriptor

MODEL: Final = "CosyVoice2-0.5B"
"""The weights' name: of their folder in the data directory, and in voicepacks."""
SAMPLE_RATE: Final = 24_000
LANGUAGES: Final = ("zh", "en", "ja", "ko", "yue")
"""BCP 47 tags of what it speaks."""

DESCRIPTOR = Descriptor(
    name="cosyvoice2",
    factory="cosyd.engines.cosyvoice2.load:load",
    requires=("torch", "torchaudio", "safetensors", "onnxruntime", "wetext"),
    install="pip install 'cosyd[cosyvoice2]'",
    capabilities=(
        *("streaming", "zero_shot", "cross_lingual", "instruct", "text_streaming", "speed"),
    ),
    max_streams=16,
    license="Apache-2.0",
    halt_s=3.0,  # on two cores: the prefill of a long prompt, or its speech tokens
    clones=Clones(MODEL, SAMPLE_RATE, LANGUAGES),
)
