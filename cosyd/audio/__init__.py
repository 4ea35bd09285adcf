"""Sound: frames, resampling, loudness, WAV and players."""
