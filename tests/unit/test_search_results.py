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


def test_no_results_is_an_empty_list() -> None:
    assert rank([], search()) == []
    assert final_relaxations([], [], search()) == []
