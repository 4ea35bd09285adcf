"""Voices ready to speak: conditioning in the form that language model and flow take it.

Made when a voice is first spoken with, then kept in memory, the latest ones, by their size.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cosyd.engines.cosyvoice2 import layout, voice
from cosyd.engines.cosyvoice2.causal import go_on
from cosyd.engines.cosyvoice2.features import PromptMelSizes
from cosyd.errors import BadAudio, VoiceNotFound

if TYPE_CHECKING:
    from cosyd.engines.cosyvoice2.causal import Check
    from cosyd.engines.cosyvoice2.features import Recording
    from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt
    from cosyd.engines.cosyvoice2.release import Release, Speaker
    from cosyd.engines.cosyvoice2.spelling import Speller
    from cosyd.engines.cosyvoice2.voice import Conditioning, Shelf
    from cosyd.voices.voicepack import Prompt, Voicepack

KEPT_BYTES: Final = 1 << 30
"""Of voices in memory; the latest is kept whatever its size."""

_LEAST_SPEECH: Final = 3
"""Speech tokens that a text token takes, however fast one speaks: 8 text tokens a second. A
transcript of more is not of this recording, and the model would go on speaking what is left of
it; it is better told nothing."""

_Key = tuple[str, int, int]


class Voice(NamedTuple):
    """A voice ready to speak."""

    flow: FlowPrompt
    text: tuple[int, ...] = ()
    """Text tokens of what is said in the recording."""
    speech: tuple[int, ...] = ()
    """Its speech tokens, for the language model; without `text` they are of no use to it."""


class Voices:
    """The latest voices.

    Args:
        release: the model's files.
        flow: the model's flow.
        speller: the model's front end.
        shelf: conditioning on disk.
        most_bytes: see `KEPT_BYTES`.
    """

    def __init__(
        self,
        release: Release,
        flow: Flow,
        speller: Speller,
        shelf: Shelf,
        most_bytes: int = KEPT_BYTES,
    ) -> None:
        self._release = release
        self._flow = flow
        self._speller = speller
        self._shelf = shelf
        self._most_bytes = most_bytes
        self._kept: OrderedDict[_Key, Voice] = OrderedDict()

    def get(self, pack: Voicepack, check: Check = go_on) -> Voice:
        """The voice of a voicepack, with the prompt that is chosen in it.

        Args:
            check: called now and then; it raises to end a voice's making early.

        Raises:
            VoiceNotFound: its recording or its speaker is not there.
            BadAudio: the recording is of no use.
            ModelNotFound, ModelLoadFailed: the models that clone are missing or broken.
        """
        key = key_of(pack)
        if key not in self._kept:
            self._kept[key] = self._make(pack, check)
            self._shrink()
        self._kept.move_to_end(key)
        return self._kept[key]

    def clear(self) -> None:
        """Forget them all: their memory is needed."""
        self._kept.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return sum(kept.flow.nbytes for kept in self._kept.values())

    def _shrink(self) -> None:
        while len(self._kept) > 1 and self.nbytes > self._most_bytes:
            self._kept.popitem(last=False)

    def _make(self, pack: Voicepack, check: Check) -> Voice:
        if pack.prompt is not None:
            return self._cloned(pack.prompt, check)
        speakers = self._release.speakers()
        if pack.speaker not in speakers:
            raise VoiceNotFound(
                f"{pack.name}: the weights have no speaker {pack.speaker!r}: cosy voices"
            )
        return self._of_release(speakers[pack.speaker], check)

    def _cloned(self, prompt: Prompt, check: Check) -> Voice:
        made = self._shelf.get(_recording(prompt), _OnDemand(self._release, self._flow))
        flow = self._flow.prompt(made.tokens, made.mel, made.embedding, check=check)
        text = tuple(self._speller.words_of(prompt.text))
        if not text or len(text) * _LEAST_SPEECH > made.tokens.shape[1]:
            return Voice(flow)
        return Voice(flow, text, tuple(made.tokens[0].tolist()))

    def _of_release(self, speaker: Speaker, check: Check) -> Voice:
        flow = self._flow.prompt(
            speaker.flow_tokens, speaker.prompt_mel, speaker.embedding, check=check
        )
        if speaker.prompt_text is None or speaker.llm_tokens is None:
            return Voice(flow)
        return Voice(
            flow, tuple(speaker.prompt_text[0].tolist()), tuple(speaker.llm_tokens[0].tolist())
        )


class _OnDemand:
    """Clones with the release's models and lets go of them: they are half a gigabyte."""

    def __init__(self, release: Release, flow: Flow) -> None:
        self._release = release
        self._ratio = flow.sizes.encoder.ratio

    def make(self, recording: Recording) -> Conditioning:
        """See `voice.Cloner.make`."""
        sizes = PromptMelSizes.read(self._release.settings)
        return voice.cloner(self._release.folder, sizes, ratio=self._ratio).make(recording)


def key_of(pack: Voicepack) -> _Key:
    """What tells one voice, and one version of it, from others.

    Raises:
        VoiceNotFound: it has neither a speaker nor a recording that is there.
    """
    if pack.prompt is None:
        if pack.speaker is None:
            raise VoiceNotFound(f"{pack.name} has no recording: cosy voices add")
        return pack.speaker, 0, 0
    try:
        status = pack.prompt.path.stat()
    except OSError as error:
        raise VoiceNotFound(f"{pack.prompt.path}: {error.strerror}: add the voice again") from error
    return str(pack.prompt.path), status.st_size, status.st_mtime_ns


def _recording(prompt: Prompt) -> bytes:
    try:
        return prompt.path.read_bytes()
    except OSError as error:
        raise BadAudio(f"{prompt.path}: {error.strerror}: add the voice again") from error


def stamp(folder: Path) -> str:
    """Names the version of the models that clone, for the `Shelf`."""
    sizes = [
        str(path.stat().st_size) if (path := folder / file).is_file() else "none"
        for file in layout.CLONING
    ]
    return "-".join([folder.name, *sizes])
