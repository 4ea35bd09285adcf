"""Voices: what a person picks by name, and the directories (voicepacks) that hold them."""
