"""Which utterances `status` lists, in which order, and that no text is among it."""

from __future__ import annotations

from typing import Any

from cosyd.daemon.overview import MAX_ENTRIES, open_utterances
from cosyd.daemon.utterance import Utterance
from cosyd.wire.messages import check_client
from tests.daemon.fakes import VOICE, FakeClock, FakeOwner

SECRET = "nobody may read this"


class _Source:
    def write(self, utterance: Utterance, text: object) -> None: ...
    def grant(self, utterance: Utterance, samples: int) -> None: ...


class Speaker:
    """A session."""

    def __init__(self, clock: FakeClock, client: str) -> None:
        self.client = client
        self._clock = clock
        self._said: list[Utterance] = []

    def utterances(self) -> list[Utterance]:
        return self._said

    def say(self, **fields: Any) -> Utterance:
        message = {"type": "say", "id": len(self._said), "text": SECRET, **fields}
        utterance = Utterance(check_client(message), VOICE, FakeOwner(), self._clock.now)
        self._said.append(utterance)
        return utterance


def test_what_has_begun_comes_first_then_the_oldest() -> None:
    clock = FakeClock()
    one, two = Speaker(clock, "one"), Speaker(clock, "two")
    one.say(channel="a")
    clock.pass_s(1.0)
    two.say(channel="b", priority=3)
    clock.pass_s(1.0)
    spoken = one.say(sample_rate=8000)
    spoken.begin(_Source(), cold=False, queue_ms=0.0, load_ms=0.0)
    spoken.on_chunk({"pcm": bytes(1600), "text_end": len(SECRET)})
    spoken.pull()
    clock.pass_s(0.5)
    told = open_utterances([one, two], clock.now())
    assert [(each["client"], each["state"]) for each in told] == [
        *(("one", "speaking"), ("one", "queued"), ("two", "queued")),
    ]
    assert told[0]["audio_s"] == 0.02
    assert told[0]["chars"] == len(SECRET)
    assert [each["age_s"] for each in told] == [0.5, 2.5, 1.5]
    assert (told[2]["channel"], told[2]["priority"]) == ("b", 3)
    assert SECRET not in str(told)


def test_there_are_never_too_many() -> None:
    clock = FakeClock()
    speakers = [Speaker(clock, str(number)) for number in range(10)]
    for speaker in speakers:
        for _ in range(20):
            speaker.say()
    assert len(open_utterances(speakers, clock.now())) == MAX_ENTRIES
