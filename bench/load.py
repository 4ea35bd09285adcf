"""`python -m bench.load SOCKET VOICE COUNT`: keep COUNT long utterances being synthesised.

A process of its own, so that taking the sound costs those who measure nothing. Prints "ready"
when sound of all has come; ends when its standard input does.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Final

from bench.texts import LONG
from bench.wire import Failed, Link

_READY: Final = threading.Semaphore(0)


def _speak_on(path: str, voice: str) -> None:
    try:
        _speak(Link(path), voice)
    except Failed as error:
        print(f"failed: {error}", flush=True)
        os._exit(1)


def _speak(link: Link, voice: str) -> None:
    announced = False
    while True:
        number = link.say(LONG, voice=voice)
        link.wait("audio", number)
        if not announced:
            announced = True
            _READY.release()
        link.wait("finished", number)


def main(path: str, voice: str, count: int) -> None:
    """Speak until standard input ends."""
    for _ in range(count):
        threading.Thread(target=_speak_on, args=(path, voice), daemon=True).start()
    for _ in range(count):
        _READY.acquire()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)  # the daemon stops what we still say


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
