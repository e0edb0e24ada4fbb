"""The curvature of the loss: its Gauss–Newton matrix, sketched frame by frame.

The loss is a sum of squared residuals r(θ), so that its second derivative is Hᵀ H, with
H = ∂r/∂θ, but for terms that vanish with the residuals. A frame of n atoms has a residual for its
energy and 3n + 6 for forces and virial. Of the latter, s random combinations Σ_k ω_k r_k with
independent ω_k of variance 1/s stand for all (their Hᵀ H is right on average); with some times
more rows in all than parameters that is near enough for a preconditioner. A combination of
forces is the derivative of E along one displacement of all atoms, Σ_i t_i·∂E/∂G_i with
t = J ω, so that each costs one product with J and two sweeps through the networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt

import numpy as np
import torch
from torch import Tensor

from aga.parallel.ranks import Ranks
from aga.potential.network import Activation, Weights, activate
from aga.structure.candidate import FloatArray, IntArray
from aga.training.evaluators import FixedPiece
from aga.training.loss import SHEAR, Targets
from aga.training.objective import ElementLayout, Part
from aga.training.schedule import Prefactors

__all__ = ["Block", "Sketch", "curvature"]

ROWS_PER_PARAMETER = 2.0
"""Rows of the sketch in parameters: with fewer the matrix is too noisy to precondition with
(measured), with more it costs more than it saves."""

WHOLE = 7000
"""Parameters up to which the matrix is taken whole; with more, one block for each network."""

ROWS = 1024
"""Rows that are multiplied together."""

FEW = 1.0
"""Rows in parameters up to which the rows themselves are kept instead of their product."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """One block G of the matrix, float64: itself (P, P), or H (R, P) with G = HᵀH."""

    matrix: Tensor | None = None
    rows: Tensor | None = None

    def dense(self) -> Tensor:
        """Give the (P, P) matrix."""
        if self.matrix is not None:
            return self.matrix
        if self.rows is None:
            raise ValueError("a block has a matrix or rows")
        return self.rows.T @ self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """How the matrix is sketched: ``seed`` of the combinations, ``rows`` in all parameters."""

    seed: int
    rows: float = ROWS_PER_PARAMETER


def curvature(  # noqa: PLR0913, PLR0917 - the loss, at a point, on all ranks
    vector: Tensor,
    layout: ElementLayout,
    part: Part,
    prefactors: Prefactors,
    weights: FloatArray,
    sketch: Sketch,
    ranks: Ranks,
) -> list[Block]:
    """Give the Gauss–Newton matrix of Σ_i w_i loss_i / F, whole or by network.

    Parameters
    ----------
    vector, layout
        (P,) parameters and what they mean.
    part, prefactors, weights
        The loss: frames, prefactors, and weights (F,) of all frames.
    sketch
        How.
    ranks
        Among which the frames are shared.

    Returns
    -------
    list of Block
        Along the diagonal: one, or one for each network. With few residuals, as at the start of
        a search, a block is given by its rows (up to :data:`FEW` times the parameters).
    """
    size, count = layout.size, layout.elements
    whole = size * count <= WHOLE
    width = size * count if whole else size
    sums = [_Sum(width) for _ in range(1 if whole else count)]
    combinations = max(1, ceil(sketch.rows * width / part.count))
    networks = layout.networks(vector.detach())
    for piece in part.evaluator.pieces():
        if not isinstance(piece, FixedPiece):
            raise TypeError("the curvature needs a descriptor without trained parameters")
        whom = part.places[piece.frames]
        lot = _Lot(piece, part.targets.take(piece.frames), prefactors, np.sqrt(weights[whom]))
        draws = [np.random.default_rng([sketch.seed, int(frame)]) for frame in whom]
        for frame, rows in zip(whom, lot.rows(networks, combinations, draws), strict=True):
            for block, total in enumerate(sums):
                mine = rows if whole else rows[:, block * size : (block + 1) * size]
                total.add(int(frame), mine)
    return [_summed(total, ranks, part.count) for total in sums]


def _summed(total: _Sum, ranks: Ranks, frames: int) -> Block:
    """Give one block from the shares of all ranks."""
    numbers = ranks.sum(total.numbers(frames))
    if 0 < numbers.sum() <= total.few:
        rows = ranks.sum(total.rows(numbers.astype(np.int64)))
        return Block(rows=torch.from_numpy(rows) * sqrt(2.0 / frames))
    return Block(matrix=torch.from_numpy(ranks.sum(total.finish().numpy())) * (2.0 / frames))


class _Sum:
    """Adds up rows into Hᵀ H, in single precision; some at a time."""

    def __init__(self, width: int) -> None:
        self._matrix = torch.zeros(0, 0, dtype=torch.float32)  # none as long as rows are few
        self.few = int(FEW * width)
        self._width = width
        self._rows: list[tuple[int, Tensor]] = []
        self._count = 0
        # the matrix is symmetric: strips of columns need only what is above the diagonal
        edges = np.linspace(0, width, min(8, width) + 1).astype(int).tolist()
        self._strips = list(pairwise(edges))

    def add(self, frame: int, rows: Tensor) -> None:
        self._rows.append((frame, rows))
        self._count += len(rows)
        if self._count >= max(ROWS, self.few + 1):
            self._flush()

    def numbers(self, frames: int) -> FloatArray:
        """Count the rows of each of all frames; more than few where they are summed already."""
        found = np.zeros(frames)
        for frame, rows in self._rows:
            found[frame] = len(rows)
        if len(self._matrix):
            found += self.few + 1
        return found

    def rows(self, numbers: IntArray) -> FloatArray:
        """Give these rows at their places among those of all frames, (R, P), zero elsewhere."""
        firsts = np.cumsum(numbers) - numbers
        table = np.zeros((int(numbers.sum()), self._width))
        for frame, rows in self._rows:
            table[firsts[frame] : firsts[frame] + len(rows)] = rows.numpy()
        return table

    def _flush(self) -> None:
        rows = torch.cat([rows for _, rows in self._rows])
        if not len(self._matrix):
            self._matrix = torch.zeros(self._width, self._width, dtype=torch.float32)
        for first, last in self._strips:
            self._matrix[:last, first:last].addmm_(rows[:, :last].T, rows[:, first:last])
        self._rows, self._count = [], 0

    def finish(self) -> Tensor:
        if self._rows:
            self._flush()
        if not len(self._matrix):
            return torch.zeros(self._width, self._width, dtype=torch.float64)
        upper = torch.triu(self._matrix.double())
        return upper + torch.triu(upper, 1).T


class _Lot:
    """The frames of a piece, each with the scale of its residuals."""

    def __init__(
        self, piece: FixedPiece, targets: Targets, prefactors: Prefactors, weights: FloatArray
    ) -> None:
        self._piece = piece
        counts = targets.counts.numpy()
        scale = piece.energy_scale * np.sqrt(targets.fade.numpy()) * weights
        force = np.sqrt(prefactors.force * targets.has_forces.numpy() / (3.0 * counts))
        strain = np.sqrt(prefactors.stress * targets.has_stress.numpy() / 9.0) / counts
        self._energy = scale * sqrt(prefactors.energy) / counts
        self._rest = [
            np.concatenate([np.full(3 * int(n), f), s * np.sqrt(SHEAR)])
            for n, f, s in zip(counts, scale * force, scale * strain, strict=True)
        ]

    def rows(
        self, networks: Sequence[Weights], combinations: int, draws: Sequence[np.random.Generator]
    ) -> Iterator[Tensor]:
        """Give ∂r/∂θ of each frame's energy and combinations of forces and virial, (1 + s, P)."""
        piece = self._piece
        directions = [
            _directions(scales, combinations, draw)
            for scales, draw in zip(self._rest, draws, strict=True)
        ]
        for place, tangents in enumerate(piece.tangents(directions)):
            first, last = int(piece.offsets[place]), int(piece.offsets[place + 1])
            x, parts = piece.x[first:last].float(), []
            for weights, atoms in zip(networks, piece.atoms, strict=True):
                mine = atoms[(atoms >= first) & (atoms < last)] - first
                parts.append(_derivatives(weights, piece.activation, x[mine], tangents[:, mine]))
            rows = torch.cat(parts, dim=1)
            rows[0] *= float(self._energy[place])
            yield rows


def _directions(scales: FloatArray, combinations: int, draw: np.random.Generator) -> FloatArray:
    """Give combinations (s, K) of the K residuals, scaled; all of them where they are few."""
    used = np.flatnonzero(scales)
    if len(used) <= combinations:
        return np.diag(scales)[used]
    signs = draw.integers(0, 2, size=(combinations, len(scales))) * 2.0 - 1.0
    return signs * (scales / sqrt(combinations))


def _derivatives(weights: Weights, kind: Activation, x: Tensor, t: Tensor) -> Tensor:
    """Give ∂/∂θ of Σ_i f(x_i), and of Σ_i t_i·∇f(x_i) for each t: (1 + s, P), single precision.

    Parameters
    ----------
    weights
        One network f (M = 1).
    kind
        Its activation.
    x
        (n, D) inputs.
    t
        (s, n, D) directions.
    """
    layers = [(matrix[0].float(), bias[0].float()) for matrix, bias in weights]
    signals, slopes, bends = [x], [], []
    along, before = [t], []
    for matrix, bias in layers[:-1]:
        z, slope, bend = activate(kind, signals[-1] @ matrix + bias)
        before.append(along[-1] @ matrix)
        along.append(slope * before[-1])
        signals.append(z)
        slopes.append(slope)
        bends.append(bend)
    s, n = len(t), len(x)
    rows = [torch.zeros(1 + s, 1), torch.cat([signals[-1].sum(0)[None], along[-1].sum(1)])]
    rows[0][0] = n
    back = layers[-1][0][:, 0].expand(n, -1)  # of f by z, and of t·∇f by its derivative along t
    cross = torch.zeros(s, n, back.shape[1])  # of t·∇f by z
    for number in range(len(layers) - 2, -1, -1):
        by_signal = bends[number] * before[number] * back + slopes[number] * cross
        own = back * slopes[number]
        z, dz = signals[number], along[number]
        matrix = torch.empty(1 + s, z.shape[1], own.shape[1])
        matrix[0] = z.T @ own
        matrix[1:] = z.T @ by_signal + dz.transpose(1, 2) @ own
        rows += [torch.cat([own.sum(0)[None], by_signal.sum(1)]), matrix.reshape(1 + s, -1)]
        back, cross = own @ layers[number][0].T, by_signal @ layers[number][0].T
    return torch.cat(rows[::-1], dim=1)
