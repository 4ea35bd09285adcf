"""A built wheel, installed into an empty environment, is the whole product."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKS = ROOT / "tests" / "voicepacks"

pytestmark = pytest.mark.timeout(600)  # building and installing over a slow line


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=env, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment with nothing but our wheel and what it requires."""
    tmp = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", tmp, ROOT)
    (wheel,) = tmp.glob("cosyd-*.whl")
    venv.create(tmp / "env", with_pip=False)
    bin_dir = tmp / "env" / "bin"
    run(*pip, "--python", bin_dir / "python", "install", wheel)
    return bin_dir


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An empty home."""
    runtime = tmp_path / "r"
    runtime.mkdir(mode=0o700)
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return kept | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime)}


def test_installed_commands_run(installed: Path, env: dict[str, str]) -> None:
    from cosyd.version import VERSION

    assert VERSION in run(installed / "cosy", "--version", env=env)
    assert "af_heart" in run(installed / "cosy", "voices", env=env)
    assert "usage: cosyd" in run(installed / "cosyd", "--help", env=env)
    run(installed / "cosy", "daemon", "stop", env=env)


def test_the_units_are_in_the_wheel(installed: Path, env: dict[str, str]) -> None:
    told = run(installed / "cosy", "install", "--launchd", "--dry-run", env=env)
    assert f"would write {env['HOME']}/Library/LaunchAgents/org.cosyd.plist" in told


def test_base_install_has_no_ml_package(installed: Path, env: dict[str, str]) -> None:
    code = (
        "import importlib.util as u; print([m for m in ('torch','onnxruntime') if u.find_spec(m)])"
    )
    assert run(installed / "python", "-c", code, env=env).strip() == "[]"


def test_voice_without_its_engine_says_what_to_install(
    installed: Path, env: dict[str, str]
) -> None:
    command = [str(installed / "cosy"), "say", "-o", "/dev/null", "Hello."]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cosyd[kokoro]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    run(installed / "cosy", "daemon", "stop", env=env)


def test_speaks_from_the_wheel(installed: Path, env: dict[str, str], tmp_path: Path) -> None:
    env = env | {"COSYD_VOICEPACKS": str(PACKS)}
    out = tmp_path / "out.wav"
    run(installed / "cosy", "say", "-v", "tone", "-o", out, "Hello there.", env=env)
    assert out.stat().st_size == 44 + 2 * 4800 * 2
    run(installed / "cosy", "daemon", "stop", env=env)
