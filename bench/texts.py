"""What the speed benchmarks say."""

from __future__ import annotations

from typing import Final

SHORT: Final = (
    "Good morning.",
    "The kettle is on.",
    "Somebody rang twice.",
    "Dinner is ready.",
    "Your taxi is here.",
    "The build has finished.",
    "It will rain tonight.",
    "Nothing was found.",
)
"""One segment each: all of its sound comes from one step of the engine."""

MEDIUM: Final = "The ferry leaves at noon, so we should pack our bags before the shops close."
"""One sentence of some four seconds."""

LONG: Final = (
    "The lighthouse had been dark for eleven years when the letter came. "
    "Nobody in the village could remember who had last climbed its stairs, or why. "
    "Marta read the page twice, folded it, and put it under the sugar bowl. "
    "In the afternoon she walked down to the harbour and asked for the key. "
    "The keeper's nephew laughed, but he went to look for it all the same. "
    "Behind the paint tins they found a brass lamp, a logbook and a dead wasp. "
    "By evening the wind had turned, and the first boats were coming home. "
    "She struck a match, held her breath, and gave the sea its light again."
)
"""Eight sentences, some half a minute."""
