"""The daemon: one light uvloop thread that owns socket, sessions, utterances and models' lives."""
