"""The worker: a process that holds one model, runs its steps and sends the sound to the daemon."""

from time import perf_counter

BEGAN = perf_counter()
"""About when Python had started: what follows is imports."""
