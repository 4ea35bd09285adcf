"""What several tests of the clients say."""

from __future__ import annotations

from typing import Any

import cosyd

LONG = "one two three four five six seven eight nine ten. " * 12
"""12 seconds of tones, in 12 sentences."""


def spoken(client: cosyd.Client, text: str, **fields: Any) -> bytes:
    """The frames of `text`, joined."""
    return b"".join(client.say(text, **fields))
