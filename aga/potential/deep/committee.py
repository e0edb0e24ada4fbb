"""A committee of smooth Deep Potential models: the same methods, other networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from aga.errors import ModelError
from aga.potential.batch import Batch, Evaluation
from aga.potential.deep.model import DeepModel, element_networks
from aga.potential.deep.network import ElementNetworks, Evaluated, evaluate_deep
from aga.potential.deep.smooth import SLOTS, pack
from aga.potential.guard import repelled
from aga.potential.neighbours import Pairs, find_pairs
from aga.potential.network import Weights
from aga.potential.votes import Votes, predictions, totals
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Prediction

__all__ = ["DeepCommittee"]


class DeepCommittee:
    """M members evaluated together; standard deviations divide by M.

    Embedding networks differ from member to member, so the members share the neighbourhoods but
    not the descriptors, and M of them cost nearly M times as much as one.

    Parameters
    ----------
    models
        The members: same descriptor, layers and activation.
    version
        Name of the committee, for provenance.

    Raises
    ------
    aga.errors.ModelError
        No member, or members that do not fit together.
    """

    def __init__(self, models: Sequence[DeepModel], version: str = "") -> None:
        if not models:
            raise ModelError("a committee needs at least one member")
        for number, model in enumerate(models):
            if _kind(model) != _kind(models[0]):
                raise ModelError(
                    f"member {number} does not fit the first: descriptor, layers, activation and "
                    "repulsion must be the same",
                    member=number,
                )
        self.models = tuple(models)
        self.version = version
        self.descriptor = models[0].descriptor
        self.repulsion = models[0].repulsion
        self._networks = _stacked(self.models)

    def __len__(self) -> int:
        """Give the number of members."""
        return len(self.models)

    def evaluate(self, batch: Batch) -> Evaluation:
        """Give mean energies, their spread and the derivatives of the mean.

        Raises
        ------
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """
        votes, pairs = self._votes(batch, mean=True)
        energies = totals(votes.atomic, batch)
        extra = repelled(self.repulsion, batch, pairs)
        return Evaluation(
            energies=energies.mean(axis=0) + extra.energies,
            energy_spread=energies.std(axis=0) / batch.counts,
            gradient=votes.gradient[0] + extra.gradient,
            strain=votes.strain[0] + extra.strain,
        )

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        """Give energies, forces, stresses and the spread of each, in the order given.

        Raises
        ------
        aga.errors.ModelError
            An element without a network.
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """
        for candidate in candidates:
            self.models[0].check_numbers(candidate.numbers, candidate.name)
        if not candidates:
            return []
        batch = Batch.pack(candidates)
        votes, pairs = self._votes(batch)
        return predictions(batch, votes, repelled(self.repulsion, batch, pairs))

    def member_energies(self, candidates: Sequence[Candidate]) -> FloatArray:
        """Give (M, B) total energies in eV, one row per member."""
        batch = Batch.pack(candidates)
        votes, pairs = self._votes(batch)
        total: FloatArray = totals(votes.atomic, batch)
        total += repelled(self.repulsion, batch, pairs).energies
        return total

    def _votes(self, batch: Batch, *, mean: bool = False) -> tuple[Votes, Pairs]:
        descriptor = self.descriptor
        pairs = find_pairs(batch, descriptor.cutoff, descriptor.numbers)
        with torch.no_grad():
            said: Evaluated = evaluate_deep(
                self._networks,
                self.models[0].activation,
                descriptor.axis,
                pack(pairs, descriptor, max(1, SLOTS // len(self))),
                mean=mean,
            )
        strain = 0.5 * (said.strain + said.strain.transpose(-1, -2))
        return Votes(said.atomic.numpy(), said.gradient.numpy(), strain.numpy()), pairs


def _kind(model: DeepModel) -> tuple[object, ...]:
    return model.descriptor, model.hidden, model.activation, model.repulsion


def _stacked(models: Sequence[DeepModel]) -> list[ElementNetworks]:
    """Stack the members' networks, standardisation and energy scale folded in."""
    members = [element_networks(model.networks, model.standard) for model in models]
    return [
        ElementNetworks(
            tuple(map(_stack, zip(*(m.embedding for m in same), strict=True))),
            _stack([m.fitting for m in same]),
            torch.cat([m.gain for m in same]),
            torch.cat([m.offset for m in same]),
        )
        for same in zip(*members, strict=True)
    ]


def _stack(members: Sequence[Weights]) -> Weights:
    return tuple(
        (torch.cat([m for m, _ in layers]).contiguous(), torch.cat([b for _, b in layers]))
        for layers in zip(*members, strict=True)
    )
