"""cosyd: a local speech daemon, and the library that talks to it.

    import cosyd

    with cosyd.connect() as client:
        client.say("Hello there.").play()

`connect` gives a blocking `Client`, `aconnect` an `AsyncClient`; both start the daemon when none
runs. Everything is imported when it is first used: a command line that only says one sentence
should not wait for asyncio, numpy or a sound library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosyd.version import VERSION as __version__

if TYPE_CHECKING:
    from cosyd import errors
    from cosyd.client.aio import AsyncClient, AsyncUtterance, aconnect
    from cosyd.client.result import Result, Server, Started
    from cosyd.client.sync import Client, Utterance, connect
    from cosyd.wire.inbox import Mark

__all__ = [
    "AsyncClient",
    "AsyncUtterance",
    "Client",
    "Mark",
    "Result",
    "Server",
    "Started",
    "Utterance",
    "__version__",
    "aconnect",
    "connect",
    "errors",
]

_HOME = {
    "AsyncClient": "cosyd.client.aio",
    "AsyncUtterance": "cosyd.client.aio",
    "aconnect": "cosyd.client.aio",
    "Client": "cosyd.client.sync",
    "Utterance": "cosyd.client.sync",
    "connect": "cosyd.client.sync",
    "Result": "cosyd.client.result",
    "Server": "cosyd.client.result",
    "Started": "cosyd.client.result",
    "Mark": "cosyd.wire.inbox",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("cosyd.errors")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'cosyd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
