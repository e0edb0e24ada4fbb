"""Other ways to the same numbers, to compare with."""
