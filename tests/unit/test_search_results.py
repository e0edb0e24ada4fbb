from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase.build import bulk

from aga.config import SearchSettings
from aga.search.individual import Individual, Known
from aga.search.results import Finalist, final_relaxations, rank
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.protocols import Label
from aga.structure.symmetry import space_group

MakeIndividual = Callable[..., Individual]
MakeKnown = Callable[..., Known]
FingerprintAt = Callable[..., FloatArray]


def search(**changes: object) -> SearchSettings:
    return SearchSettings(composition="Si8", **changes)


def names(finalists: list[Finalist]) -> list[str]:
    return [one.candidate.name for one in finalists]


def test_labelled_and_predicted_compete(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    labelled = [
        make_known(f"k{k}", -4.6 + 0.1 * k, fingerprint=fingerprint_at(0.5, k + 1))
        for k in range(4)
    ]
    predicted = [
        make_individual("better", -4.7, fingerprint=fingerprint_at(0.7, 6)),
        make_individual("worse", -4.0, fingerprint=fingerprint_at(0.7, 7)),
    ]
    chosen = final_relaxations(labelled, predicted, search(final_relaxations=4))
    assert names(chosen) == ["better", "k0", "k1", "k2"]
    assert [f.basis for f in chosen] == ["predicted", "labelled", "labelled", "labelled"]


def test_predictions_get_half_of_the_places_at_most(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    labelled = [
        make_known(f"k{k}", -4.0 + 0.1 * k, fingerprint=fingerprint_at(0.5, k + 1))
        for k in range(5)
    ]
    predicted = [
        make_individual(f"p{k}", -5.0 + 0.1 * k, fingerprint=fingerprint_at(0.7, k + 1))
        for k in range(5)
    ]
    chosen = final_relaxations(labelled, predicted, search(final_relaxations=5))
    assert names(chosen) == ["p0", "p1", "k0", "k1", "k2"]
    # with few labels they fill what would be empty
    chosen = final_relaxations(labelled[:1], predicted, search(final_relaxations=5))
    assert names(chosen) == ["p0", "p1", "p2", "p3", "k0"]


def test_a_label_goes_before_a_prediction_of_the_same_structure(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    predicted = [
        make_individual("again", -9.0),
        make_individual("hole", -9.0, reason="untrusted", fingerprint=fingerprint_at(0.5)),
    ]
    chosen = final_relaxations([make_known("known", -4.6)], predicted, search())
    assert names(chosen) == ["known"]


def silicon(name: str, a: float = 5.43) -> Candidate:
    return Candidate.from_ase(
        bulk("Si", cubic=True, a=a), name=name, lineage=Lineage(operator="rattle", generation=3)
    )


def label(energy: float) -> Label:
    return Label(energy=energy, forces=np.zeros((8, 3)))


def test_results_are_ranked_named_and_merged() -> None:
    grid = np.array(np.meshgrid(*[[0.0, 0.5]] * 3)).reshape(3, -1).T * 5.1
    cubic = Candidate(name="g001-002", numbers=[14] * 8, positions=grid, cell=np.eye(3) * 5.1)
    pairs = [
        (cubic, label(-34.0)),
        (silicon("g003-001"), label(-37.03)),
        (silicon("g002-009", 5.431), label(-37.02)),
    ]
    results = rank(pairs, search())
    assert [r.candidate.name for r in results] == ["r000-g003-001", "r001-g001-002"]
    best = results[0]
    assert best.rank == 0
    assert best.twins == ("g002-009",)
    assert best.energy_per_atom == pytest.approx(-37.03 / 8)
    assert best.space_group.number == 227
    assert best.candidate.lineage == Lineage(
        operator="reference_relaxation", parents=("g003-001",), generation=3
    )


def test_one_form_of_another_energy_is_another_result() -> None:
    pairs = [(silicon("a"), label(-37.0)), (silicon("b"), label(-36.0))]
    assert len(rank(pairs, search())) == 2


def test_under_pressure_enthalpy_ranks() -> None:
    # 100 GPa = 0.624 eV/Å³: 1 Å³ less is worth 0.62 eV
    loose, dense = silicon("loose", 5.43), silicon("dense", 4.9)
    pairs = [(loose, label(-37.0)), (dense, label(-20.0))]
    assert rank(pairs, search())[0].candidate.name == "r000-loose"
    results = rank(pairs, search(pressure=100.0))
    assert results[0].candidate.name == "r000-dense"
    expected = (-20.0 + 100.0 / 160.21766 * 4.9**3) / 8
    assert results[0].enthalpy_per_atom == pytest.approx(expected)
    assert results[0].energy_per_atom == pytest.approx(-2.5)


def test_degenerate_polytypes_are_results_of_their_own() -> None:
    # wurtzite's sites with silicon on both: hexagonal diamond, of one energy with the cubic one
    atoms = bulk("ZnS", "wurtzite", a=3.84, c=6.27)
    atoms.set_chemical_symbols(["Si"] * 4)
    hexagonal = Candidate.from_ase(atoms * (2, 1, 1), name="hexagonal")
    results = rank([(silicon("cubic"), label(-37.0)), (hexagonal, label(-37.0))], search())
    assert [r.space_group.number for r in results] == [227, 194]


def test_results_are_symmetrised_where_that_costs_nothing() -> None:
    atoms = bulk("Si", cubic=True, a=5.43)
    atoms.rattle(0.002, seed=0)
    near = Candidate.from_ase(atoms, name="near")
    (result,) = rank([(near, label(-37.0))], search())
    assert result.space_group.number == 227
    assert result.symmetrised is not None
    assert len(result.symmetrised) == 8
    assert space_group(result.symmetrised, 1e-5).number == 227
    assert result.candidate.positions == pytest.approx(near.positions), "stays as it was relaxed"
    atoms.rattle(0.01, seed=1)
    loose = search(symmetry_tolerance=0.2)
    (far,) = rank([(Candidate.from_ase(atoms, name="far"), label(-37.0))], loose)
    assert far.space_group.number == 227, "at the loose tolerance"
    assert far.space_group_strict.number != 227
    assert far.symmetrised is not None
    own = space_group(far.symmetrised, 1e-5).number
    assert own == far.space_group_strict.number, "the cubic cell would cost some meV"


def test_no_results_is_an_empty_list() -> None:
    assert rank([], search()) == []
    assert final_relaxations([], [], search()) == []
