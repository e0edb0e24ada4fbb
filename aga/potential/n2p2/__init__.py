"""Potentials of n2p2 and RuNNer: reading, writing, and what LAMMPS needs beside them."""
