"""Every way a request can fail: one class for each code of the wire contract.

The client library raises the class whose name is the code in CamelCase; `code`, `message` and
`retryable` are what the daemon sent. `Unreachable` is the client's own: no daemon answered.
"""

from __future__ import annotations


class CosydError(Exception):
    """Base of all errors of cosyd.

    Attributes:
        code: the wire's error code, stable, for programs.
        message: one line for a person: what is wrong and what to do.
        retryable: whether the same request may succeed a little later.
        ref: what the request carried as `ref`, if anything.
    """

    code = "internal"
    retryable = False

    def __init__(self, message: str, *, ref: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.ref = ref


class Protocol(CosydError):
    """The framing or the msgpack is broken; the connection is closed."""

    code = "protocol"


class UnsupportedVersion(CosydError):
    """The other side speaks no protocol version that we speak."""

    code = "unsupported_version"


class UnknownType(CosydError):
    """The daemon does not know this message type."""

    code = "unknown_type"


class UnknownId(CosydError):
    """No utterance of this connection ever had this id."""

    code = "unknown_id"


class BadRequest(CosydError):
    """A field has the wrong type or a value out of range; the message names it."""

    code = "bad_request"


class Forbidden(CosydError):
    """The daemon belongs to somebody else, or the thing asked is not allowed."""

    code = "forbidden"


class TextTooLong(CosydError):
    """One message's text is over `max_text_chars`."""

    code = "text_too_long"


class EmptyText(CosydError):
    """There is nothing speakable in the text."""

    code = "empty_text"


class VoiceNotFound(CosydError):
    """No such voice; the message names near matches."""

    code = "voice_not_found"


class ModelNotFound(CosydError):
    """The model's weights are not on this machine; the message says how to fetch them."""

    code = "model_not_found"


class EngineNotInstalled(CosydError):
    """The engine's packages are missing; the message says how to install them."""

    code = "engine_not_installed"


class ModelLoadFailed(CosydError):
    """The weights are corrupt or do not fit; the message names the file."""

    code = "model_load_failed"


class OutOfMemory(CosydError):
    """The device or the machine has no memory left for this."""

    code = "out_of_memory"
    retryable = True


class EngineCrashed(CosydError):
    """The engine's process died while speaking; it is being restarted."""

    code = "engine_crashed"
    retryable = True


class EngineTimeout(CosydError):
    """The engine made no progress for `engine_timeout_s` and was replaced."""

    code = "engine_timeout"
    retryable = True


class Busy(CosydError):
    """A queue is full, or the model is in use."""

    code = "busy"
    retryable = True


class Unsupported(CosydError):
    """This voice's engine cannot do what was asked; the message says which can."""

    code = "unsupported"


class BadAudio(CosydError):
    """The reference audio is unreadable, silent, too short or too long."""

    code = "bad_audio"


class VoiceExists(CosydError):
    """A voice of this name is there already."""

    code = "voice_exists"


class ShuttingDown(CosydError):
    """The daemon is finishing what it says and takes nothing new."""

    code = "shutting_down"
    retryable = True


class Internal(CosydError):
    """A bug; the daemon's log has the trace."""

    code = "internal"


class Unreachable(CosydError):
    """No daemon answers and none could be started (never sent over the wire)."""

    code = "unreachable"
    retryable = True


BY_CODE: dict[str, type[CosydError]] = {
    cls.code: cls
    for cls in (
        Protocol,
        UnsupportedVersion,
        UnknownType,
        UnknownId,
        BadRequest,
        Forbidden,
        TextTooLong,
        EmptyText,
        VoiceNotFound,
        ModelNotFound,
        EngineNotInstalled,
        ModelLoadFailed,
        OutOfMemory,
        EngineCrashed,
        EngineTimeout,
        Busy,
        Unsupported,
        BadAudio,
        VoiceExists,
        ShuttingDown,
        Internal,
    )
}
"""The codes of the contract, each with the class that is raised for it."""


def from_code(code: str, message: str, ref: object = None) -> CosydError:
    """The exception for an error of the wire; an unknown code becomes `Internal`."""
    cls = BY_CODE.get(code)
    if cls is None:
        return Internal(f"{code}: {message}", ref=ref)
    return cls(message, ref=ref)
