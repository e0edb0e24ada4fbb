"""Which steps of a relaxation are as good as labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from aga.oracle.path import path_points
from aga.oracle.rounds import (
    End,
    Step,
    Walk,
    best_end,
    best_step,
    borne_out,
    steps_before,
    walked,
)
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label

START = Candidate.from_ase(bulk("Si", a=5.4), name="g001-003")


def output(energy: float = -9.0, force: float = 0.0, stress: float = 0.0) -> Output:
    return Output(
        energy=energy,
        forces=np.array([[force, 0, 0], [-force, 0, 0]]),
        stress=np.array([stress, 0, 0, 0, 0, 0]),
    )


def step(stretch: float, said: Output) -> Step:
    moved = START.moved(stretch * START.positions, stretch * START.cell)
    return Step(candidate=moved, output=said)


def fresh(said: Output) -> Label:
    assert said.energy is not None
    assert said.forces is not None
    return Label(energy=said.energy, forces=said.forces, stress=said.stress)


HISTORY = (step(1.0, output(-8.0, 2.0)), step(1.02, output(-8.9)), step(1.03, output(-9.0)))


def walk(history: tuple[Step, ...] = HISTORY) -> Walk:
    return walked(START, np.eye(3), history, history[-1], len(history))


def test_a_round_that_its_single_point_bears_out() -> None:
    assert borne_out(walk(), fresh(output(-9.0)))
    assert borne_out(walk(), fresh(output(-9.003, 0.01)))
    assert [one.output.energy for one in steps_before(walk())] == [-8.0, -8.9]


@pytest.mark.parametrize(
    "said", [output(-9.005), output(force=0.03), output(stress=0.002)], ids=str
)
def test_a_round_of_another_basis_is_not_believed(said: Output) -> None:
    assert not borne_out(walk(), fresh(said))


def test_the_best_is_judged_even_where_the_program_says_it_twice() -> None:
    """pw.x ends with a single point of its own, in the right basis; its steps are in another."""
    twice = (*HISTORY, replace(HISTORY[-1], output=output(-9.02)))
    assert not borne_out(walk(twice), fresh(output(-9.02)))
    assert len(steps_before(walk(twice))) == 2


def test_a_round_without_its_best_is_not_believed() -> None:
    assert not borne_out(replace(walk(), steps=HISTORY[:2]), fresh(output(-9.0)))
    assert not borne_out(replace(walk(), steps=()), fresh(output(-9.0)))


def test_a_walk_is_told_in_the_cell_that_was_given() -> None:
    operation = np.array([[1.0, 0, 0], [1, 1, 0], [0, -1, 1]])
    reduced = tuple(
        replace(one, candidate=one.candidate.moved(one.candidate.positions, operation @ cell))
        for one in HISTORY
        for cell in [one.candidate.cell]
    )
    found = walked(START, operation, reduced, best_step(reduced, 0.0, arrived=True), 3)
    assert found.evaluations == 3
    for one, other in zip(found.steps, HISTORY, strict=True):
        np.testing.assert_allclose(one.candidate.cell, other.candidate.cell, atol=1e-12)
        np.testing.assert_array_equal(one.candidate.positions, other.candidate.positions)
        assert one.output is other.output
    np.testing.assert_allclose(found.best.cell, HISTORY[-1].candidate.cell, atol=1e-12)


def test_steps_that_no_label_could_be_are_no_points() -> None:
    good = output(-8.0, 2.0)
    bad = [
        output(force=200.0),
        replace(good, forces=None),
        replace(good, energy=float("nan")),
        replace(good, stress=None),
        replace(good, converged=False),
        replace(good, forces=np.ones((2, 3))),
    ]
    steps = [(START, one) for one in [bad[0], good, *bad[1:]]]
    blown_up = START.moved(START.positions, 3.0 * START.cell)
    points = path_points(START, [*steps, (blown_up, good)], max_force=100.0, source="test")
    assert [point.energy for point in points] == [-8.0]
    assert len(path_points(START, steps, max_force=1000.0, source="test")) == 2


def end(energy: float, force: float = 0.0, stress: float = 0.0, pressure: float = 0.0) -> End:
    return End.of(START, fresh(output(energy, force, stress)), pressure)


def test_how_far_from_rest() -> None:
    assert end(-9.0, force=0.03).residual == pytest.approx(0.03)
    assert end(-9.0, stress=-0.002).residual == pytest.approx(0.002 * START.volume / 2)
    under_pressure = end(-9.0, stress=-0.05, pressure=0.05)
    assert under_pressure.residual == pytest.approx(0.05 * START.volume / 2)  # in y and z
    assert under_pressure.enthalpy == pytest.approx(-9.0 + 0.05 * START.volume)


def test_the_end_at_rest_is_the_best_though_another_grid_says_one_is_lower() -> None:
    unfinished, finished = end(-9.003, force=0.2), end(-9.0, force=0.02)
    assert best_end([unfinished, finished]) is finished
    assert best_end([finished, unfinished]) is finished


def test_an_end_far_above_the_lowest_is_not_the_best() -> None:
    low, high = end(-9.0, force=0.2), end(-8.9, force=0.001)
    assert best_end([low, high]) is low
