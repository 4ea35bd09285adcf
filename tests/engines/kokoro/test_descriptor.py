"""The descriptor is found without any ML package."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "onnxruntime", "sanotts", "jieba", "pypinyin", "wetext", "emoji")


def test_importing_it_imports_no_ml_package() -> None:
    code = (
        "import sys; from cosyd.engines.kokoro import DESCRIPTOR; "
        f"print(DESCRIPTOR.name, *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["kokoro"]
