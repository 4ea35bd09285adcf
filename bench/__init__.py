"""Measuring cosyd: how fast it is (`bench.speed`) and how well it is understood."""
