"""Which of the languages we speak a piece of text is in, from its script."""

from __future__ import annotations

import re

from cosyd.text.characters import HAN, LATIN

_HAN = re.compile(f"[{HAN}]")
_LATIN_WORD = re.compile(rf"[{LATIN}][{LATIN}\w./:@#?=&%+'’-]*", re.ASCII)


def detect(text: str) -> str | None:
    """ "zh" or "en", or None where no letter tells.

    A Chinese character counts as much as a whole Latin word (an address is one word), because
    both are about one step of speech; a tie goes to Chinese, which borrows Latin words freely.
    """
    han = len(_HAN.findall(text))
    words = len(_LATIN_WORD.findall(text))
    if not han and not words:
        return None
    return "zh" if han >= words else "en"
