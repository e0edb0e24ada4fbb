"""What a LAMMPS user needs beside an n2p2 potential: the repulsion as a table, and an input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from aga.potential.guard import Repulsion
from aga.potential.model import Model

__all__ = ["EXAMPLE", "README", "TABLE", "example", "readme", "tables"]

EXAMPLE, README, TABLE = "in.lammps.example", "README.txt", "repulsion.table"

POINTS = 5000
"""Rows per pair of elements: LAMMPS' spline through as many is exact to 1e−9 eV, where its
linear interpolation errs by 1e−4 eV/Å."""

NEAREST = 0.1
"""Å where the tables begin; LAMMPS stops if two atoms come closer."""


def tables(repulsion: Repulsion, symbols: Sequence[str]) -> str:
    """Write the repulsion for ``pair_style table``: r in Å, E in eV, F = −dE/dr in eV/Å."""
    what = "# Repulsion of nuclei (Ziegler, Biersack, Littmark), switched off inside bond lengths."
    parts = [f"# UNITS: metal\n{what}\n"]
    for first, second in combinations_with_replacement(symbols, 2):
        end = repulsion.reach_of(first, second)
        r = np.linspace(NEAREST, end, POINTS)
        energies, slopes = repulsion.of_pair(first, second, r)
        rows = zip(r.tolist(), energies.tolist(), slopes.tolist(), strict=True)
        parts.append(f"\n{first}-{second}\nN {POINTS} R {NEAREST!r} {end!r}\n\n")
        parts += (f"{n} {x:.17g} {e:.17g} {-d:.17g}\n" for n, (x, e, d) in enumerate(rows, 1))
    return "".join(parts)


def example(model: Model, symbols: Sequence[str]) -> str:
    """Write the LAMMPS commands that give the model's energies and forces."""
    style = f'hdnnp {float(model.functions.cutoff)!r} dir "./" showew no showewsum 1000 &'
    limits = "maxew 1000000 resetew yes cflength 1.0 cfenergy 1.0"
    types = [f"# type {n}: {symbol}" for n, symbol in enumerate(symbols, start=1)]
    masses = [
        f"mass            {n} {atomic_masses[atomic_numbers[symbol]]}"
        for n, symbol in enumerate(symbols, start=1)
    ]
    lines = [
        "# LAMMPS input for this potential; LAMMPS must have the package ML-HDNNP.",
        "# Lengths in the potential are in Angstrom and energies in eV, as in units metal.",
        *types,
        "units           metal",
        "atom_style      atomic",
        "read_data       structure.data  # yours",
        *masses,
    ]
    if model.repulsion is None:
        lines += [
            f"pair_style      {style}",
            f"                {limits}",
            f"pair_coeff      * * {' '.join(symbols)}",
        ]
    else:
        lines += [
            "# The repulsion at short distances is a part of the potential, as a table.",
            f"pair_style      hybrid/overlay {style}",
            f"                {limits} table spline {POINTS}",
            f"pair_coeff      * * hdnnp {' '.join(symbols)}",
        ]
        for i, j in combinations_with_replacement(range(len(symbols)), 2):
            section = f"{symbols[i]}-{symbols[j]}"
            lines.append(f"pair_coeff      {i + 1} {j + 1} table {TABLE} {section}")
    return "\n".join([*lines, "run             0", ""])


def readme(model: Model) -> str:
    """Say what the files are."""
    lines = [
        "A high-dimensional neural network potential in the format of n2p2, written by aga.",
        "Energies in eV, lengths in Angstrom.",
        "",
        "input.nn, scaling.data, weights.*.data   the potential, for n2p2 and LAMMPS",
        f"{EXAMPLE}                        how to use it in LAMMPS",
    ]
    if model.repulsion is not None:
        lines += [
            f"{TABLE}                          its repulsion of nuclei at short distances;",
            "                                         without it, energies of atoms closer than",
            "                                         bonds are wrong (n2p2's own tools lack it)",
        ]
    return "\n".join(lines) + "\n"
