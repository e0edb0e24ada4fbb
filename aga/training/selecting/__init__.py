"""Which structures are worth a label: bounds, novelty, diversity, tried on stored candidates."""
