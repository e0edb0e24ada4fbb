"""Benchmarks that users can run: how fast the potential is, side by side with its peers."""
