"""Cuts a stream of PCM bytes into frames of one size. Standard library only."""

from __future__ import annotations


class Framer:
    """Bytes of any length in, whole frames out, in order.

    It holds what was pushed and not yet popped, so its user bounds it: pop until None after
    every push, and no more than one push and one frame are ever held.
    """

    __slots__ = ("_buffer", "frame_bytes")

    def __init__(self, frame_bytes: int) -> None:
        """`frame_bytes`: the size of every frame, at least 1 (ValueError)."""
        if frame_bytes < 1:
            raise ValueError(f"frame_bytes must be at least 1, not {frame_bytes}")
        self.frame_bytes = frame_bytes
        self._buffer = bytearray()

    @property
    def buffered_bytes(self) -> int:
        """Bytes pushed and not yet popped; what is over whole frames counts too."""
        return len(self._buffer)

    def push(self, pcm: bytes | bytearray | memoryview) -> None:
        """Append PCM; it need not end at a sample's border."""
        self._buffer += pcm

    def pop(self) -> bytes | None:
        """The next whole frame, or None if less than one is held."""
        if len(self._buffer) < self.frame_bytes:
            return None
        return self._take(self.frame_bytes)

    def flush(self) -> bytes | None:
        """The next frame at the end of the stream: whole, or the last one padded with zeros.

        None when nothing is left. The padding hides where the sound ends, so read
        `buffered_bytes` before if the true length matters.
        """
        if not self._buffer:
            return None
        return self._take(min(self.frame_bytes, len(self._buffer))).ljust(self.frame_bytes, b"\0")

    def _take(self, size: int) -> bytes:
        frame = bytes(self._buffer[:size])
        # CPython deletes from a bytearray's front by moving its start, and compacts it now and
        # then: a push of any length costs linear time altogether.
        del self._buffer[:size]
        return frame
