"""The client library: a blocking and an asyncio shell over `cosyd.wire.connection`."""
