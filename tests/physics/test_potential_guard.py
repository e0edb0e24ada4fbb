"""The short-range repulsion: derivatives, and its absence where crystals live."""

import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal

from aga.errors import InputError
from aga.potential.batch import Batch
from aga.potential.guard import Repelled, Repulsion
from aga.potential.neighbours import find_pairs
from aga.structure.candidate import Candidate, FloatArray

TIO2 = Repulsion(("O", "Ti"))


def evaluate(*structures: Candidate) -> Repelled:
    batch = Batch.pack(structures)
    return TIO2.evaluate(batch, find_pairs(batch, 4.0, (8, 22)))


def dense(seed: int = 3) -> Candidate:
    """Six atoms in a cell where many pairs are within the switch."""
    rng = np.random.default_rng(seed)
    cell = 3.0 * np.eye(3) + rng.normal(scale=0.2, size=(3, 3))
    positions = rng.random((6, 3)) @ cell
    return Candidate(
        name="d", numbers=np.array([8, 8, 8, 8, 22, 22]), positions=positions, cell=cell
    )


def pair(distance: float, numbers: tuple[int, int] = (8, 22)) -> Candidate:
    positions = np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
    return Candidate(
        name="p", numbers=np.array(numbers), positions=positions, cell=12.0 * np.eye(3)
    )


def test_gradient_and_strain_are_central_differences() -> None:
    structure = dense()
    result = evaluate(structure)
    assert result.energies[0] > 10.0
    h = 1e-6

    def energy(dR: FloatArray, strain: FloatArray) -> float:
        F = np.eye(3) + strain
        moved = structure.moved((structure.positions + dR) @ F, structure.cell @ F)
        return float(evaluate(moved).energies[0])

    scale = np.abs(result.gradient).max()
    for i in range(6):
        for a in range(3):
            dR = np.zeros((6, 3))
            dR[i, a] = h
            slope = (energy(dR, np.zeros((3, 3))) - energy(-dR, np.zeros((3, 3)))) / (2 * h)
            assert slope == pytest.approx(result.gradient[i, a], abs=1e-6 * scale)
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[a, b] = h
        still = np.zeros((6, 3))
        # One component alone is a strain and a rotation, which costs nothing.
        symmetric = 0.5 * (strain + strain.T)
        slope = (energy(still, symmetric) - energy(still, -symmetric)) / (2 * h)
        assert slope == pytest.approx(result.strain[0, a, b], abs=1e-6 * scale)


@pytest.mark.parametrize(
    ("numbers", "bond"),
    [((8, 22), 1.8), ((8, 8), 1.2), ((22, 22), 2.5)],
)
def test_bonds_are_not_touched(numbers: tuple[int, int], bond: float) -> None:
    result = evaluate(pair(bond, numbers))
    assert result.energies[0] == 0.0
    assert (result.gradient == 0.0).all()


def test_relaxed_crystals_are_not_touched() -> None:
    anatase = crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0, 0, 0.208)],
        spacegroup=141,
        cellpar=[3.785, 3.785, 9.514, 90, 90, 90],
    )
    assert evaluate(Candidate.from_ase(anatase, name="a")).energies[0] == 0.0
    silicon = Batch.pack([Candidate.from_ase(bulk("Si") * (1, 1, 1), name="s")])
    repulsion = Repulsion(("Si",))
    assert repulsion.evaluate(silicon, find_pairs(silicon, 5.0, (14,))).energies[0] == 0.0


def test_it_repels_more_the_closer_and_without_a_jump() -> None:
    distances = np.linspace(0.3, 1.8, 1501)
    results = [evaluate(pair(float(d))) for d in distances]
    energies = np.array([r.energies[0] for r in results])
    forces = np.array([-r.gradient[1, 0] for r in results])
    assert (np.diff(energies) <= 0).all()
    assert (forces >= 0).all()
    near = distances > 1.2
    assert np.abs(np.diff(forces[near])).max() < 1.0  # eV/Å per 0.001 Å: no jump at the switch
    assert evaluate(pair(1.0)).energies[0] > 20.0


def test_it_is_the_universal_potential_when_whole() -> None:
    # Ti–O at 1 Å: a = 0.8854·0.529177/(8^0.23 + 22^0.23) = 0.12871 Å, φ(7.770) = 0.018343
    a = 0.8854 * 0.529177210903 / (8**0.23 + 22**0.23)
    shares, decays = (0.18175, 0.50986, 0.28022, 0.02817), (3.1998, 0.94229, 0.4029, 0.20162)
    screening = sum(c * np.exp(-d / a) for c, d in zip(shares, decays, strict=True))
    expected = 14.399645478 * 8 * 22 * screening
    assert evaluate(pair(1.0)).energies[0] == pytest.approx(expected, rel=1e-9)


def test_too_short_a_cutoff_is_refused() -> None:
    batch = Batch.pack([pair(1.5)])
    with pytest.raises(InputError, match="reach"):
        TIO2.evaluate(batch, find_pairs(batch, 2.0, (8, 22)))


def test_json_round_trip() -> None:
    assert Repulsion.from_dict(TIO2.to_dict()) == TIO2
    with pytest.raises(InputError):
        Repulsion(("Si",), inner=0.9, outer=0.8)
