"""`add_voice` and `remove_voice`: what is checked, in which order, and what comes of it."""

from __future__ import annotations

import io
import math
import struct
from array import array

import pytest

from tests.conformance.plain_client import Message, Peer, still_speaks

RATE = 16_000


def wav(
    seconds: float,
    *,
    amplitude: float = 0.3,
    channels: int = 1,
    bits: int = 16,
    rate: int = RATE,
    lead_s: float = 0.0,
) -> bytes:
    """A RIFF file with a sine of 220 Hz, cut off at full scale, behind `lead_s` of silence."""
    count = round(seconds * rate)
    sine = [amplitude * math.sin(2 * math.pi * 220 * at / rate) for at in range(count)]
    sine = [0.0] * round(lead_s * rate) + [max(-1.0, min(1.0, value)) for value in sine]
    if bits == 32:  # float
        samples = array("f", (value for value in sine for _ in range(channels))).tobytes()
    elif bits == 24:
        each = (int(value * 0x7FFFFF).to_bytes(3, "little", signed=True) for value in sine)
        samples = b"".join(value * channels for value in each)
    elif bits == 8:  # unsigned, unlike all others
        samples = bytes(128 + int(value * 127) for value in sine for _ in range(channels))
    else:
        whole = (int(value * 32767) for value in sine for _ in range(channels))
        samples = array("h", whole).tobytes()
    width = bits // 8 * channels
    kind = 3 if bits == 32 else 1
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits)
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
    "five minutes": wav(300.0, bits=8),
    "half silent": wav(0.5, lead_s=1.0),
    "of a telephone": wav(2.0, rate=8_000),
    "overdriven": wav(2.0, amplitude=3.0),
    "infinite": wav(2.0, bits=32)[:-4] + struct.pack("<f", math.inf),
    "nine channels": wav(2.0, channels=9),
    "huge claims": GOOD[:16] + b"\xff\xff\xff\xff" + GOOD[20:],
    "not a number": wav(2.0, bits=32)[:-4] + struct.pack("<f", math.nan),
}


@pytest.mark.parametrize("what", BAD_AUDIO)
def test_bad_audio_comes_before_the_taken_name(peer: Peer, what: str) -> None:
    for name in ("tone", "mine"):
        answer = add(peer, name=name, audio=BAD_AUDIO[what])
        assert (answer["type"], answer["code"]) == ("error", "bad_audio"), name
        assert "\n" not in answer["message"]
    still_speaks(peer)


GOOD_AUDIO = {
    "just long enough": wav(1.01),
    "just short enough": wav(29.9),
    "stereo": wav(2.0, channels=2),
    "8 bits": wav(2.0, bits=8),
    "24 bits": wav(2.0, bits=24),
    "float": wav(2.0, bits=32),
    "of another scale": wav(2.0, bits=16, amplitude=0.01),
    "as loud as can be": wav(2.0, amplitude=1.0),
    "a studio's": wav(1.5, rate=96_000),
    "an odd chunk before": GOOD[:12] + b"LIST\x03\0\0\0abc\0" + GOOD[12:],
}


@pytest.mark.parametrize("what", GOOD_AUDIO)
def test_a_voice_is_made_and_unmade(peer: Peer, what: str) -> None:
    answer = add(peer, name="tone", audio=GOOD_AUDIO[what])
    assert (answer["type"], answer["code"]) == ("error", "voice_exists")
    answer = add(peer, audio=GOOD_AUDIO[what], language="ko")
    assert (answer["type"], answer["voice"]["name"]) == ("voice_added", "mine")
    assert answer["voice"] in peer.ask({"type": "voices"})["voices"]
    assert answer["voice"]["languages"][0] == "ko"
    assert answer["voice"]["prompts"] == ["default"]
    assert add(peer, audio=GOOD_AUDIO[what])["code"] == "voice_exists"
    assert add(peer, audio=GOOD_AUDIO[what], replace=True)["type"] == "voice_added"
    removed = peer.ask({"type": "remove_voice", "name": "mine", "ref": 9})
    assert removed == {"type": "voice_removed", "name": "mine", "ref": 9}
    assert names(peer).isdisjoint({"mine"})
    assert peer.ask({"type": "remove_voice", "name": "mine"})["code"] == "voice_not_found"


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3"])
def test_other_formats_are_read_too(peer: Peer, form: str) -> None:
    soundfile = pytest.importorskip("soundfile", reason="writes the file to send")
    file = io.BytesIO()
    sine = [0.3 * math.sin(2 * math.pi * 220 * at / RATE) for at in range(2 * RATE)]
    soundfile.write(file, sine, RATE, format=form)
    assert add(peer, name=form, audio=file.getvalue())["type"] == "voice_added"
    assert peer.ask({"type": "remove_voice", "name": form})["type"] == "voice_removed"


@pytest.mark.parametrize("text", ["word " * 15, "他说了很多很多很多很多很多很多很多话"])
def test_a_text_that_cannot_be_what_is_said(peer: Peer, text: str) -> None:
    answer = add(peer, audio=wav(1.0), text=text)
    assert (answer["type"], answer["code"]) == ("error", "bad_request")
    assert answer["message"].startswith("text ")
    assert add(peer, audio=wav(0.5), text=text)["code"] == "bad_audio"
    assert "mine" not in names(peer)
    assert add(peer, name="long", audio=wav(3.0), text=text)["type"] == "voice_added"
    assert peer.ask({"type": "remove_voice", "name": "long"})["type"] == "voice_removed"


def test_without_text_only_the_sound_is_taken(peer: Peer) -> None:
    with_text = add(peer)["voice"]
    without = add(peer, text="", replace=True)["voice"]
    assert set(with_text["capabilities"]) - set(without["capabilities"]) == {"zero_shot"}
    peer.ask({"type": "remove_voice", "name": "mine"})


def test_prompts_come_and_go(peer: Peer) -> None:
    assert add(peer, name="mine/happy")["code"] == "bad_request"  # there is no such voice yet
    assert add(peer)["voice"]["prompts"] == ["default"]
    assert add(peer, name="mine/happy")["voice"]["prompts"] == ["default", "happy"]
    assert add(peer, name="mine/happy")["code"] == "voice_exists"
    again = add(peer, name="mine/default", text="Other words.", replace=True)
    assert again["voice"]["prompts"] == ["default", "happy"]
    assert add(peer, name="mine/a/b")["code"] == "bad_request"
    assert add(peer, name="mine/../x")["code"] == "bad_request"
    assert add(peer, name="tone/happy")["code"] == "forbidden"
    failed = peer.speak("Hi.", voice="mine/angry").end
    assert (failed["code"], "mine/happy" in failed["message"]) == ("voice_not_found", True)
    assert peer.ask({"type": "remove_voice", "name": "mine/angry"})["code"] == "voice_not_found"
    assert peer.ask({"type": "remove_voice", "name": "mine/default"})["name"] == "mine/default"
    answer = peer.ask({"type": "remove_voice", "name": "mine/happy"})
    assert (answer["code"], "mine" in answer["message"]) == ("bad_request", True)
    assert peer.ask({"type": "remove_voice", "name": "mine"})["type"] == "voice_removed"


def test_what_came_with_the_installation_is_not_replaced(peer: Peer) -> None:
    assert add(peer, name="tone", replace=True)["code"] == "forbidden"
    still_speaks(peer)


def names(peer: Peer) -> set[str]:
    """Of all voices."""
    return {voice["name"] for voice in peer.ask({"type": "voices"})["voices"]}


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
