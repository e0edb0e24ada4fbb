"""The comparison of searches: what is counted, what the numbers mean, what is done again."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT

from aga.bench.search.arms import ARMS, check_arms
from aga.bench.search.jobs import Job, Record, perform
from aga.bench.search.ledger import TOLERANCE, CountedCalculator, CountedEngine, Ended, Ledger
from aga.bench.search.measure import Comparison
from aga.bench.search.observer import Clock, Duplicates
from aga.bench.search.problems import PROBLEMS, find_problems, merged
from aga.bench.search.relaxing import ReferenceRelaxer
from aga.bench.search.results import ResultsFile
from aga.bench.search.statistics import median_until, plain_median, wilson
from aga.bench.search.summary import found_at, summarise
from aga.config import Settings
from aga.errors import InputError, SiteError
from aga.oracle.registry import build_oracle, check_oracle
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed


def test_wilson_is_that_of_the_textbook() -> None:
    """Agresti & Coull, Am. Stat. 52, 119 (1998): 0 of 20, 5 of 10; all of 20 by symmetry."""
    np.testing.assert_allclose(wilson(5, 10), (0.2366, 0.7634), atol=1e-4)
    np.testing.assert_allclose(wilson(0, 20), (0.0, 0.1611), atol=1e-4)
    np.testing.assert_allclose(wilson(20, 20), (0.8389, 1.0), atol=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_median_counts_those_that_never_succeed() -> None:
    """By hand: the survival curve falls by 1/n at each success, and none is censored before."""
    assert median_until([3, 1, 2]) == 2
    assert median_until([3, 1, 2, None]) == 2  # S: 3/4, then 1/2
    assert median_until([5, None, 1, None]) == 5
    assert median_until([1, None, None]) is None  # S stays at 2/3
    assert median_until([]) is None
    assert median_until([4]) == 4


def test_the_plain_median_leaves_away_what_is_unknown() -> None:
    assert plain_median([None, 3.0, 1.0]) == 2.0
    assert plain_median([None]) is None


class Reckoner(EMT):  # type: ignore[misc] # ASE is untyped
    """Counts by itself."""

    calls = 0

    def calculate(self, *args: Any, **options: Any) -> None:
        type(self).calls += 1
        super().calculate(*args, **options)


@pytest.fixture
def copper() -> Candidate:
    atoms = bulk("Cu", cubic=True, a=3.75)
    atoms.positions += np.random.default_rng(3).normal(0, 0.05, (4, 3))
    return Candidate.from_ase(atoms, name="copper")


def settings(**search: Any) -> Settings:
    return Settings.model_validate(
        {"search": {"composition": "Cu4", **search}, "oracle": {"engine": "emt"}}
    )


def relax(one: Candidate, ledger: Ledger, pressure: float = 0.0) -> Relaxed:
    calculator = CountedCalculator(Reckoner(), ledger, pressure)
    (found,) = ReferenceRelaxer(calculator, settings().search, ledger).relax([one])
    return found


def test_every_evaluation_is_counted_once(copper: Candidate) -> None:
    Reckoner.calls = 0
    ledger = Ledger(target=None, calls=1000, relaxations=10)
    found = relax(copper, ledger)
    assert found.reason == "converged"
    assert ledger.calls == Reckoner.calls == found.steps + 1  # the end is not evaluated again
    assert ledger.relaxations == 1
    assert ledger.lowest == pytest.approx(found.enthalpy_per_atom, abs=1e-12)
    assert [mark[2] for mark in ledger.marks] == sorted(
        (mark[2] for mark in ledger.marks), reverse=True
    )
    assert ledger.seconds > 0


def test_the_relaxation_ends_where_the_engine_s_own_does(copper: Candidate, tmp_path: Path) -> None:
    found = relax(copper, Ledger(target=None, calls=1000, relaxations=10))
    tree = settings()
    oracle = build_oracle(tree.oracle, tree.machine, {"Cu": 4})
    _, label = oracle.relax(copper, tmp_path, pressure=0.0)
    assert found.energy == pytest.approx(label.energy, abs=2e-3)
    assert found.max_force <= tree.search.relax_force


def test_a_run_ends_at_the_cap_and_not_one_call_later(copper: Candidate) -> None:
    ledger = Ledger(target=None, calls=3, relaxations=10)
    with pytest.raises(Ended):
        relax(copper, ledger)
    assert ledger.calls == 3
    ledger = Ledger(target=None, calls=1000, relaxations=0)
    with pytest.raises(Ended):
        relax(copper, ledger)
    assert (ledger.calls, ledger.relaxations) == (0, 0)


def test_a_run_ends_when_the_answer_is_found(copper: Candidate) -> None:
    whole = Ledger(target=None, calls=1000, relaxations=10)
    answer = relax(copper, whole).enthalpy_per_atom
    ledger = Ledger(target=answer, calls=1000, relaxations=10)
    with pytest.raises(Ended):
        relax(copper, ledger)
    assert ledger.calls < whole.calls
    assert ledger.lowest is not None
    assert ledger.lowest <= answer + TOLERANCE < ledger.marks[-2][2]


def test_the_enthalpy_is_what_counts(copper: Candidate) -> None:
    ledger = Ledger(target=None, calls=10, relaxations=1)
    calculator = CountedCalculator(EMT(), ledger, 0.1)
    calculator.calculate(copper.to_ase(), ["energy"], list(all_changes))
    energy = float(calculator.results["energy"])
    assert ledger.lowest == pytest.approx((energy + 0.1 * copper.volume) / 4)


def test_labels_and_final_relaxations_are_counted_too(copper: Candidate, tmp_path: Path) -> None:
    ledger = Ledger(target=0.0, calls=1, relaxations=1, ends=False)
    tree = settings()
    inner: Any = build_oracle(tree.oracle, tree.machine, {"Cu": 4})
    engine = CountedEngine(inner, ledger, 0.0)
    label = engine.label(copper, tmp_path)
    _, relaxed = engine.relax(copper, tmp_path, pressure=0.0)
    assert ledger.calls == label.evaluations + relaxed.evaluations > 2
    assert label.details["engine"] == "emt"


def test_duplicates_are_what_an_earlier_relaxation_found(copper: Candidate) -> None:
    ledger = Ledger(target=None, calls=1000, relaxations=10)
    found = relax(copper, ledger)
    turned = replace(found, candidate=copper.moved(found.candidate.positions + 0.3))
    turned = replace(
        turned, candidate=turned.candidate.moved(turned.candidate.positions, found.candidate.cell)
    )
    watch = Duplicates(settings().search)
    watch.see([found, turned, replace(found, reason="exploded")])
    assert (watch.relaxed, watch.known) == (2, 1)
    assert watch.rate == 0.5
    assert Duplicates(settings().search).rate is None


def test_the_clock_gives_inner_parts_to_the_outer_one() -> None:
    clock = Clock()
    with clock.part("relaxation"), clock.part("potential"):
        sum(range(1000))
    assert set(clock.parts) == {"relaxation"}
    assert clock.own >= 0
    assert clock.seconds > 0


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_that_ship_are_valid(name: str) -> None:
    for problem in (PROBLEMS[name], PROBLEMS[name].quick()):
        tree = Job(problem=problem, arm=ARMS["aga"], seed=3).settings()
        assert tree.search.seed == 3
        assert check_oracle(tree.oracle, tree.machine, tree.search.atom_counts()) == []
        assert problem.answer is not None
        assert problem.phase


def test_arms_differ_in_what_their_names_say() -> None:
    kept = {arm: Job(problem=PROBLEMS["si8"], arm=ARMS[arm], seed=0).settings() for arm in ARMS}
    default = Settings.model_validate({"search": {"composition": "Si8"}})
    whole = kept["aga-focal-uncertainty"]
    assert whole.search.acquisition == default.search.acquisition
    assert kept["aga-focal"].training == whole.training == default.training
    assert kept["aga-focal"].search.acquisition.kappa == 0
    assert kept["aga-focal"].search.acquisition.novelty_weight == 0
    assert kept["aga"].search == kept["aga-focal"].search
    assert kept["aga"].training.focal_gamma == 0
    assert kept["ga"] == kept["random"] == kept["ase-ga"]
    one_by_one = kept["aga-one-by-one"]
    assert one_by_one.search.acquisition.picks_per_iteration == 1
    assert one_by_one.search.acquisition.kappa == default.search.acquisition.kappa
    assert one_by_one.training == default.training


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no arm 'agaa'") as caught:
        check_arms(["agaa"])
    assert "did you mean aga" in str(caught.value.remedy)
    with pytest.raises(InputError, match="no problem 'si88'") as caught:
        find_problems(["si88"])
    assert "did you mean si8" in str(caught.value.remedy)
    assert [one.name for one in check_arms(["ga", "ga"])] == ["ga"]
    assert [one.name for one in find_problems([])] == list(PROBLEMS)


def test_an_arm_without_its_package_is_refused_before_anything_runs() -> None:
    with pytest.raises(SiteError, match="needs the package no_such_package") as caught:
        replace(ARMS["ase-ga"], package="no_such_package").check()
    assert "pip install" in str(caught.value.remedy)


def test_merging_keeps_what_is_not_named() -> None:
    below = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert merged(below, {"a": {"c": {"f": 4}}}) == {"a": {"b": 1, "c": {"d": 2, "f": 4}}, "e": 3}
    assert below == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def record(arm: str, seed: int, marks: list[list[float]], **facts: Any) -> Record:
    job = Job(problem=PROBLEMS["si8"], arm=ARMS[arm], seed=seed)
    return {
        "problem": "si8",
        "arm": arm,
        "seed": seed,
        "key": job.key(),
        "code": job.code(),
        "version": "0.1.0",
        "answer": -4.6296,
        "calls": 900,
        "relaxations": 60,
        "candidates": 60,
        "marks": marks,
        "lowest": marks[-1][2],
        "seconds": 9.0,
        "watching_seconds": 1.0,
        "overhead_ms_per_candidate": 2.0,
        "duplicate_rate": 0.1,
        "correlation": None,
        "failed": None,
        **facts,
    }


def test_rows_say_what_the_runs_did() -> None:
    records = [
        record("ga", 0, [[10, 1, -4.0], [200, 20, -4.6290]]),
        record("ga", 1, [[10, 1, -4.0], [400, 30, -4.62955]]),
        record("ga", 2, [[10, 1, -4.5]]),
        record("ase-ga", 0, [[1200, 90, -4.6295]]),
        record("aga", 0, [[50, 0, -4.62956]], calls=50),
        record("aga-focal-uncertainty", 0, [[40, 0, -4.62956]], correlation=0.9, calls=70),
    ]
    assert found_at(records[0], -4.6296) == (200, 20)
    assert found_at(records[2], -4.6296) is None
    ga, peer, ended, aga = summarise(records)
    assert (ga["seeds"], ga["successes"]) == (3, 2)
    assert (ga["median_reference_calls"], ga["median_relaxations"]) == (400, 30)
    assert ga["ratio_ase_ga"] == pytest.approx(3.0)
    assert peer["ratio_ase_ga"] == pytest.approx(1.0)
    assert (aga["median_reference_calls"], aga["median_total_calls"]) == (40, 70)
    assert aga["median_relaxations"] is None
    assert aga["ratio_ga"] == pytest.approx(10.0)
    assert aga["correlation"] == 0.9
    assert (ended["median_reference_calls"], ended["median_total_calls"]) == (50, None)


def test_only_the_whole_arm_goes_on_after_the_answer() -> None:
    easy = replace(PROBLEMS["cu-au"].quick(), answer=100.0)
    done = {
        name: perform(Job(problem=easy, arm=ARMS[name], seed=0), lambda _: None)
        for name in ("aga", "aga-focal-uncertainty")
    }
    assert (done["aga"]["calls"], done["aga"]["verdict"]) == (1, None)
    assert done["aga-focal-uncertainty"]["calls"] > 9
    assert done["aga-focal-uncertainty"]["verdict"] == "budget"


def test_without_an_answer_the_lowest_that_any_run_found_counts() -> None:
    records = [
        record("ga", 0, [[10, 1, -4.0], [20, 2, -4.3]], answer=None),
        record("random", 0, [[30, 3, -4.2995]], answer=None),
        record("ase-ga", 0, [[30, 3, -4.2]], answer=None),
    ]
    rows = {row["arm"]: row for row in summarise(records)}
    assert [rows[arm]["successes"] for arm in ("ga", "random", "ase-ga")] == [1, 1, 0]
    assert rows["ga"]["answer"] == -4.3


def test_finished_runs_are_not_done_again(tmp_path: Path) -> None:
    comparison = Comparison(problems=[PROBLEMS["si8"]], arms=[ARMS["ga"]], seeds=3)
    jobs = comparison.jobs()
    results = ResultsFile(tmp_path / "new")
    results.add(record("ga", 1, [[10, 1, -4.0]]))
    with results.path.open("a", encoding="utf-8") as stream:
        stream.write('{"problem": "si8", "ar')  # cut off by an interruption
    again = ResultsFile(tmp_path / "new")
    assert [job.seed for job in again.missing(jobs)] == [0, 2]
    assert [found["seed"] for found in again.of(jobs)] == [1]
    again.add(record("ga", 0, [[10, 1, -4.0]]))
    lines = again.path.read_text("utf-8").splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [1, 0]
    # Another cap is another run, and so is a quick one; the cap of the direct arms is no other's.
    for changed in (replace(comparison, cap=7), replace(comparison, quick=True)):
        assert len(again.missing(changed.jobs())) == 3
    aga = Job(problem=PROBLEMS["si8"], arm=ARMS["aga"], seed=0)
    assert aga.key() == replace(aga, problem=replace(aga.problem, calls=7)).key()


def test_direct_arms_of_easy_problems_run_more_often_unless_asked() -> None:
    asked = Comparison(
        problems=[PROBLEMS["si8"], PROBLEMS["tio2-4"]], arms=[ARMS["ga"], ARMS["aga"]]
    )

    def runs(comparison: Comparison) -> Counter[tuple[str, str]]:
        return Counter((job.problem.name, job.arm.name) for job in comparison.jobs())

    assert runs(asked) == {
        ("si8", "ga"): 20,
        ("si8", "aga"): 20,
        ("tio2-4", "ga"): 100,
        ("tio2-4", "aga"): 20,
    }
    assert set(runs(replace(asked, seeds=3)).values()) == {3}
    assert set(runs(replace(asked, quick=True)).values()) == {20}


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text("hello\n", "utf-8")
    with pytest.raises(InputError, match=r"runs\.jsonl:1: not a record"):
        ResultsFile(tmp_path)
