"""Nothing leaves this machine: libraries that report their use by default are told not to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("onnxruntime") is None, reason="needs cosyd[kokoro]"),
]


def test_the_real_engine_leaves_no_device_id(tmp_path: Path) -> None:
    """onnxruntime writes one into the home directory when its reports are on."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    with ours, theirs:
        env = {
            key: value for key, value in os.environ.items() if key != "CI"
        }  # CI turns it off too
        env |= {"HOME": str(tmp_path), "COSYD_DATA_DIR": str(tmp_path / "data")}
        env.pop("ORT_DISABLE_TELEMETRY", None)
        command = [sys.executable, "-P", "-m", "cosyd.worker", "--engine", "kokoro"]
        command += [
            "--model",
            "kokoro-82m",
            "--data-dir",
            str(tmp_path),
            "--link-fd",
            str(theirs.fileno()),
        ]
        with subprocess.Popen(command, env=env, pass_fds=(theirs.fileno(),)) as worker:
            theirs.close()
            assert b"ready" in ours.recv(4096)
            ours.close()
            worker.wait(30)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["kokoro-82m-int8.onnx"]
