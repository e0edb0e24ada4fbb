"""The ASE calculator on crystals, slabs, chains and clusters, in molecular dynamics, copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

from aga.config.load import settings_from_dict
from aga.errors import InputError, ModelError, StructureError
from aga.potential.atoms import predict_many
from aga.potential.calculator import CommitteeCalculator
from aga.potential.committee import NetworkCommittee
from aga.potential.model import Model
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

Make = Callable[..., Model]


@pytest.fixture(scope="module")
def committee(make_member: Make) -> NetworkCommittee:
    return NetworkCommittee([make_member(seed) for seed in range(3)])


@pytest.fixture
def calculator(committee: NetworkCommittee) -> CommitteeCalculator:
    return CommitteeCalculator(committee)


def cluster() -> Atoms:
    """Six atoms far from the origin, without a cell."""
    positions = np.array(
        [[0, 0, 0], [1.9, 0, 0], [0, 2.0, 0.1], [0.2, 0.1, 1.95], [2.1, 1.9, 0.3], [1.8, 0.2, 2.2]]
    )
    return Atoms("TiO2TiO2", positions + np.array([7.0, -30.0, 100.0]))


def slab(*, vacuum: float | None = None) -> Atoms:
    """Two rattled skewed layers, periodic along a and b alone."""
    atoms = fcc111("Ti", (2, 1, 2), a=4.1, vacuum=vacuum, orthogonal=False)
    atoms.rattle(0.1, seed=2)
    atoms.symbols[1::2] = "O"
    atoms.pbc = (True, True, False)
    return atoms


def chain() -> Atoms:
    atoms = Atoms("TiOTi", [[0, 0, 0], [0.3, 1.1, 1.7], [0.4, -0.2, 3.3]], pbc=(False, True, False))
    atoms.cell[1] = [0.5, 0.7, 4.9]
    return atoms


def crystal() -> Atoms:
    atoms = bulk("TiO", "rocksalt", a=4.3)
    atoms.set_cell(
        atoms.cell + 0.2 * np.random.default_rng(1).normal(size=(3, 3)), scale_atoms=True
    )
    return atoms


def in_a_box(atoms: Atoms, lengths: dict[int, float]) -> Atoms:
    """The same atoms in a cell periodic in three directions, long along the axes named."""
    boxed = atoms.copy()
    free = np.linalg.svd(atoms.cell[atoms.pbc], full_matrices=True)[2][atoms.pbc.sum() :]
    for row, (axis, length) in zip(free, lengths.items(), strict=True):
        boxed.cell[axis] = row * length
    boxed.pbc = True
    return boxed


@pytest.mark.parametrize(
    ("atoms", "lengths"),
    [
        (cluster(), {0: 16.0, 1: 15.0, 2: 17.0}),
        (slab(), {2: 14.0}),
        (slab(vacuum=1.0), {2: 14.0}),  # a cell too short for the cutoff: must not matter
        (chain(), {0: 15.0, 2: 16.0}),
    ],
    ids=["cluster", "slab", "slab in a short cell", "chain"],
)
def test_open_directions_are_a_box_with_vacuum(
    atoms: Atoms, lengths: dict[int, float], calculator: CommitteeCalculator
) -> None:
    """The cutoff is 4 Å and no structure is thicker than 5 Å."""
    atoms.calc, boxed = calculator, in_a_box(atoms, lengths)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    shares, spreads = atoms.get_potential_energies(), calculator.results["forces_spread"]
    boxed.calc = calculator
    assert energy == pytest.approx(boxed.get_potential_energy(), rel=1e-13)
    np.testing.assert_allclose(forces, boxed.get_forces(), atol=1e-12)
    np.testing.assert_allclose(shares, boxed.get_potential_energies(), rtol=1e-12)
    np.testing.assert_allclose(spreads, calculator.results["forces_spread"], atol=1e-12)
    assert np.abs(forces).max() > 0.05
    periodic = atoms.copy()
    periodic.pbc = True
    if atoms.cell.rank == 3:  # its own images do meet it
        periodic.calc = calculator
        assert abs(periodic.get_potential_energy() - energy) > 1e-3


@pytest.mark.parametrize(
    "atoms", [cluster(), slab(), chain(), crystal()], ids=["cluster", "slab", "chain", "crystal"]
)
def test_forces_are_minus_the_slope_of_the_energy(
    atoms: Atoms, calculator: CommitteeCalculator
) -> None:
    atoms.calc, h = calculator, 1e-5
    forces = atoms.get_forces()
    for atom in range(len(atoms)):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[atom, axis] += sign * h
                moved.calc = calculator
                energies.append(moved.get_potential_energy())
            slope = (energies[0] - energies[1]) / (2 * h)
            assert forces[atom, axis] == pytest.approx(-slope, abs=2e-6)


@pytest.mark.parametrize("atoms", [slab(vacuum=3.0), crystal()], ids=["slab", "crystal"])
def test_stress_is_the_strain_derivative_over_the_volume_of_the_own_cell(
    atoms: Atoms, calculator: CommitteeCalculator
) -> None:
    atoms.calc, h = calculator, 1e-5
    stress = atoms.get_stress(voigt=False)
    for a in range(3):
        for b in range(3):
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * h
                moved = atoms.copy()
                moved.set_cell(atoms.cell @ strain.T, scale_atoms=True)
                moved.calc = calculator
                energies.append(moved.get_potential_energy())
            slope = (energies[0] - energies[1]) / (2 * h) / atoms.get_volume()
            assert stress[a, b] == pytest.approx(slope, rel=1e-7, abs=1e-6)


def test_without_a_volume_there_is_no_stress(calculator: CommitteeCalculator) -> None:
    for atoms in (cluster(), chain(), slab()):
        atoms.calc = calculator
        atoms.get_potential_energy()
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_stress()


def test_results_are_the_committees(
    calculator: CommitteeCalculator, committee: NetworkCommittee
) -> None:
    atoms = crystal()
    atoms.calc = calculator
    atoms.get_potential_energy()
    (said,) = committee.predict([Candidate.from_ase(atoms, name="c")])
    results = calculator.results
    assert set(results) == {
        *("energy", "free_energy", "energies", "forces", "stress"),
        *("energy_spread", "forces_spread", "force_spread"),
    }
    for key in ("energy", "energies", "forces", "stress", "energy_spread", "forces_spread"):
        np.testing.assert_array_equal(results[key], getattr(said, key), err_msg=key)
    assert results["energies"].sum() == pytest.approx(results["energy"], rel=1e-12)
    assert results["force_spread"] == results["forces_spread"].max()


@pytest.mark.parametrize("make", [crystal, cluster, lambda: slab(vacuum=2.0)])
def test_without_the_spread_of_the_forces_the_rest_is_the_same(
    make: Callable[[], Atoms], committee: NetworkCommittee, calculator: CommitteeCalculator
) -> None:
    atoms, quick = make(), CommitteeCalculator(committee, forces_spread=False)
    atoms.calc = calculator
    atoms.get_forces()
    whole = calculator.results
    atoms.calc = quick
    np.testing.assert_allclose(atoms.get_forces(), whole["forces"], atol=1e-12)
    assert set(quick.results) == set(whole) - {"energies", "forces_spread", "force_spread"}
    for key in quick.results:
        np.testing.assert_allclose(quick.results[key], whole[key], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(atoms.get_potential_energies(), whole["energies"], rtol=1e-12)
    assert "force_spread" not in quick.results
    atoms.symbols[0] = "Xe"
    with pytest.raises(StructureError, match="Xe"):
        atoms.get_potential_energy()


def md_atoms() -> Atoms:
    """A crystal near a minimum of the made-up potential: forces stay moderate."""
    atoms = bulk("TiO", "rocksalt", a=4.3) * (2, 1, 1)
    atoms.rattle(0.02, seed=4)
    return atoms


def drift(calculator: CommitteeCalculator, step: float) -> float:
    """Give the largest deviation in eV of the total energy over 60 fs in steps of these fs."""
    atoms = md_atoms()
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(3))
    run = VelocityVerlet(atoms, timestep=step * units.fs)
    energies: list[float] = []
    run.attach(lambda: energies.append(atoms.get_total_energy()))
    run.run(round(60 / step))
    kinetic = atoms.get_kinetic_energy()
    assert kinetic > 0.01
    return float(np.abs(np.array(energies) - energies[0]).max())


def test_molecular_dynamics_conserves_energy_the_better_the_shorter_the_step(
    calculator: CommitteeCalculator,
) -> None:
    """Velocity Verlet errs by the square of the step where forces are the energy's slope."""
    long, short = drift(calculator, 1.0), drift(calculator, 0.5)
    assert long < 2e-3
    assert 3.0 < long / short < 5.0


def test_langevin_runs(calculator: CommitteeCalculator) -> None:
    atoms = md_atoms()
    atoms.calc = calculator
    rng = np.random.default_rng(5)
    Langevin(atoms, 0.5 * units.fs, temperature_K=300, friction=0.02, rng=rng, fixcm=False).run(20)
    assert np.isfinite(atoms.get_total_energy())


def test_copies_share_no_results(calculator: CommitteeCalculator) -> None:
    atoms = crystal()
    atoms.calc = calculator
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.get_forces()[:] = 7.0
    np.testing.assert_array_equal(atoms.get_forces(), forces)
    for other in (copy.deepcopy(calculator), pickle.loads(pickle.dumps(calculator))):  # noqa: S301 - own
        assert other.results["energy"] == energy
        twin = atoms.copy()
        twin.calc = other
        twin.rattle(0.05, seed=1)
        assert twin.get_potential_energy() != energy
        assert calculator.results["energy"] == energy
        twin.positions[:] = atoms.positions
        assert twin.get_potential_energy() == energy
    later = atoms.get_forces()
    np.testing.assert_array_equal(later, forces)


def test_members_come_from_files(
    make_member: Make, calculator: CommitteeCalculator, tmp_path: Path
) -> None:
    files = [tmp_path / f"member-{seed}.safetensors" for seed in range(3)]
    for seed, file in enumerate(files):
        file.write_bytes(make_member(seed).to_bytes())
    atoms = crystal()
    atoms.calc = calculator
    energy, spread = atoms.get_potential_energy(), calculator.results["energy_spread"]
    atoms.calc = CommitteeCalculator.from_files(files)
    assert atoms.get_potential_energy() == energy
    assert atoms.calc.results["energy_spread"] == spread
    big = atoms * (3, 3, 3)
    big.rattle(0.05, seed=1)
    big.calc = calculator
    energy = big.get_potential_energy()
    big.calc = CommitteeCalculator.from_files(files, threads=2)
    assert big.get_potential_energy() == pytest.approx(energy, rel=1e-12)
    again = big.copy()
    again.calc = pickle.loads(pickle.dumps(big.calc))  # noqa: S301 - own
    again.calc.results.clear()
    assert again.get_potential_energy() == big.get_potential_energy()
    atoms.calc = CommitteeCalculator.from_files(str(files[0]))
    atoms.get_potential_energy()
    assert atoms.calc.results["energy_spread"] == 0.0
    files[1].write_bytes(files[1].read_bytes()[:-8])
    with pytest.raises(ModelError, match=r"member-1\.safetensors: .*truncated"):
        CommitteeCalculator.from_files(files)
    with pytest.raises(InputError, match=r"none\.safetensors: No such file"):
        CommitteeCalculator.from_files(tmp_path / "none.safetensors")
    files[1].write_bytes(make_member(1, ("Si",)).to_bytes())
    with pytest.raises(ModelError, match="member 1 does not fit"):
        CommitteeCalculator.from_files(files)
    with pytest.raises(ModelError, match="at least one"):
        CommitteeCalculator.from_files([])


def flat(atoms: Atoms) -> None:
    atoms.cell[2] = atoms.cell[0] - atoms.cell[1]


def missing(atoms: Atoms) -> None:
    atoms.cell[1] = 0.0


def on_one_point(atoms: Atoms) -> None:
    atoms.positions[1] = atoms.positions[0] + atoms.cell[0] - 2 * atoms.cell[2]


def not_a_number(atoms: Atoms) -> None:
    atoms.positions[1, 2] = np.nan


def infinite_cell(atoms: Atoms) -> None:
    atoms.cell[0, 0] = np.inf


def strange(atoms: Atoms) -> None:
    atoms.symbols[1] = "Xe"


def empty(atoms: Atoms) -> None:
    del atoms[:]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (flat, "OTi: the cell has no volume"),
        (missing, "OTi: is periodic along b, but this lattice vector is missing"),
        (on_one_point, "OTi: two atoms stand on one point"),
        (not_a_number, r"OTi: the position of atom 1 \(O\) is not finite"),
        (infinite_cell, "OTi: the cell is not finite"),
        (strange, "TiXe: the potential has no network for Xe, only for O, Ti"),
        (empty, "has no atoms"),
    ],
)
def test_nonsense_is_named_and_gives_no_number(
    spoil: Callable[[Atoms], None], told: str, calculator: CommitteeCalculator
) -> None:
    atoms = crystal()
    atoms.calc = calculator
    atoms.get_potential_energy()  # what is known of the sound structure must not be given
    spoil(atoms)
    for _ in range(2):
        with pytest.raises((StructureError, ModelError), match=told):
            atoms.get_potential_energy()
        assert calculator.results == {}


def test_many_structures_are_predicted_in_their_order(
    committee: NetworkCommittee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aga.potential.atoms._CHUNK", 5)
    images = [crystal() for _ in range(7)]
    for number, image in enumerate(images):
        image.rattle(0.05, seed=number)
    candidates = [Candidate.from_ase(image, name=str(n)) for n, image in enumerate(images)]
    apart = [committee.predict([candidate])[0].energy for candidate in candidates]
    together = [said.energy for said in predict_many(committee, candidates)]
    np.testing.assert_allclose(together, apart, rtol=1e-13)
    images[5].positions[1] = images[5].positions[0]
    candidates[5] = Candidate.from_ase(images[5], name="5")
    with pytest.raises(StructureError, match="5: two atoms") as caught:
        predict_many(committee, candidates)
    assert caught.value.facts["index"] == 5
    assert predict_many(committee, []) == []


def test_atoms_of_a_cluster_on_one_point_are_refused(calculator: CommitteeCalculator) -> None:
    atoms = cluster()
    atoms.positions[3] = atoms.positions[4]
    atoms.calc = calculator
    with pytest.raises(StructureError, match="two atoms stand on one point"):
        atoms.get_forces()


@pytest.mark.parametrize("kind", ["deep_smooth", "deep_local_frame"])
def test_other_descriptors_are_as_good(kind: str, tmp_path: Path) -> None:
    """Open directions, exact forces, files and copies of members of every kind."""
    frames = []
    for seed in range(8):
        atoms = bulk("TiO", "rocksalt", a=4.3)
        atoms.rattle(0.1, seed=seed)
        found = Candidate.from_ase(atoms, name=str(seed))
        energy = float(((atoms.positions[1] - atoms.positions[0] - 2.15) ** 2).sum())
        frames.append(Frame(candidate=found, energy=energy, forces=None))
    settings = settings_from_dict(
        {
            "search": {"composition": "TiO"},
            "potential": {"descriptor": kind, "cutoff": 4.0, "hidden": [6]},
            "training": {"passes": 4, "validation_fraction": 0},
        }
    )
    files = [tmp_path / f"{member}.safetensors" for member in range(2)]
    for member, file in enumerate(files):
        file.write_bytes(
            fit_member(frames, Recipe.of_search(settings, seed=1), member=member).model.to_bytes()
        )
    calculator = CommitteeCalculator.from_files(files)
    atoms, boxed = slab(), in_a_box(slab(), {2: 14.0})
    atoms.calc, boxed.calc = calculator, pickle.loads(pickle.dumps(calculator))  # noqa: S301 - own
    assert atoms.get_potential_energy() == pytest.approx(boxed.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), boxed.get_forces(), atol=1e-10)
    assert calculator.results["energies"].sum() == pytest.approx(calculator.results["energy"])
    assert calculator.results["forces_spread"].max() == calculator.results["force_spread"] > 0
    step, energies = np.random.default_rng(2).normal(size=(4, 3)), []
    slope = -(atoms.get_forces() * step).sum()
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions += sign * 1e-5 * step
        moved.calc = calculator
        energies.append(moved.get_potential_energy())
    assert (energies[0] - energies[1]) / 2e-5 == pytest.approx(slope, rel=1e-7, abs=1e-6)
