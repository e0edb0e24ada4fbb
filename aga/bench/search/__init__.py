"""Searches with known answers: how many reference calls each way of searching needs."""
