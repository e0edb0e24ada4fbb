from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from aga.config import SearchSettings
from aga.search.convergence import (
    BestStructure,
    IterationRecord,
    Verdict,
    assess,
    record_iteration,
)
from aga.search.individual import Individual, Known
from aga.structure.candidate import FloatArray

MakeIndividual = Callable[..., Individual]
MakeKnown = Callable[..., Known]
FingerprintAt = Callable[..., FloatArray]


def search(**convergence: object) -> SearchSettings:
    return SearchSettings(
        composition="Si8",
        convergence={"stable_iterations": 2, **convergence},
        budget={"reference_calls": 100, "iterations": 10, "wall_time": 5.0},
    )


def record(
    iteration: int,
    *enthalpies: float,
    spread: float | None = 0.005,
    unlabelled: float | None = None,
    error: float | None = None,
    trusted: int | None = 7,
) -> IterationRecord:
    return IterationRecord(
        iteration=iteration,
        best=tuple(
            BestStructure(name=f"x{k}", enthalpy_per_atom=e, energy_spread=spread)
            for k, e in enumerate(enthalpies)
        ),
        lowest_unlabelled=unlabelled,
        reference_calls=10 * iteration,
        pick_error=error,
        trusted=trusted,
    )


def verdict(
    history: Sequence[IterationRecord],
    settings: SearchSettings | None = None,
    *,
    calls: int = 50,
    hours: float = 1.0,
) -> Verdict:
    return assess(history, settings or search(), calls=calls, hours=hours)


STABLE = [record(k, -4.63) for k in range(3)]


def test_stable_agreed_and_nothing_lower_is_converged() -> None:
    found = verdict(STABLE)
    assert found.state == "converged"
    assert "-4.63000" in found.reason
    assert "2 iterations" in found.reason
    assert found.evidence["drift"] == pytest.approx(0.0)
    json.dumps(found.evidence, allow_nan=False)


def test_a_committee_that_can_be_trusted_with_nothing_has_not_looked() -> None:
    found = verdict([*STABLE[:2], record(2, -4.63, trusted=0)])
    assert found.state == "continue"
    assert "not be trusted with a single relaxation" in found.reason
    before_it_was_counted = IterationRecord.from_dict(
        {key: value for key, value in STABLE[-1].to_dict().items() if key != "trusted"}
    )
    assert verdict([*STABLE[:2], before_it_was_counted]).state == "converged"


def test_no_change_has_to_last() -> None:
    found = verdict(STABLE[:2])
    assert found.state == "continue"
    assert "2 without change are needed" in found.reason


@pytest.mark.parametrize(("earlier", "state"), [(-4.6285, "converged"), (-4.627, "continue")])
def test_changes_within_the_tolerance_are_none(earlier: float, state: str) -> None:
    found = verdict([record(0, earlier), record(1, -4.63), record(2, -4.63)])
    assert found.state == state
    if state == "continue":
        assert "changed by 3.0 meV/atom" in found.reason


def test_a_slow_descent_is_a_change() -> None:
    # 1.5 meV/atom per iteration, each within the tolerance of 2
    found = verdict([record(0, -4.627), record(1, -4.6285), record(2, -4.630)])
    assert found.state == "continue"


def test_old_changes_are_forgotten() -> None:
    assert verdict([record(0, -4.0), *[record(k, -4.63) for k in (1, 2, 3)]]).state == "converged"


@pytest.mark.parametrize(("spread", "words"), [(0.03, "30.0 meV"), (None, "not been asked")])
def test_a_committee_that_disagrees_or_was_not_asked_prevents_it(
    spread: float | None, words: str
) -> None:
    found = verdict([*STABLE[:2], record(2, -4.63, spread=spread)])
    assert found.state == "continue"
    assert words in found.reason


@pytest.mark.parametrize(("unlabelled", "state"), [(-4.631, "converged"), (-4.635, "continue")])
def test_a_lower_prediction_prevents_it(unlabelled: float, state: str) -> None:
    found = verdict([*STABLE[:2], record(2, -4.63, unlabelled=unlabelled)])
    assert found.state == state
    if state == "continue":
        assert "5.0 meV/atom lower" in found.reason


def test_every_one_of_several_best_structures_counts() -> None:
    history = [record(k, -4.63, -4.5 - 0.01 * k) for k in range(3)]
    assert verdict(history, search(best_structures=2)).state == "continue"
    history = [record(0, -4.63), record(1, -4.63, -4.5), record(2, -4.63, -4.5)]
    assert verdict(history, search(best_structures=2)).state == "continue"


@pytest.mark.parametrize(
    ("calls", "iteration", "hours", "words"),
    [
        (100, 3, 1.0, "100 of 100 reference calls"),
        (50, 10, 1.0, "10 of 10 iterations"),
        (50, 3, 5.5, "5.50 of 5 hours"),
    ],
)
def test_a_spent_budget_ends_the_search(
    calls: int, iteration: int, hours: float, words: str
) -> None:
    history = [record(k, -4.0 - 0.05 * k) for k in range(iteration + 1)]
    found = verdict(history, calls=calls, hours=hours)
    assert found.state == "budget"
    assert words in found.reason


def test_just_within_the_budget_goes_on() -> None:
    assert (
        verdict([record(k, -4.0 - 0.1 * k) for k in range(10)], calls=99, hours=4.9).state
        == "continue"
    )


def test_without_a_limit_time_does_not_matter() -> None:
    settings = SearchSettings(composition="Si8")
    assert verdict([record(1, -4.6)], settings, hours=1e6).state == "continue"


def test_convergence_goes_before_the_budget() -> None:
    assert verdict(STABLE, calls=1000).state == "converged"


@pytest.mark.parametrize(("best", "state"), [(-4.629, "converged"), (-4.627, "continue")])
def test_the_target_ends_a_benchmark_at_once(best: float, state: str) -> None:
    found = verdict([record(1, best, spread=0.5)], search(target_energy_per_atom=-4.6286))
    assert found.state == state
    assert ("target" in found.reason) is (state == "converged")


def test_a_search_without_labels_goes_on_until_the_budget_is_spent() -> None:
    assert verdict([]).state == "continue"
    assert verdict([record(0)]).state == "continue"
    assert verdict([], calls=100).state == "budget"


def test_records_survive_json() -> None:
    one = record(2, -4.63, -4.5, unlabelled=-4.6)
    assert IterationRecord.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_a_record_holds_the_best_distinct_and_the_lowest_unlabelled(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    labelled = [
        make_known("second", -4.5, fingerprint=fingerprint_at(0.5)),
        make_known("best", -4.60),
        make_known("twin of best", -4.59, fingerprint=fingerprint_at(0.005)),
    ]
    relaxed = [
        make_individual("known", -4.9),
        make_individual("new", -4.55, fingerprint=fingerprint_at(0.5, 3)),
        make_individual("hole", -9.0, reason="untrusted", fingerprint=fingerprint_at(0.5, 4)),
        make_individual("unsure", -9.0, spread=2.0, fingerprint=fingerprint_at(0.5, 5)),
    ]
    got = record_iteration(
        3,
        labelled,
        relaxed,
        {"best": 0.01},
        search(best_structures=2),
        reference_calls=42,
    )
    assert [b.name for b in got.best] == ["best", "second"]
    assert [b.energy_spread for b in got.best] == [0.01, None]
    assert got.lowest_unlabelled == pytest.approx(-4.55)
    assert (got.iteration, got.reference_calls) == (3, 42)


def test_a_potential_that_mispredicts_its_own_picks_has_not_converged() -> None:
    rule = search(stable_iterations=3)
    history = [record(k, -4.6, error=0.1) for k in range(4)]
    got = verdict(history, rule)
    assert got.state == "continue"
    assert "mispredicted by 100 meV/atom" in got.reason
    # one lucky iteration tells nothing: the median of the stable ones does
    history.append(record(4, -4.6, error=0.02))
    assert "mispredicted by 100 meV/atom" in verdict(history, rule).reason
    history.append(record(5, -4.6, error=0.02))
    got = verdict(history, rule)
    assert got.state == "converged"
    assert got.evidence["pick_error"] == 0.02
    # nor does one unlucky iteration, nor one without picks
    history += [record(6, -4.6), record(7, -4.6, error=0.02), record(8, -4.6, error=0.02)]
    assert verdict([*history, record(9, -4.6, error=0.2)], rule).state == "converged"


def test_the_error_of_a_record_is_the_median_and_survives_storage() -> None:
    made = record_iteration(1, [], [], {}, search(), reference_calls=9, errors=[0.01, 0.9, 0.03])
    assert made.pick_error == 0.03
    assert IterationRecord.from_dict(made.to_dict()) == made
    assert record_iteration(1, [], [], {}, search(), reference_calls=9).pick_error is None
