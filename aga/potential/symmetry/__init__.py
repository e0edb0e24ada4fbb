"""Symmetry functions: sets of them, and the kernels that compute them."""
