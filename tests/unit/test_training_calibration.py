"""Calibration of a spread, on made-up errors of a known distribution."""

import numpy as np
import pytest

from aga.errors import DataError
from aga.rng import stream
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Frame, Prediction
from aga.training.scoring.calibration import Compared, calibrate, compare_energies, compare_forces


def errors(spread: FloatArray, factor: float, dimension: int, seed: int = 1) -> FloatArray:
    """Draw errors whose standard deviation is the spread times the factor."""
    noise = stream(seed, "calibration").normal(size=(len(spread), dimension))
    return factor * spread * np.linalg.norm(noise, axis=1) / np.sqrt(dimension)


@pytest.fixture
def spread() -> FloatArray:
    return np.exp(stream(2, "spread").uniform(np.log(0.003), np.log(0.3), 20000))


@pytest.mark.parametrize("dimension", [1, 3])
@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_a_known_factor_is_found(factor: float, dimension: int, spread: FloatArray) -> None:
    said = calibrate(Compared(spread=spread, error=errors(spread, factor, dimension),
                              dimension=dimension))  # fmt: skip
    assert said.scale == pytest.approx(factor, rel=0.02)
    np.testing.assert_allclose(said.groups[:, 1], factor * said.groups[:, 0], rtol=0.07)
    np.testing.assert_allclose(said.within_scaled, said.expected, atol=0.01)
    assert said.expected[0] == pytest.approx({1: 0.6827, 3: 0.6084}[dimension], abs=1e-4)
    assert said.rank is not None
    assert said.rank > 0.7
    assert said.count == said.sizes.sum() == 20000
    if factor == 1.0:
        assert said.nll[1] == pytest.approx(said.nll[0], abs=1e-3)
        np.testing.assert_allclose(said.within, said.expected, atol=0.01)
    else:
        assert said.nll[1] < said.nll[0]
        assert (said.within[0] < said.expected[0]) == (factor > 1)


def test_no_other_factor_is_more_likely(spread: FloatArray) -> None:
    error = errors(spread, 2.0, 3)
    said = calibrate(Compared(spread=spread, error=error, dimension=3))
    for other in (0.97, 1.03):
        moved = Compared(spread=other * said.scale * spread, error=error, dimension=3)
        assert calibrate(moved).nll[0] > said.nll[1]


def test_by_hand() -> None:
    said = calibrate(
        Compared(spread=np.array([1.0, 2.0, 4.0]), error=np.array([-1.0, 1.0, 12.0])), groups=2
    )
    assert said.scale == pytest.approx(np.sqrt((1 + 0.25 + 9) / 3))
    np.testing.assert_allclose(said.groups, [[np.sqrt(2.5), 1.0], [4.0, 12.0]])
    assert said.sizes.tolist() == [2, 1]
    assert said.within == (2 / 3, 2 / 3)
    assert said.rank == pytest.approx(np.sqrt(3) / 2)
    log = (np.log(2.0) + np.log(4.0)) / 3 + 0.5 * np.log(2 * np.pi)
    assert said.nll[0] == pytest.approx(log + (1 + 0.25 + 9) / 6)
    told = said.to_dict()
    assert told["groups"][1] == {"spread": 4.0, "rms_error": 12.0, "count": 1}
    assert [row["sigma"] for row in told["within"]] == [1.0, 2.0]


def test_a_spread_without_meaning_has_no_rank(spread: FloatArray) -> None:
    error = errors(np.full(len(spread), 0.1), 1.0, 1)
    said = calibrate(Compared(spread=spread, error=error))
    assert said.rank == pytest.approx(0.0, abs=0.03)
    assert said.groups[-1, 1] == pytest.approx(said.groups[0, 1], rel=0.1)


def test_things_without_spread_are_counted_apart() -> None:
    said = calibrate(Compared(spread=np.array([0.0, 0.1]), error=np.array([0.5, 0.2])))
    assert (said.silent, said.silent_error, said.count) == (1, 0.5, 1)
    assert said.scale == pytest.approx(2.0)
    assert said.within_scaled == (1.0, 1.0)
    one = calibrate(Compared(spread=np.array([0.1]), error=np.array([0.0])))
    assert (one.scale, one.rank) == (0.0, None)
    with pytest.raises(DataError, match="zero everywhere"):
        calibrate(Compared(spread=np.zeros(3), error=np.ones(3)))


def test_rounding_of_forces_that_vanish_by_symmetry_says_nothing(spread: FloatArray) -> None:
    error = errors(spread, 1.5, 3)
    rounding = np.full(5000, 1e-9)
    said = calibrate(
        Compared(
            spread=np.concatenate([spread, rounding]),
            error=np.concatenate([error, 1e3 * rounding]),
            dimension=3,
        )
    )
    assert said.scale == pytest.approx(1.5, rel=0.02)
    assert said.silent == 5000
    assert said.silent_error == pytest.approx(1e-6)
    assert said.to_dict()["silent"]["count"] == 5000


@pytest.mark.parametrize(
    ("spread", "error"),
    [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.inf]), ([-1.0], [1.0])],
)
def test_nonsense_is_refused(spread: list[float], error: list[float]) -> None:
    with pytest.raises(DataError):
        Compared(spread=np.array(spread), error=np.array(error))


def frame(energy: float, forces: FloatArray | None) -> Frame:
    candidate = Candidate(
        name="x", numbers=np.array([8, 22]), positions=np.eye(3)[:2], cell=np.eye(3) * 3
    )
    return Frame(candidate=candidate, energy=energy, forces=forces)


def test_frames_are_compared_per_atom() -> None:
    said = Prediction(
        energy=-10.0,
        energies=np.array([-4.0, -6.0]),
        energy_spread=0.2,
        forces=np.array([[1.0, 0, 0], [0, 2.0, 0]]),
        forces_spread=np.array([0.1, 0.3]),
        force_spread=0.3,
        stress=np.zeros(6),
    )
    frames = [frame(-11.0, np.array([[1.0, 3.0, 4.0], [0, 0, 0]])), frame(-9.0, None)]
    energies, forces = compare_energies(frames, [said] * 2), compare_forces(frames, [said] * 2)
    np.testing.assert_allclose(energies.error, [0.5, -0.5])
    np.testing.assert_allclose(energies.spread, [0.2, 0.2])
    assert energies.dimension == 1
    assert forces is not None
    np.testing.assert_allclose(forces.error, [5.0, 2.0])
    np.testing.assert_allclose(forces.spread, [0.1, 0.3])
    assert forces.dimension == 3
    assert compare_forces(frames[1:], [said]) is None
