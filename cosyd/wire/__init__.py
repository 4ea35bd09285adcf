"""The wire protocol, sans-io: messages as tables, framing, state tables, the client's end.

Standard library and msgpack only; both ends and every test use the same tables.
"""
