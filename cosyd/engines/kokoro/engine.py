"""The Kokoro engine: phonemes and a style → sound, one ONNX inference a segment."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosyd.engines.base import Interrupted, Request
from cosyd.engines.kokoro import vocab
from cosyd.engines.kokoro.phonemes import phonemes
from cosyd.engines.segmented import SegmentEngine, SegmentStream
from cosyd.errors import Internal, OutOfMemory, Unsupported, VoiceNotFound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosyd.text.segment import Segment

SAMPLE_RATE = 24_000
LANGUAGES = ("en", "zh")
STYLES = 64
"""The most voices' styles kept in memory, 0.5 MB each."""
STYLE_SHAPE = (vocab.MAX_PHONEMES, 256)
# Without it the arena keeps the largest utterance's buffers for good: 600 MB for 12 s of speech
# against 210 MB, and it is no slower.
_SHRINK = ("memory.enable_memory_arena_shrinkage", "cpu:0")


class KokoroEngine(SegmentEngine):
    """Kokoro-82M. See `base.Engine`."""

    sample_rate = SAMPLE_RATE
    device = "cpu"

    def __init__(self, model: Any) -> None:
        self._model = model
        self._styles: OrderedDict[Path, NDArray[np.float32]] = OrderedDict()

    def warm_up(self) -> None:
        """Read what the first sentence needs. No inference: on the CPU the first one is as fast
        as the next, so 0.3 s would be spent for nothing. Chinese dictionaries (0.8 s) are read at
        the first Chinese sentence."""
        vocab.ids(phonemes("Hi.", "en")[0])

    def open(self, request: Request) -> SegmentStream:
        """Begin an utterance.

        Raises:
            Unsupported: another language than English or Chinese, or instructions.
            VoiceNotFound: the voicepack's style is missing or broken.
        """
        if request.instruct:
            raise Unsupported("Kokoro takes no instructions: use a voice with 'instruct'")
        asked = request.language.partition("-")[0].lower() if request.language else None
        if asked is not None and asked not in LANGUAGES:
            raise Unsupported(f"Kokoro speaks en and zh, not {request.language!r}")
        self._style(request.voice.path)
        spoken = [tag.partition("-")[0].lower() for tag in request.voice.languages]
        language = asked or next((tag for tag in spoken if tag in LANGUAGES), "en")
        return SegmentStream(request, language)

    def synthesise(
        self, stream: SegmentStream, segment: Segment, language: str
    ) -> NDArray[np.float32]:
        """See `SegmentEngine.synthesise`."""
        style = self._style(stream.request.voice.path)
        speed = stream.request.speed
        sounds = [
            self._infer(stream, piece, style, speed) for piece in phonemes(segment.text, language)
        ]
        return np.concatenate(sounds) if sounds else np.zeros(0, np.float32)

    def _infer(
        self, stream: SegmentStream, piece: str, style: NDArray[np.float32], speed: float
    ) -> NDArray[np.float32]:
        """float32 [samples] of one piece of phonemes."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry(*_SHRINK)
        options.log_severity_level = 4  # an interruption is no error to write to stderr

        def cancel() -> None:
            options.terminate = True

        stream.guard(cancel)
        try:
            return self._run(_inputs(piece, style, speed), options, stream)
        finally:
            stream.guard(None)

    def _run(
        self, inputs: dict[str, NDArray[Any]], options: Any, stream: SegmentStream
    ) -> NDArray[np.float32]:
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        try:
            (audio,) = self._model.run(None, inputs, options)
        except (state.Fail, state.RuntimeException) as error:
            if stream.cancelled.is_set():
                raise Interrupted from None
            if "alloc" in str(error).lower():
                raise OutOfMemory("no memory left to speak: unload another model") from error
            raise Internal("Kokoro's inference failed: say it again") from error
        return np.asarray(audio, np.float32).reshape(-1)

    def _style(self, directory: Path) -> NDArray[np.float32]:
        """float32 [510, 256] of a voicepack: a row for every number of phonemes."""
        if directory in self._styles:
            self._styles.move_to_end(directory)
            return self._styles[directory]
        style = read_style(directory)
        self._styles[directory] = style
        if len(self._styles) > STYLES:
            self._styles.popitem(last=False)
        return style


def _inputs(piece: str, style: NDArray[np.float32], speed: float) -> dict[str, NDArray[Any]]:
    """What the model takes for a piece of phonemes: its style is the row for their number."""
    ids = vocab.ids(piece)
    return {
        "tokens": np.array([[0, *ids, 0]], np.int64),
        "style": style[len(ids) - 1][None],
        "speed": np.array([speed], np.float32),
    }


def read_style(directory: Path) -> NDArray[np.float32]:
    """float32 [510, 256] from `style.npz` of a voicepack.

    Raises:
        VoiceNotFound: the file is missing or is not a style.
    """
    import zipfile

    file = directory / "style.npz"
    try:
        with np.load(file, allow_pickle=False) as data:
            style = np.asarray(data["style"], np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise VoiceNotFound(f"{file}: not a voice's style: reinstall the voice") from error
    if style.shape != STYLE_SHAPE or not np.isfinite(style).all():
        raise VoiceNotFound(f"{file}: not a voice's style: reinstall the voice")
    return style
