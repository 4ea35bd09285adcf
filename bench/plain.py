"""`python -m bench.plain VOICE`: Kokoro without a daemon, as somebody's own script would use it.

The same engine code in one process. Says each line of standard input; prints "ready", then for
each line `first` when the first chunk is there and `end SECONDS` when all of the audio is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cosyd import config
from cosyd.engines.base import Chunk, Request, Settings
from cosyd.engines.kokoro import engine as kokoro
from cosyd.engines.kokoro import loading, weights
from cosyd.paths import config_file, data_dir
from cosyd.voices.voicepack import load

VOICEPACKS = Path(__file__).parent.parent / "voicepacks" / "kokoro"


def _say(engine: kokoro.KokoroEngine, voice: Path, text: str) -> float:
    """Seconds of audio."""
    stream = engine.open(Request(voice=load(voice)))
    stream.write(text, final=True)
    samples = 0
    while isinstance(chunk := engine.step([stream])[0], Chunk):
        if not samples and chunk.pcm.size:
            print("first", flush=True)
        samples += chunk.pcm.size
    return samples / engine.sample_rate


def main(voice: str) -> None:
    """Speak until standard input ends."""
    engine = loading.load(
        weights.MODEL, Settings(data_dir(config.load(os.environ, file=config_file(os.environ))))
    )
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = _say(engine, VOICEPACKS / voice, line.strip())
        print(f"end {seconds}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
