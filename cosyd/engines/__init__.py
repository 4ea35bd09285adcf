"""Engines: what turns text into sound. One descriptor each, found by the registry."""
