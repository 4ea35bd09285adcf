"""Which language a piece of text is in."""

from __future__ import annotations

import pytest

from cosyd.text.language import detect


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there.", "en"),
        ("你好。", "zh"),
        ("我用iPhone 15 Pro Max拍照", "zh"),
        ("The word 你好 means hello.", "en"),
        ("请访问https://www.example.com/a/b/c?d=e", "zh"),
        ("Café olé", "en"),
        ("3.14 😀 …", None),
        ("", None),
        ("Привет", None),
    ],
)
def test_detect(text: str, language: str | None) -> None:
    assert detect(text) == language
