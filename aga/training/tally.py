"""Errors of a training's own frames, summed up lot by lot and over ranks."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch

from aga.parallel.ranks import Ranks
from aga.potential.network import Weights
from aga.structure.candidate import FloatArray
from aga.training.data.labels import Labels
from aga.training.objective import Part
from aga.units import EV_PER_A3_IN_GPA

__all__ = ["tally"]


def tally(
    part: Part, labels: Labels, networks: Sequence[Weights], ranks: Ranks
) -> dict[str, float | None]:
    """Give mean absolute and root mean square errors and R² of the frames of a part.

    Returns
    -------
    dict
        ``frames``; ``energy_mae``, ``energy_rmse`` in meV/atom, ``force_…`` in eV/Å, ``stress_…``
        in GPa and ``…_r2``; None where no frame has such labels, or they do not vary.
    """
    sums = np.zeros((3, 5))
    targets = part.targets
    starts = np.concatenate([[0], np.cumsum(labels.counts)])
    with torch.no_grad():
        for piece in part.evaluator.pieces():
            energy, gradient, strain = (t.numpy() for t in piece(networks))
            first, last = int(piece.frames[0]), int(piece.frames[-1]) + 1
            mine, atoms = slice(first, last), slice(starts[first], starts[last])
            scale = 1000.0 / labels.counts[mine]
            owners = np.repeat(np.arange(first, last), labels.counts[mine])
            forced, stressed = labels.has_forces[owners] > 0, labels.has_stress[mine] > 0
            units = (EV_PER_A3_IN_GPA / labels.volumes[mine])[:, None]
            sums[0] += _sums(energy * scale, targets.energy[mine].numpy() * scale)
            sums[1] += _sums(gradient[forced], labels.gradient[atoms][forced])
            sums[2] += _sums((strain * units)[stressed], (labels.strain[mine] * units)[stressed])
    result: dict[str, float | None] = {"frames": float(part.count)}
    for name, row in zip(("energy", "force", "stress"), ranks.sum(sums), strict=True):
        result |= _said(name, row)
    return result


def _sums(predicted: FloatArray, true: FloatArray) -> FloatArray:
    error = predicted - true
    return np.array(
        [error.size, np.abs(error).sum(), np.sum(error**2), true.sum(), np.sum(true**2)]
    )


def _said(name: str, sums: FloatArray) -> dict[str, float | None]:
    count, absolute, squares, total, true_squares = sums.tolist()
    if not count:
        return {f"{name}_mae": None, f"{name}_rmse": None, f"{name}_r2": None}
    variation = true_squares - total**2 / count
    return {
        f"{name}_mae": absolute / count,
        f"{name}_rmse": sqrt(squares / count),
        f"{name}_r2": 1.0 - squares / variation if variation > 1e-12 * true_squares else None,
    }
