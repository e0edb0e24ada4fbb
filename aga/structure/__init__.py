"""Structures: the candidate, what is known about it, and the protocols that work on it."""
