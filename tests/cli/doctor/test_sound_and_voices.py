"""What plays, voices and models: what is well and what is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cosyd.cli.doctor import sound, voices
from cosyd.cli.doctor.finding import Ran
from tests.cli.doctor.patients import GONE, answers, levels, only, patient


@pytest.mark.parametrize(
    ("told", "programs", "level"),
    [
        (Ran(0, '{"devices": ["  1: a", "* 2: b"]}'), "", "ok"),
        (Ran(0, '{"why": "PortAudio is not installed"}'), "", "warn"),
        (Ran(0, '{"why": "PortAudio is not installed"}'), "paplay", "warn"),
        (GONE, "", "warn"),
    ],
    ids=["a device", "nothing", "a program without a server", "PortAudio hangs"],
)
def test_what_plays(tmp_path: Path, told: Ran, programs: str, level: str) -> None:
    which = lambda name: f"/bin/{name}" if name == programs else None  # noqa: E731 - short
    found = only(sound.devices(patient(tmp_path, run=answers(told), which=which)))
    assert found.level == level


def test_a_program_plays_where_there_is_a_server(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "pulse"))
        server.listen()
        env = {"PULSE_SERVER": f"unix:{tmp_path / 'pulse'}"}
        told = answers(Ran(0, '{"why": "PortAudio is not installed"}'))
        who = patient(tmp_path, env=env, run=told, which=lambda name: f"/bin/{name}")
        assert only(sound.devices(who)).level == "ok"
        assert only(sound.server(who)).level == "ok"


def test_a_sound_server_that_was_named_and_is_not_there(tmp_path: Path) -> None:
    env = {"PULSE_SERVER": "unix:/nonexistent"}
    assert only(sound.server(patient(tmp_path, env=env))).level == "warn"


def test_a_broken_voicepack_is_named_and_the_others_count(tmp_path: Path) -> None:
    pack = tmp_path / "data" / "voicepacks" / "kokoro" / "broken"
    pack.mkdir(parents=True)
    (pack / "metadata.yaml").write_text("name: [\n")
    found = list(voices.voices(patient(tmp_path)))
    assert levels(found) == ["warn", "ok"]
    assert str(pack) in found[0].what


def test_many_broken_voicepacks_are_counted(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / "data" / "voicepacks" / "f" / str(number)).mkdir(parents=True)
    found = list(voices.voices(patient(tmp_path)))
    assert levels(found) == ["warn"] * 6 + ["ok"]
    assert "3 more" in found[5].what


def test_a_configured_voice_that_is_not_there(tmp_path: Path) -> None:
    found = list(voices.voices(patient(tmp_path, voice="nobody")))
    assert found[-1].level == "bad" and "'nobody'" in found[-1].what


def test_a_configured_voice_whose_engine_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "missing", lambda _engine: ["tones"])
    found = list(voices.voices(patient(tmp_path)))
    assert found[-1].level == "bad" and "tone" in found[-1].what


def test_files_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cosyd.engines.kokoro import weights

    monkeypatch.setattr(voices, "missing", lambda _engine: [])
    who = patient(tmp_path)
    folder = tmp_path / "data" / "models" / weights.MODEL
    assert levels(voices.models(who)) == ["ok"]
    folder.mkdir(parents=True)
    file = folder / weights.FILE
    file.write_bytes(b"x")
    assert levels(voices.models(who)) == ["warn"]
    with file.open("wb") as big:
        big.truncate(weights.SIZE)
    (folder / "other.part").write_bytes(b"x")
    assert levels(voices.models(who)) == ["bad", "warn"]


def test_a_release_that_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "missing", lambda _engine: ["kokoro"])  # not to be told of here
    folder = tmp_path / "data" / "models" / "CosyVoice2-0.5B"
    folder.mkdir(parents=True)
    (folder / "cosyvoice2.yaml").write_text("other")
    found = list(voices.models(patient(tmp_path)))
    assert levels(found) == ["bad", "warn"]
    assert "llm.pt" in found[0].what and found[0].do == "cosy pull cosyvoice2"
    assert "cosyvoice2.yaml" in found[1].what
