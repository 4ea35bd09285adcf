"""Text that comes bit by bit: `say` with `final: false`, then `text`."""

from __future__ import annotations

import threading

import pytest

from tests.conformance.plain_client import Message, Peer, still_speaks


def text(id: int, piece: str, **fields: object) -> Message:
    """A `text` message."""
    return {"type": "text", "id": id, "text": piece, **fields}


def test_speech_begins_with_the_first_whole_sentence(peer: Peer) -> None:
    id = peer.say("One two", final=False)
    assert "audio" not in peer.quiet()
    peer.send(text(id, " three."))
    assert peer.until("audio", id=id)["offset"] == 0  # and no end of text was sent
    peer.send(text(id, " Four.", final=True))
    heard = peer.hear(id)
    assert heard.seconds == pytest.approx(0.4, abs=0.01)
    assert [(mark["start"], mark["end"]) for mark in heard.marks] == [(0, 14), (15, 20)]
    assert not peer.quiet()


def test_the_pieces_make_one_text(peer: Peer) -> None:
    id = peer.say("", final=False)
    whole = "One two. Three four five! 好的。Six seven"
    for letter in whole:
        peer.send(text(id, letter))
    peer.send(text(id, "", final=True))
    heard = peer.hear(id)
    spoken = [whole[mark["start"] : mark["end"]].strip() for mark in heard.marks]
    assert spoken == ["One two.", "Three four five!", "好的。", "Six seven"]
    assert heard.seconds == pytest.approx(0.8, abs=0.01)


def test_flush_speaks_what_is_there(peer: Peer) -> None:
    id = peer.say("One two", final=False)
    peer.send(text(id, " three", flush=True))
    peer.until("audio", id=id)
    peer.send(text(id, " four", flush=True), text(id, "", flush=True), text(id, "", final=True))
    heard = peer.hear(id)
    assert heard.end["type"] == "finished"
    assert heard.seconds == pytest.approx(0.4, abs=0.01)
    still_speaks(peer)


def test_all_in_one_write(peer: Peer) -> None:
    peer.last_id = 1
    say: Message = {"type": "say", "id": 1, "text": "One.", "final": False}
    peer.send(say, text(1, " Two."), text(1, " Three", final=True), {"type": "ping"})
    assert peer.hear(1).seconds == pytest.approx(0.3, abs=0.01)


def test_text_after_the_final_one_is_a_bad_request(peer: Peer) -> None:
    id = peer.say("One. Two. Three.", instruct="slow_ms=200")
    peer.send(text(id, "Four."))
    assert peer.until("error")["code"] == "bad_request"
    assert peer.hear(id).seconds == pytest.approx(0.3, abs=0.01)
    id = peer.say("One.", final=False, instruct="slow_ms=200")
    peer.send(text(id, " Two.", final=True), text(id, "Three.", final=True))
    assert peer.until("error")["code"] == "bad_request"
    assert peer.hear(id).seconds == pytest.approx(0.2, abs=0.01)
    still_speaks(peer)


def test_text_for_an_utterance_that_has_ended_is_silence(peer: Peer) -> None:
    stopped = peer.say("One.", final=False)
    peer.send({"type": "stop", "id": stopped})
    peer.hear(stopped)
    failed = peer.say("One.", final=False, voice="nobody")
    assert peer.hear(failed).end["code"] == "voice_not_found"
    finished = peer.say("One.")
    peer.hear(finished)
    peer.quiet()
    for id in (stopped, failed, finished):
        peer.send(text(id, "Two."), text(id, "", final=True))
    assert peer.quiet() == []
    still_speaks(peer)


@pytest.mark.parametrize("id", [1, 7, 2**31 - 1])
def test_text_for_an_id_never_said_is_unknown(peer: Peer, id: int) -> None:
    answer = peer.ask(text(id, "One."))
    assert (answer["type"], answer["code"]) == ("error", "unknown_id")
    still_speaks(peer)


def test_wrong_fields_of_text_are_errors_and_harm_nobody(peer: Peer) -> None:
    id = peer.say("One.", final=False)
    wrong: list[Message] = [
        {"type": "text", "text": "x"},
        {"type": "text", "id": id},
        *(text(wrong_id, "x") for wrong_id in (-1, 2**31, "1", 1.0, True)),  # type: ignore[arg-type]  # wrong on purpose
        {"type": "text", "id": id, "text": 7},
        {"type": "text", "id": id, "text": b"x"},
        text(id, "x", final=1),
        text(id, "x", flush="yes"),
    ]
    for message in wrong:
        peer.send(message)
        assert peer.until("error")["code"] == "bad_request", message
    peer.send(text(id, " Two.", final=True))
    assert peer.hear(id).seconds == pytest.approx(0.2, abs=0.01)


def test_a_text_message_that_is_too_long_is_refused(peer: Peer) -> None:
    id = peer.say("One.", final=False)
    peer.send(text(id, "a" * 5001))
    answer = peer.until("error", "failed")
    assert answer["code"] == "text_too_long"
    peer.send(text(id, "", final=True))
    assert peer.hear(id).end["type"] in ("finished", "failed")
    still_speaks(peer)


def test_a_stream_in_which_nothing_was_speakable_fails(peer: Peer) -> None:
    id = peer.say("", final=False)
    peer.send(text(id, " "), text(id, "..."), text(id, "\x00"), text(id, "", final=True))
    assert peer.hear(id).end["code"] == "empty_text"
    still_speaks(peer)


def test_nothing_speakable_at_the_end_is_no_failure(peer: Peer) -> None:
    id = peer.say("One.", final=False)
    peer.send(text(id, " ...", final=True))
    heard = peer.hear(id)
    assert heard.end["type"] == "finished"
    assert heard.seconds == pytest.approx(0.1, abs=0.01)


def test_stop_and_pause_while_waiting_for_text(peer: Peer) -> None:
    id = peer.say("One two.", final=False)
    peer.until("audio", id=id)
    peer.send({"type": "pause", "id": id})
    peer.until("paused", id=id)
    peer.quiet()
    peer.send(text(id, " Three."))
    assert "audio" not in peer.quiet()
    peer.send({"type": "resume", "id": id})
    peer.until("resumed", id=id)
    peer.send(text(id, " Four", final=True))
    assert peer.hear(id).seconds == pytest.approx(0.4, abs=0.01)
    id = peer.say("One two.", final=False)
    peer.send({"type": "stop", "id": id})
    assert peer.hear(id).end["type"] == "stopped"
    still_speaks(peer)


def test_an_utterance_that_waits_for_text_holds_up_no_other(peer: Peer, other: Peer) -> None:
    waiting = [peer.say("One", final=False) for _ in range(3)]
    still_speaks(other)
    still_speaks(peer)
    peer.send(*(text(id, " two.", final=True) for id in waiting))
    for id in waiting:
        assert peer.hear(id).seconds == pytest.approx(0.2, abs=0.01)


def test_a_megabyte_of_text(peer: Peer) -> None:
    sentence = ("word " * 99 + "stop. ") * 10  # 10 sentences, 1,000 words, 5,010 characters
    piece, count = sentence[-4008:], 250  # 8 sentences, 800 words
    id = peer.say("", final=False, instruct="word_ms=1", sample_rate=8000)

    def write() -> None:
        for _ in range(count):
            peer.send(text(id, piece))
        peer.send(text(id, "", final=True))

    writer = threading.Thread(target=write)
    writer.start()
    heard = peer.hear(id)
    writer.join()
    assert heard.end["type"] == "finished"
    assert heard.seconds == pytest.approx(count * 800 / 1000, rel=0.01)
    assert len(heard.marks) == count * 8
    assert heard.marks[-1]["end"] <= count * len(piece)
    assert heard.marks[-1]["end"] > count * len(piece) - 3
    still_speaks(peer)
