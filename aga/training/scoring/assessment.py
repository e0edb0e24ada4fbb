"""How good a potential is on labelled frames: errors of all, of splits, of groups, of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aga.errors import DataError, ModelError, StructureError
from aga.potential.atoms import predict_many
from aga.potential.kinds import AnyCommittee
from aga.structure.candidate import FloatArray, IntArray
from aga.structure.protocols import Frame, Prediction
from aga.training.data.frames import frame_numbers, refusal
from aga.training.scoring.metrics import Score, rank_correlation, score
from aga.units import EV_PER_A3_IN_GPA

__all__ = ["Assessment", "Errors", "Parity", "Worst", "assess", "group_of", "predict_frames"]

WORST = 5
"""Frames named for each quantity that are predicted worst."""

MEV = 1000.0
"""meV in an eV."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parity:
    """Labels and predictions of one quantity: n numbers each, and the frames they belong to.

    ``reference`` and ``predicted`` (n,) in one unit; ``owners`` (n,) places of the frames.
    """

    reference: FloatArray
    predicted: FloatArray
    owners: IntArray

    def of(self, places: Sequence[int] | IntArray) -> Parity:
        """Give the numbers of some frames."""
        chosen = np.isin(self.owners, np.asarray(places, dtype=np.int64))
        return Parity(
            reference=self.reference[chosen],
            predicted=self.predicted[chosen],
            owners=self.owners[chosen],
        )

    def score(self, factor: float = 1.0) -> Score | None:
        """Give the errors times a factor; None without numbers."""
        if not len(self.owners):
            return None
        return score(factor * self.predicted, factor * self.reference)

    def frame_rmse(self, count: int) -> FloatArray:
        """Give (count,) the root mean square error in each frame, NaN where it has no label."""
        squares = np.bincount(self.owners, (self.predicted - self.reference) ** 2, count)
        numbers = np.bincount(self.owners, minlength=count).astype(np.float64)
        numbers[numbers == 0] = np.nan
        return np.asarray(np.sqrt(squares / numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Errors of some frames, ``frames`` of them.

    ``energy`` in meV/atom; ``forces`` in eV/Å and ``stress`` in GPa, per component, of the frames
    that have them; None without such. ``rank_correlation`` of the energies per atom, None where
    there is no order: it says most among structures of one composition.
    """

    frames: int
    energy: Score | None
    forces: Score | None
    stress: Score | None
    rank_correlation: float | None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        scores = {"energy": self.energy, "forces": self.forces, "stress": self.stress}
        return {
            "frames": self.frames,
            **{name: None if one is None else one.to_dict() for name, one in scores.items()},
            "rank_correlation": self.rank_correlation,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """A frame that is predicted badly.

    ``error`` of its ``quantity``: of ``energy`` the predicted less the labelled one in meV/atom,
    of ``forces`` the root mean square over the components in eV/Å.
    """

    quantity: str
    name: str
    source: str
    error: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "quantity": self.quantity,
            "name": self.name,
            "source": self.source,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """Errors of a potential on labelled frames.

    ``all`` of them, of ``splits`` and of ``groups`` (see :func:`group_of`); ``worst`` for energies
    and forces, the worst first; ``rows``, one for each frame, as plain JSON values; ``parity`` of
    ``energy`` (eV/atom), ``forces`` (eV/Å) and ``stress`` (GPa), where any frame has it.
    """

    all: Errors
    splits: Mapping[str, Errors]
    groups: Mapping[str, Errors]
    worst: tuple[Worst, ...]
    rows: tuple[dict[str, Any], ...]
    parity: Mapping[str, Parity]

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values, all but the arrays for plots."""
        return {
            "all": self.all.to_dict(),
            "splits": {name: errors.to_dict() for name, errors in self.splits.items()},
            "groups": {name: errors.to_dict() for name, errors in self.groups.items()},
            "worst": [one.to_dict() for one in self.worst],
            "rows": [dict(row) for row in self.rows],
        }


def group_of(frame: Frame) -> str:
    """Give the group of a frame; without one the file it came from."""
    return frame.group or frame.source


def predict_frames(committee: AnyCommittee, frames: Sequence[Frame]) -> list[Prediction]:
    """Predict labelled frames, in their order.

    Raises
    ------
    aga.errors.DataError
        The potential lacks an element of a frame, or nothing can be computed for it (two atoms on
        one point); names files and frames, by their numbers in each file.
    """
    problems, numbers = [], frame_numbers(frames)
    for number, frame in zip(numbers, frames, strict=True):
        try:
            committee.models[0].check_numbers(frame.candidate.numbers, frame.name)
        except ModelError as error:
            problems.append((frame.source, number, error.message))
    if problems:
        raise refusal(problems, "leave these frames away, or train a potential on such")
    try:
        return predict_many(committee, [frame.candidate for frame in frames])
    except StructureError as error:
        index = int(error.facts["index"])
        raise refusal([(frames[index].source, numbers[index], error.message)]) from error


def assess(
    frames: Sequence[Frame],
    predictions: Sequence[Prediction],
    splits: Mapping[str, Sequence[int]] | None = None,
) -> Assessment:
    """Compare predictions with labels.

    Parameters
    ----------
    frames
        Labelled structures; forces and stress may be missing.
    predictions
        Of the same structures, in the same order.
    splits
        Places of the frames of each split, such as ``training`` and ``test``; may be empty.

    Raises
    ------
    aga.errors.DataError
        No frame, or another number of predictions.
    """
    if not frames or len(frames) != len(predictions):
        raise DataError(f"nothing to compare: {len(frames)} frames, {len(predictions)} predictions")
    parity = _parity(frames, predictions)
    groups: dict[str, list[int]] = defaultdict(list)
    for place, frame in enumerate(frames):
        groups[group_of(frame)].append(place)
    return Assessment(
        all=_errors(parity, range(len(frames))),
        splits={name: _errors(parity, places) for name, places in (splits or {}).items()},
        groups={name: _errors(parity, groups[name]) for name in sorted(groups)},
        worst=_worst(frames, parity),
        rows=_rows(frames, predictions, parity),
        parity=parity,
    )


def _parity(frames: Sequence[Frame], predictions: Sequence[Prediction]) -> dict[str, Parity]:
    pairs = list(zip(frames, predictions, strict=True))
    labels: dict[str, list[tuple[int, FloatArray, FloatArray]]] = defaultdict(list)
    for place, (frame, said) in enumerate(pairs):
        energy = np.array([said.energy / len(frame.candidate)])
        labels["energy"].append((place, np.array([frame.energy_per_atom]), energy))
        if frame.forces is not None:
            labels["forces"].append((place, frame.forces, said.forces))
        if frame.stress is not None:
            gpa = EV_PER_A3_IN_GPA
            labels["stress"].append((place, gpa * frame.stress, gpa * said.stress))
    return {
        quantity: Parity(
            reference=np.concatenate([true.ravel() for _, true, _ in rows]),
            predicted=np.concatenate([said.ravel() for _, _, said in rows]),
            owners=np.repeat([place for place, _, _ in rows], [true.size for _, true, _ in rows]),
        )
        for quantity, rows in labels.items()
    }


def _errors(parity: Mapping[str, Parity], places: Sequence[int]) -> Errors:
    chosen = {quantity: whole.of(places) for quantity, whole in parity.items()}
    scores = {
        quantity: part.score(MEV if quantity == "energy" else 1.0)
        for quantity, part in chosen.items()
    }
    energy = chosen["energy"]
    ranked = rank_correlation(energy.predicted, energy.reference) if len(energy.owners) else None
    return Errors(
        frames=len(energy.owners),
        energy=scores["energy"],
        forces=scores.get("forces"),
        stress=scores.get("stress"),
        rank_correlation=ranked,
    )


def _worst(frames: Sequence[Frame], parity: Mapping[str, Parity]) -> tuple[Worst, ...]:
    energy = parity["energy"]
    errors = {"energy": MEV * (energy.predicted - energy.reference)}
    if "forces" in parity:
        errors["forces"] = parity["forces"].frame_rmse(len(frames))
    found = []
    for quantity, of_frame in errors.items():
        known = np.flatnonzero(np.isfinite(of_frame))
        order = known[np.argsort(-np.abs(of_frame[known]), kind="stable")][:WORST]
        found += [
            Worst(
                quantity=quantity,
                name=frames[place].name,
                source=frames[place].source,
                error=float(of_frame[place]),
            )
            for place in order
        ]
    return tuple(found)


def _rows(
    frames: Sequence[Frame], predictions: Sequence[Prediction], parity: Mapping[str, Parity]
) -> tuple[dict[str, Any], ...]:
    """Give label, prediction, spread and errors of each frame; None where it has no label."""
    rmse = {
        quantity: [None if np.isnan(x) else float(x) for x in part.frame_rmse(len(frames))]
        for quantity, part in parity.items()
    }
    none = [None] * len(frames)
    return tuple(
        {
            "name": frame.name,
            "source": frame.source,
            "group": frame.group or None,
            "formula": frame.candidate.formula,
            "n_atoms": len(frame.candidate),
            "energy_per_atom": frame.energy_per_atom,
            "predicted_energy_per_atom": said.energy / len(frame.candidate),
            "energy_error": MEV * (said.energy - frame.energy) / len(frame.candidate),
            "energy_spread": said.energy_spread,
            "force_rmse": rmse.get("forces", none)[place],
            "force_spread": said.force_spread,
            "stress_rmse": rmse.get("stress", none)[place],
        }
        for place, (frame, said) in enumerate(zip(frames, predictions, strict=True))
    )
