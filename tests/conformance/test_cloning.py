"""`add_voice` and `remove_voice`: what is checked, and in which order."""

from __future__ import annotations

import io
import math
import struct
from array import array

import pytest

from tests.conformance.plain_client import Message, Peer, still_speaks

RATE = 16_000


def wav(seconds: float, *, amplitude: float = 0.3, channels: int = 1, bits: int = 16) -> bytes:
    """A RIFF file with a sine of 220 Hz."""
    count = round(seconds * RATE)
    sine = [amplitude * math.sin(2 * math.pi * 220 * at / RATE) for at in range(count)]
    if bits == 32:  # float
        samples = array("f", (value for value in sine for _ in range(channels))).tobytes()
    elif bits == 24:
        each = (int(value * 0x7FFFFF).to_bytes(3, "little", signed=True) for value in sine)
        samples = b"".join(value * channels for value in each)
    else:
        whole = (int(value * 32767) for value in sine for _ in range(channels))
        samples = array("h", whole).tobytes()
    width = bits // 8 * channels
    kind = 3 if bits == 32 else 1
    form = struct.pack("<HHIIHH", kind, channels, RATE, RATE * width, width, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


GOOD = wav(2.0)


def add(peer: Peer, **fields: object) -> Message:
    """Answer to `add_voice`."""
    message = {"type": "add_voice", "name": "mine", "audio": GOOD, "text": "Hello.", "ref": 5}
    answer = peer.ask({**message, **fields})
    assert answer["ref"] == 5
    return answer


@pytest.mark.parametrize("name", [None, 7, b"x", ["x"]])
def test_the_name_is_checked_first(peer: Peer, name: object) -> None:
    answer = add(peer, name=name, audio=b"garbage")
    assert (answer["type"], answer["code"]) == ("error", "bad_request")
    assert "name" in answer["message"]


@pytest.mark.parametrize(
    "name", ["", "../mine", "a/b", "..", ".", "a\0b", "x" * 5000, "-rf", "a\nb"]
)
def test_a_name_that_is_no_name_leaves_nothing_behind(peer: Peer, name: str) -> None:
    answer = add(peer, name=name)
    assert answer["type"] == "error"
    assert answer["code"] in ("bad_request", "unsupported")


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "audio": [None, "text", 7],
        "text": [7, b"x"],
        "language": [7, b"en"],
        "replace": [1, "yes"],
    }.items(),
)
def test_the_other_fields_come_before_the_audio(
    peer: Peer, field: str, values: list[object]
) -> None:
    for value in values:
        answer = add(peer, **{"audio": b"garbage", "name": "tone", field: value})
        assert (answer["type"], answer["code"]) == ("error", "bad_request")
        assert field in answer["message"]


BAD_AUDIO = {
    "empty": b"",
    "garbage": b"garbage" * 1000,
    "a header alone": GOOD[:44],
    "a cut header": GOOD[:30],
    "no data": b"RIFF\x04\0\0\0WAVE",
    "too short": wav(0.9),
    "too long": wav(30.5),
    "silent": wav(2.0, amplitude=0.0),
    "zero rate": GOOD[:24] + b"\0\0\0\0" + GOOD[28:],
    "no channels": GOOD[:22] + b"\0\0" + GOOD[24:],
    "huge claims": GOOD[:16] + b"\xff\xff\xff\xff" + GOOD[20:],
    "not a number": wav(2.0, amplitude=float("nan"), bits=32),
}


@pytest.mark.parametrize("what", BAD_AUDIO)
def test_bad_audio_comes_before_the_taken_name(peer: Peer, what: str) -> None:
    for name in ("tone", "mine"):
        answer = add(peer, name=name, audio=BAD_AUDIO[what])
        assert (answer["type"], answer["code"]) == ("error", "bad_audio"), name
    still_speaks(peer)


GOOD_AUDIO = {
    "just long enough": wav(1.01),
    "just short enough": wav(29.9),
    "stereo": wav(2.0, channels=2),
    "24 bits": wav(2.0, bits=24),
    "float": wav(2.0, bits=32),
    "an odd chunk before": GOOD[:12] + b"LIST\x03\0\0\0abc\0" + GOOD[12:],
}


@pytest.mark.parametrize("what", GOOD_AUDIO)
def test_a_taken_name_comes_before_the_engine(peer: Peer, what: str) -> None:
    answer = add(peer, name="tone", audio=GOOD_AUDIO[what])
    assert (answer["type"], answer["code"]) == ("error", "voice_exists")
    for replace in (False, True):
        answer = add(peer, audio=GOOD_AUDIO[what], replace=replace, language="en")
        assert (answer["type"], answer["code"]) == ("error", "unsupported")
    assert "mine" not in {voice["name"] for voice in peer.ask({"type": "voices"})["voices"]}


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3"])
def test_other_formats_are_read_too(peer: Peer, form: str) -> None:
    soundfile = pytest.importorskip("soundfile", reason="writes the file to send")
    file = io.BytesIO()
    sine = [0.3 * math.sin(2 * math.pi * 220 * at / RATE) for at in range(2 * RATE)]
    soundfile.write(file, sine, RATE, format=form)
    assert add(peer, audio=file.getvalue())["code"] == "unsupported"


def test_what_came_with_the_installation_stays(peer: Peer) -> None:
    for name in ("tone", "af_heart"):
        answer = peer.ask({"type": "remove_voice", "name": name, "ref": [1]})
        assert (answer["type"], answer["code"], answer["ref"]) == ("error", "forbidden", [1])
    for name in ("nobody", "", "..", "../../tone", "x" * 2_000_000):
        answer = peer.ask({"type": "remove_voice", "name": name})
        assert answer["code"] in ("voice_not_found", "bad_request")
    for wrong in (None, 7, b"tone"):
        answer = peer.ask({"type": "remove_voice", "name": wrong})
        assert (answer["type"], answer["code"]) == ("error", "bad_request")
    still_speaks(peer)
