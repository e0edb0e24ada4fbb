"""Published potentials give the energies and forces that n2p2 computed with them."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.data import atomic_numbers
from ase.io import read

from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.device.committee import DeviceCommittee
from aga.potential.model import Model
from aga.potential.n2p2.read import BOHR, HARTREE, read_n2p2
from aga.potential.n2p2.write import write_n2p2
from aga.structure.candidate import Candidate, FloatArray

pytestmark = pytest.mark.shared_data

PRINTED = 1e-10
"""Last digit of the energies and forces of ``n2p2_test_predictions.txt``, eV and eV/Å."""

ROUNDING = 1e-6 / np.sqrt(12)
"""Å, standard deviation of the positions from those that n2p2 was given: the files of structures
hold six digits. It moves the energy by this times the norm of the forces."""

STRAINED = {"Si": range(19, 25), "Mo": range(0)}
"""Strained diamond: every coordinate is a multiple of 1/8 of the cell, so that the positions can
be had as n2p2 had them."""


class Case(NamedTuple):
    candidate: Candidate
    energy: float
    forces: FloatArray
    own_images: bool
    """Whether a lattice vector is shorter than the cutoff: then an atom sees its own images,
    for which n2p2's forces lack a part, and finite differences decide."""


def candidate(name: str, atoms: Atoms) -> Candidate:
    return Candidate(
        name=name,
        numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions,
        cell=atoms.cell.array,
    )


def shortest(cell: FloatArray) -> float:
    steps = np.array([n for n in itertools.product(range(-4, 5), repeat=3) if any(n)])
    return float(np.linalg.norm(steps @ cell, axis=1).min())


def cases(data: Path, element: str, cutoff: float) -> list[Case]:
    with gzip.open(data / "zuo_nnp" / element / "n2p2_test_predictions.txt.gz", "rt") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    energies = {int(words[1]): float(words[3]) for words in lines if words[0] == "E"}
    forces: dict[int, list[list[float]]] = {}
    for words in lines:
        if words[0] == "F":
            forces.setdefault(int(words[1]), []).append([float(w) for w in words[3:6]])
    frames = read(data / "mlearn" / f"{element}_test.xyz.gz", ":")
    for n in STRAINED[element]:
        exact = np.round(8.0 * frames[n].get_scaled_positions(wrap=False)) / 8.0 @ frames[n].cell
        assert np.abs(exact - frames[n].positions).max() < 0.501e-6
        frames[n].positions = exact
    return [
        Case(
            candidate=candidate(f"{element}-{n}", atoms),
            energy=energies[n],
            forces=np.array(forces[n]),
            own_images=shortest(atoms.cell.array) < cutoff,
        )
        for n, atoms in enumerate(frames)
    ]


def committee_of(model: Model, code: str) -> NetworkCommittee:
    """One member, computed by the processor's own kernels or as on a GPU."""
    if code == "torch":
        return DeviceCommittee([model], device=torch.device("cpu"))
    return NetworkCommittee([model])


both_codes = pytest.mark.parametrize("code", ["kernels", "torch"])


def evaluate(
    committee: NetworkCommittee, structures: Sequence[Candidate]
) -> list[tuple[float, FloatArray]]:
    batch = Batch.pack(structures)
    result = committee.evaluate(batch)
    bounds = itertools.pairwise(batch.offsets)
    return [
        (float(e), -result.gradient[a:b]) for e, (a, b) in zip(result.energies, bounds, strict=True)
    ]


def by_differences(
    committee: NetworkCommittee, structure: Candidate, atoms: Sequence[int]
) -> FloatArray:
    """Forces on some atoms from energies alone, to fourth order."""
    h = 1e-4
    steps = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    moved = []
    for atom, axis, step in itertools.product(atoms, range(3), steps):
        positions = structure.positions.copy()
        positions[atom, axis] += step * h
        moved.append(
            Candidate(
                name="moved", numbers=structure.numbers, positions=positions, cell=structure.cell
            )
        )
    energies = np.array([energy for energy, _ in evaluate(committee, moved)])
    weights = np.array(list(steps.values()))
    return -(energies.reshape(len(atoms), 3, 4) @ weights) / h


@both_codes
@pytest.mark.parametrize("element", ["Si", "Mo"])
def test_zuo_potentials(shared_data: Path, element: str, code: str) -> None:
    """Potentials of Zuo et al., J. Phys. Chem. A 124, 731 (2020), in Bohr and Hartree.

    Their atom_energy looks like eV and is Hartree.
    """
    model = read_n2p2(shared_data / "zuo_nnp" / element, units="bohr-hartree")
    committee = committee_of(model, code)
    wanted = cases(shared_data, element, model.functions.cutoff)
    found = evaluate(committee, [case.candidate for case in wanted])
    assert sum(case.own_images for case in wanted) == {"Si": 1, "Mo": 2}[element]
    deviations = []
    for n, (case, (energy, forces)) in enumerate(zip(wanted, found, strict=True)):
        if n in STRAINED[element]:
            assert energy == pytest.approx(case.energy, abs=2.0 * PRINTED)
            assert np.abs(forces - case.forces).max() < PRINTED
            continue
        expected = ROUNDING * np.linalg.norm(case.forces)
        deviations.append((energy - case.energy) / expected)
        if not case.own_images:
            assert np.abs(forces - case.forces).max() < 120.0 * ROUNDING, case.candidate.name
    # nothing but the rounding of the positions is left
    assert np.sqrt(np.mean(np.square(deviations))) < 1.4
    assert np.abs(deviations).max() < 4.0


@both_codes
@pytest.mark.parametrize(("element", "place"), [("Si", 8), ("Mo", 15), ("Mo", 16)])
def test_forces_in_cells_smaller_than_the_cutoff(
    shared_data: Path, element: str, place: int, code: str
) -> None:
    model = read_n2p2(shared_data / "zuo_nnp" / element, units="bohr-hartree")
    committee = committee_of(model, code)
    case = cases(shared_data, element, model.functions.cutoff)[place]
    assert case.own_images
    ((energy, forces),) = evaluate(committee, [case.candidate])
    assert energy == pytest.approx(case.energy, abs=4 * ROUNDING * np.linalg.norm(case.forces))
    atoms = [0, 3, len(case.candidate) - 1]
    assert forces[atoms] == pytest.approx(
        by_differences(committee, case.candidate, atoms), abs=1e-7
    )


def read_water(folder: Path) -> tuple[Candidate, float, FloatArray]:
    """360 molecules, with energy in Hartree and forces in Hartree/Bohr of n2p2's own tests."""
    lines = [line.split() for line in (folder / "input.data").read_text().splitlines()]
    atoms = [words for words in lines if words[0] == "atom"]
    structure = Candidate(
        name="water",
        numbers=np.array([atomic_numbers[words[4]] for words in atoms]),
        positions=np.array([words[1:4] for words in atoms], dtype=float) * BOHR,
        cell=np.array([words[1:4] for words in lines if words[0] == "lattice"], dtype=float) * BOHR,
    )
    expected = (folder / "expected_from_test_suite.txt").read_text().splitlines()[1:]
    forces = np.array([line.split() for line in expected[1:]], dtype=float)
    return structure, float(expected[0]), forces


@both_codes
@pytest.mark.parametrize("written_again", [False, True])
def test_water(shared_data: Path, tmp_path: Path, code: str, *, written_again: bool) -> None:
    """Water of Morawietz et al., PNAS 113, 8368 (2016), as in n2p2's examples.

    Two elements with functions of their own, tanh³ cutoff, narrow functions, centred and scaled,
    normalised energies; units stated by its comments.
    """
    folder = shared_data / "n2p2_h2o"
    model = read_n2p2(folder)
    if written_again:
        write_n2p2(model, tmp_path)
        model = read_n2p2(tmp_path)
    structure, energy, forces = read_water(folder)
    ((found, found_forces),) = evaluate(committee_of(model, code), [structure])
    assert found / HARTREE == pytest.approx(energy, rel=1e-15)
    assert np.abs(found_forces * BOHR / HARTREE - forces).max() < 1e-13
