"""Small ONNX models with the inputs and outputs of the release's two, written without a library.

Field numbers are those of ONNX's published onnx.proto (IR version 8, operator set 13).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

FLOAT: Final = 1
INT32: Final = 6
INT64: Final = 7
_INT, _INTS = 2, 7
_IR_VERSION, _OPERATOR_SET = 8, 13


def speaker_encoder(weight: Sequence[Sequence[float]]) -> bytes:
    """A model float [B, T, bins] → float [B, size]: the time mean times `weight` [bins, size]."""
    bins, size = len(weight), len(weight[0])
    values = [value for row in weight for value in row]
    return _model(
        "speaker",
        nodes=[
            _node("ReduceMean", ["input"], "mean", axes=[1], keepdims=0),
            _node("MatMul", ["mean", "weight"], "output"),
        ],
        constants=[
            _constant("weight", FLOAT, (bins, size), struct.pack(f"<{len(values)}f", *values))
        ],
        inputs=[_value("input", FLOAT, ("B", "T", bins))],
        outputs=[_value("output", FLOAT, ("B", size))],
    )


def speech_tokenizer(bins: int, vocabulary: int) -> bytes:
    """A model float [1, bins, T] and int32 [1] length → int32 [1, ceil(length / 4)] below
    `vocabulary`, each a function of four frames' mean."""
    constants = [
        _constant("start", INT32, (1,), struct.pack("<i", 0)),
        _constant("axis", INT32, (1,), struct.pack("<i", 2)),
        _constant("scale", FLOAT, (), struct.pack("<f", 9973.0)),
        _constant("vocabulary", INT32, (), struct.pack("<i", vocabulary)),
        _constant("squeezed", INT64, (1,), struct.pack("<q", 1)),
    ]
    nodes = [
        _node("Slice", ["feats", "start", "feats_length", "axis"], "cut"),
        _node("ReduceMean", ["cut"], "mean", axes=[1], keepdims=1),
        _node("AveragePool", ["mean"], "pooled", kernel_shape=[4], strides=[4], ceil_mode=1),
        _node("Mul", ["pooled", "scale"], "scaled"),
        _node("Abs", ["scaled"], "positive"),
        _node("Cast", ["positive"], "whole", to=INT32),
        _node("Mod", ["whole", "vocabulary"], "below"),
        _node("Squeeze", ["below", "squeezed"], "indices"),
    ]
    return _model(
        "speech_tokens",
        nodes,
        constants,
        inputs=[_value("feats", FLOAT, (1, bins, "T")), _value("feats_length", INT32, (1,))],
        outputs=[_value("indices", INT32, (1, "N"))],
    )


def _model(
    name: str,
    nodes: list[bytes],
    constants: list[bytes],
    inputs: list[bytes],
    outputs: list[bytes],
) -> bytes:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, name)
    graph += b"".join(_field(5, constant) for constant in constants)
    graph += b"".join(_field(11, value) for value in inputs)
    graph += b"".join(_field(12, value) for value in outputs)
    operators = _field(1, "") + _field(2, _OPERATOR_SET)
    return _field(1, _IR_VERSION) + _field(2, "cosyd") + _field(7, graph) + _field(8, operators)


def _node(kind: str, inputs: list[str], output: str, **attributes: int | list[int]) -> bytes:
    node = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            attribute = _field(1, name) + _field(3, value) + _field(20, _INT)
        else:
            numbers = b"".join(_field(8, number) for number in value)
            attribute = _field(1, name) + numbers + _field(20, _INTS)
        node += _field(5, attribute)
    return node


def _constant(name: str, kind: int, shape: tuple[int, ...], data: bytes) -> bytes:
    sizes = b"".join(_field(1, size) for size in shape)
    return sizes + _field(2, kind) + _field(8, name) + _field(9, data)


def _value(name: str, kind: int, shape: tuple[int | str, ...]) -> bytes:
    sizes = b"".join(
        _field(1, _field(1, size) if isinstance(size, int) else _field(2, size)) for size in shape
    )
    tensor = _field(1, kind) + _field(2, sizes)
    return _field(1, name) + _field(2, _field(1, tensor))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A protobuf field: a varint, or a length and bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
