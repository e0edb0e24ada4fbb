"""Deep Potential descriptors, their models and committee."""
