"""CosyVoice 2 through the real daemon and worker, with a tiny random release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cosyd.client.sync import Client, connect
from cosyd.engines.cosyvoice2 import random_release
from cosyd.errors import (
    CosydError,
    EmptyText,
    ModelLoadFailed,
    ModelNotFound,
    Unsupported,
    VoiceNotFound,
)
from tests.conftest import Home
from tests.engines.cosyvoice2 import packs

TEXT = "Hello there, my friend."
OTHER = "Something else is said."


@pytest.fixture(scope="module", autouse=True)
def one_thread_in_the_worker() -> Iterator[None]:
    """Tiny matrices: threads would only wait for each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def speaking(shared_home: Home, tiny: Path) -> Home:
    """A daemon whose data directory has weights and two voices."""
    data = shared_home.folder / "data"
    (data / "models").mkdir(parents=True)
    (data / "models" / packs.MODEL).symlink_to(tiny / "models" / packs.MODEL)
    packs.of_release(data / "voicepacks")
    packs.cloned(data / "voicepacks")
    return shared_home


@pytest.fixture
def client(speaking: Home) -> Iterator[Client]:
    with connect(speaking.socket, timeout=60) as connected:
        yield connected


def _say(client: Client, text: str = TEXT, voice: str = "own", seed: int = 1) -> bytes:
    utterance = client.say(text, voice=voice, seed=seed, sample_rate=24000, loudness=None)
    return b"".join(utterance)


def test_speaks_with_marks_to_the_end(client: Client) -> None:
    utterance = client.say("One, two. Three.", voice="own", seed=1)
    assert any(b"".join(utterance))
    assert utterance.result.kind == "finished"
    assert [(mark.start, mark.end) for mark in utterance.marks] == [(0, 9), (10, 16)]


def test_two_at_once_are_each_as_alone(client: Client) -> None:
    alone = [_say(client, TEXT, "own", 1), _say(client, OTHER, "ada", 2)]
    both = [
        client.say(text, voice=voice, seed=seed, sample_rate=24000, loudness=None)
        for text, voice, seed in ((TEXT, "own", 1), (OTHER, "ada", 2))
    ]
    assert [b"".join(utterance) for utterance in both] == alone


def test_a_prompt_is_picked_by_name(client: Client) -> None:
    assert _say(client, voice="ada/happy") != _say(client, voice="ada/calm")
    assert _say(client, voice="ada") == _say(client, voice="ada/calm")
    with pytest.raises(VoiceNotFound, match="ada/happy"):
        _say(client, voice="ada/angry")


def test_text_that_is_still_written(client: Client) -> None:
    utterance = client.say("", voice="own", seed=1, final=False)
    for char in "this goes on for a while and has no end yet, ":
        utterance.write(char)
    frames = iter(utterance)
    assert next(frames)  # before the sentence ends
    utterance.write("until now.")
    utterance.end()
    assert b"".join(frames) and utterance.result.kind == "finished"


def test_stopped_while_it_is_computed_then_speaks_again(client: Client) -> None:
    alone = _say(client)
    for _ in range(3):
        utterance = client.say("A long text. " * 20, voice="own", seed=3)
        next(iter(utterance))
        utterance.stop()
        assert utterance.result.kind == "stopped"
        silent = client.say("A long text. " * 20, voice="own", seed=3)
        silent.stop()  # before any audio
        assert silent.result.kind == "stopped"
    assert _say(client) == alone


def test_pause_and_resume(client: Client) -> None:
    utterance = client.say(TEXT, voice="own", seed=1, sample_rate=24000, loudness=None)
    utterance.pause()
    utterance.resume()
    assert b"".join(utterance) == _say(client)


def test_instructions(client: Client) -> None:
    told = client.say(TEXT, voice="ada", seed=1, instruct="Speak softly.", sample_rate=24000)
    assert any(b"".join(told))


def test_what_cannot_be_said(client: Client) -> None:
    with pytest.raises(EmptyText):
        _ = client.say("🙂 ❤️ 👍🏽", voice="own").result
    with pytest.raises(Unsupported, match="fr"):
        _ = client.say("Bonjour.", voice="own", language="fr").result


@pytest.fixture
def data(home: Home) -> Path:
    packs.of_release(home.folder / "data" / "voicepacks")
    return home.folder / "data"


def _error(home: Home) -> CosydError:
    with connect(home.socket, timeout=60) as client, pytest.raises(CosydError) as caught:
        _ = client.say(TEXT, voice="own").result
    return caught.value


def test_absent_weights_say_how_to_fetch_them(home: Home, data: Path) -> None:
    error = _error(home)
    assert data.exists()
    assert isinstance(error, ModelNotFound) and error.message.endswith("cosy pull cosyvoice2")


def test_broken_weights_name_file_and_tensor_then_mended_ones_speak(home: Home, data: Path) -> None:
    folder = data / "models" / packs.MODEL
    random_release.write(folder, random_release.TINY)
    good = (folder / "llm.pt").read_bytes()
    tensors = torch.load(folder / "llm.pt", weights_only=True)
    tensors["llm_decoder.bias"][0] = torch.nan
    torch.save(tensors, folder / "llm.pt")
    error = _error(home)
    assert isinstance(error, ModelLoadFailed)
    assert "llm.pt" in error.message and "llm_decoder.bias" in error.message
    (folder / "llm.pt").write_bytes(good)
    with connect(home.socket, timeout=60) as client:
        assert any(_say(client))
    shutil.rmtree(folder)
