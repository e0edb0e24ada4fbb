"""The loss of all frames as a function of the parameters, summed over lots and over ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from aga.parallel.ranks import Ranks, gather_rows
from aga.potential.network import Weights, parameter_count, unflatten
from aga.structure.candidate import FloatArray, IntArray
from aga.training.evaluators import Evaluator, FixedPiece, Piece
from aga.training.loss import Targets, frame_losses
from aga.training.schedule import Prefactors
from aga.training.sweeps import swept

__all__ = ["ElementLayout", "Errors", "Layout", "Objective", "Part"]


class Layout(Protocol):
    """What a vector of parameters means."""

    def networks(self, vector: Tensor) -> list[Weights]:
        """Give the networks (M = 1), in the order the evaluator wants, as views of the vector."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementLayout:
    """One network per element: ``elements``, ``inputs`` D and ``hidden`` layers of each."""

    elements: int
    inputs: int
    hidden: tuple[int, ...]

    @property
    def size(self) -> int:
        """Parameters of one network."""
        return parameter_count(self.inputs, self.hidden)

    def networks(self, vector: Tensor) -> list[Weights]:
        """Give one network per element as views of the parameter vector."""
        parts = vector.reshape(self.elements, self.size)
        return [unflatten(part, self.inputs, self.hidden) for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Frames of the training or of the validation, shared among the ranks.

    ``evaluator`` and ``targets`` of this rank's frames; ``places`` (F,) their places among
    all; ``count`` of all.
    """

    evaluator: Evaluator
    targets: Targets
    places: IntArray
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """Errors of all frames.

    ``energy`` (F,) eV/atom, signed; ``force`` (F,) root mean square per component in eV/Å and
    ``label`` (F,) that of the labels themselves, NaN without forces.
    """

    energy: FloatArray
    force: FloatArray
    label: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objective:
    """Mean weighted loss of the frames of a part, plus ‖θ‖² for smoothness.

    (Σ_i w_i loss_i + smoothness ‖θ‖²) / F with weights w (F,) of all frames; every rank gets the
    same numbers.
    """

    layout: Layout
    part: Part
    smoothness: float
    ranks: Ranks

    def losses(self, vector: Tensor, prefactors: Prefactors) -> FloatArray:
        """Give the loss (F,) of each of all frames, without weights."""
        return self.look(vector, prefactors)[0]

    def look(self, vector: Tensor, prefactors: Prefactors) -> tuple[FloatArray, Errors]:
        """Give losses (F,) and errors of all frames."""
        part, rows = self.part, []
        with torch.no_grad():
            networks = self.layout.networks(vector.detach())
            for piece in part.evaluator.pieces():
                targets = part.targets.take(piece.frames)
                labelled = bool((targets.has_forces + targets.has_stress).any())
                predicted = piece(networks, derivatives=labelled)
                rows.append(_row(predicted, targets, frame_losses(predicted, targets, prefactors)))
        mine = np.concatenate(rows) if rows else np.zeros((0, 4))
        table = gather_rows(mine, part.places.tolist(), part.count, self.ranks)
        return table[:, 0], Errors(energy=table[:, 1], force=table[:, 2], label=table[:, 3])

    def gradient(
        self,
        vector: Tensor,
        prefactors: Prefactors,
        weights: FloatArray,
        chosen: IntArray | None = None,
    ) -> tuple[float, Tensor, FloatArray]:
        """Give value, gradient (P,), and the losses (F,) of this rank's frames, NaN if not chosen.

        Parameters
        ----------
        vector
            (P,) parameters.
        prefactors
            Of the loss.
        weights
            (F,) of all frames.
        chosen
            Places of a batch among all frames; the mean is over them. All where None.
        """
        part = self.part
        mine = torch.from_numpy(weights[part.places])
        losses = np.full(len(part.places), np.nan)
        sums = np.zeros(1 + len(vector))
        own = None if chosen is None else np.flatnonzero(np.isin(part.places, chosen))
        if own is None or len(own):
            for piece in part.evaluator.pieces(own):
                found, gradient = self._of_piece(piece, vector.detach(), prefactors, mine)
                losses[piece.frames] = found.numpy()
                sums[0] += float(found @ mine[piece.frames])
                sums[1:] += gradient.numpy()
        sums = self.ranks.sum(sums)
        return *self._mean(vector, sums, part.count if chosen is None else len(chosen)), losses

    def _of_piece(
        self, piece: Piece, vector: Tensor, prefactors: Prefactors, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give the losses (F,) of a piece, and the gradient (P,) of their weighted sum."""
        targets, layout = self.part.targets.take(piece.frames), self.layout
        mine, derivatives = weights[piece.frames], _counts(targets, prefactors)
        if isinstance(piece, FixedPiece) and isinstance(layout, ElementLayout):
            networks = layout.networks(vector)
            return swept(piece, networks, targets, prefactors, mine, derivatives=derivatives)
        leaf = vector.clone().requires_grad_()
        predicted = piece(layout.networks(leaf), derivatives=derivatives)
        found = frame_losses(predicted, targets, prefactors)
        (found * mine).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return found.detach(), torch.zeros_like(vector) if leaf.grad is None else leaf.grad

    def _mean(self, vector: Tensor, sums: FloatArray, count: int) -> tuple[float, Tensor]:
        share = self.smoothness / self.part.count
        theta = vector.detach()
        value = float(sums[0]) / count + share * float(theta @ theta)
        return value, torch.from_numpy(sums[1:]) / count + 2.0 * share * theta


def _counts(targets: Targets, prefactors: Prefactors) -> bool:
    """Tell whether a force or a virial counts in the loss of any frame."""
    forces = prefactors.force * targets.has_forces
    return bool((forces + prefactors.stress * targets.has_stress).any())


def _row(predicted: tuple[Tensor, Tensor, Tensor], targets: Targets, losses: Tensor) -> FloatArray:
    """Give loss, energy error, force error and force label of each frame, (F, 4)."""
    energy, gradient, _ = predicted
    components = 3.0 * targets.counts

    def rms(vectors: Tensor) -> Tensor:
        zeros = torch.zeros_like(targets.counts)
        return torch.sqrt(zeros.index_add(0, targets.owners, (vectors**2).sum(-1)) / components)

    none = torch.where(targets.has_forces > 0, 1.0, torch.nan)
    columns: Sequence[Tensor] = (
        losses,
        (energy - targets.energy) / targets.counts,
        rms(gradient - targets.gradient) * none,
        rms(targets.gradient) * none,
    )
    return torch.stack(tuple(columns), dim=1).numpy()
