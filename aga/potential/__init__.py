"""Neural network potentials: descriptors, networks, committee, relaxation."""
