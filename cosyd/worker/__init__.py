"""The worker: a process that holds one model, runs its steps and sends the sound to the daemon."""
