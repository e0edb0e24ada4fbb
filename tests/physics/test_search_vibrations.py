"""Vibrations of a crystal at Γ, and the mutation along them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase.build import bulk
from ase.units import _amu, _e

from aga.config import Settings
from aga.errors import GenerationError
from aga.oracle.registry import build_oracle
from aga.oracle.tersoff import Tersoff
from aga.search.operators import OPERATORS, OperatorContext
from aga.search.operators.vibrations import STEP, Vibrations, modes_of
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import DistanceLimits, too_close

LIMITS = DistanceLimits(factor=0.65, overrides={})


def tersoff(candidates: Sequence[Candidate]) -> list[FloatArray]:
    settings = Settings.model_validate(
        {"search": {"composition": "Si2"}, "oracle": {"engine": "tersoff"}}
    )
    oracle = build_oracle(settings.oracle, settings.machine, {"Si": 2})
    assert isinstance(oracle, Tersoff)
    calculator = oracle.calculator()
    return [calculator.get_forces(one.to_ase()) for one in candidates]


class Springs:
    """A quadratic energy ½ uᵀ H u of the displacements from one structure."""

    def __init__(self, around: Candidate, hessian: FloatArray) -> None:
        self.around, self.hessian = around, hessian
        self.asked: list[int] = []

    def __call__(self, candidates: Sequence[Candidate]) -> list[FloatArray]:
        self.asked.append(len(candidates))
        return [
            -(self.hessian @ (one.positions - self.around.positions).ravel()).reshape(-1, 3)
            for one in candidates
        ]


def caesium_chloride() -> Candidate:
    return Candidate.from_ase(bulk("NiAl", "cesiumchloride", a=2.9), name="B2")


def context(forces: Springs, size: int) -> OperatorContext:
    return OperatorContext(
        counts={"Al": 1, "Ni": 1}, volume=12.0 * size, limits=LIMITS, vibrations=Vibrations(forces)
    )


def springs(curvatures: Sequence[float]) -> Springs:
    """Atoms of the B2 cell that move against each other with these curvatures along x, y, z."""
    inner = np.kron(np.array([[0.5, -0.5], [-0.5, 0.5]]), np.diag(curvatures))
    return Springs(caesium_chloride(), inner)


def test_silicon_vibrates_as_tersoff_says() -> None:
    # the threefold optical mode of the primitive cell; this potential has it near 16 THz
    silicon = Candidate.from_ase(bulk("Si", a=5.432), name="Si")
    modes = modes_of(silicon, tersoff)
    assert modes.curvatures.shape == (3,)
    assert np.ptp(modes.curvatures) < 1e-3 * modes.curvatures.mean()
    frequency = np.sqrt(modes.curvatures.mean() * _e * 1e20 / (28.0855 * _amu)) / (2 * np.pi)
    assert 15.0e12 < frequency < 17.5e12
    assert np.abs(modes.vectors.sum(axis=1)).max() < 1e-9, "a translation is left"


def test_modes_are_those_of_the_hessian_softest_first() -> None:
    forces = springs([3.0, -1.0, 2.0])
    modes = modes_of(forces.around, forces)
    assert forces.asked == [12], "not one batch of 6n structures"
    assert modes.curvatures == pytest.approx([-1.0, 2.0, 3.0])
    for vector, axis in zip(modes.vectors, (1, 2, 0), strict=True):
        expected = np.zeros((2, 3))
        expected[:, axis] = [np.sqrt(0.5), -np.sqrt(0.5)]
        assert abs(float((vector * expected).sum())) == pytest.approx(1.0)
    assert STEP < 0.05


def test_a_parent_is_asked_for_its_vibrations_once() -> None:
    forces = springs([3.0, 1.0, 2.0])
    vibrations = Vibrations(forces)
    first, again = vibrations.of(forces.around), vibrations.of(forces.around)
    assert first is again
    vibrations.of(forces.around.renamed("other"))
    assert len(forces.asked) == 2


def test_the_soft_mode_is_followed_as_far_as_distances_allow() -> None:
    forces = springs([300.0, 0.1, 200.0])
    setting = context(forces, 2)
    along = 0
    for seed in range(40):
        child = OPERATORS["soft_mode"].function(
            [forces.around], np.random.default_rng(seed), setting
        )
        assert not too_close(child, LIMITS)
        moved = (child.positions - forces.around.positions) / 2.9
        between = np.abs(moved[1] - moved[0] - np.rint(moved[1] - moved[0]))
        assert np.count_nonzero(between > 1e-6) <= 1, "not along one mode"
        along += between.argmax() == 1
    # the first rank is drawn with 1 − exp(−1/3) = 0.28, both others share the rest
    assert 4 <= along <= 22
    assert len(forces.asked) == 1


def test_without_a_committee_there_are_no_soft_modes() -> None:
    none = OperatorContext(counts={"Al": 1, "Ni": 1}, volume=24.0, limits=LIMITS)
    with pytest.raises(GenerationError, match="forces of a committee"):
        OPERATORS["soft_mode"].function([caesium_chloride()], np.random.default_rng(0), none)


def test_what_can_not_vibrate_is_refused() -> None:
    lone = Candidate.from_ase(bulk("Al", "fcc", a=4.0), name="fcc")
    with pytest.raises(GenerationError, match="one atom"):
        modes_of(lone, tersoff)
    broken = springs([np.nan, 1.0, 1.0])
    with pytest.raises(GenerationError, match="not finite"):
        modes_of(broken.around, broken)
