"""Voices of one's own, through both clients, against a real daemon."""

from __future__ import annotations

import io
import math
import wave

import pytest

import cosyd
from cosyd import errors
from tests.client.helpers import spoken


def _recording() -> bytes:
    """1.5 s of a sine as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(16_000)
        sine = (round(9000 * math.sin(at * 0.1)) for at in range(24_000))
        written.writeframes(b"".join(value.to_bytes(2, "little", signed=True) for value in sine))
    return file.getvalue()


def test_a_voice_is_added_replaced_and_removed(client: cosyd.Client) -> None:
    entry = client.add_voice("anna", _recording(), text="Hello there.", language="en")
    assert (entry["name"], entry["engine"], entry["prompts"]) == ("anna", "cosyvoice2", ["default"])
    assert entry in client.voices()
    with pytest.raises(errors.VoiceExists, match="anna"):
        client.add_voice("anna", _recording())
    assert client.add_voice("anna", _recording(), replace=True)["languages"][0] == "zh"
    assert client.add_voice("anna/happy", _recording())["prompts"] == ["default", "happy"]
    client.remove_voice("anna/happy")
    client.remove_voice("anna")
    assert "anna" not in {voice["name"] for voice in client.voices()}


def test_a_cloned_voice_says_what_it_lacks(client: cosyd.Client) -> None:
    """The weights are not here; the daemon goes on."""
    client.add_voice("anna", _recording())
    with pytest.raises((errors.ModelNotFound, errors.EngineNotInstalled), match=r"cosy pull|pip"):
        client.say("One.", voice="anna").result  # noqa: B018 - waiting is what raises
    client.remove_voice("anna")
    assert spoken(client, "One.")


def test_voices_that_cannot_be_added_or_removed(client: cosyd.Client) -> None:
    with pytest.raises(errors.BadAudio):
        client.add_voice("mine", b"no sound")
    with pytest.raises(errors.Forbidden):
        client.remove_voice("tone")
    with pytest.raises(errors.VoiceNotFound):
        client.remove_voice("nobody")
