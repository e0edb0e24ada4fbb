"""A committee of smooth Deep Potential models: the same methods, other networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from aga.potential.batch import Batch
from aga.potential.deep.model import DeepModel, element_networks
from aga.potential.deep.network import ElementNetworks, Evaluated, evaluate_deep
from aga.potential.deep.smooth import SLOTS, pack
from aga.potential.guard import Repelled, repelled
from aga.potential.neighbours import find_pairs
from aga.potential.network import Weights
from aga.potential.votes import Votes, VotingCommittee, Want

__all__ = ["DeepCommittee"]


class DeepCommittee(VotingCommittee[DeepModel]):
    """M smooth Deep Potential models evaluated together.

    Embedding networks differ from member to member, so the members share the neighbourhoods but
    not the descriptors, and M of them cost nearly M times as much as one. Parameters and errors
    are those of :class:`aga.potential.votes.VotingCommittee`.
    """

    def __init__(self, models: Sequence[DeepModel], version: str = "") -> None:
        super().__init__(models, version)
        self.descriptor = self.models[0].descriptor
        self._networks = _stacked(self.models)

    def votes(self, batch: Batch, want: Want) -> tuple[Votes, Repelled]:
        """Give what every member says; see :meth:`VotingCommittee.votes`."""
        descriptor = self.descriptor
        pairs = find_pairs(batch, descriptor.cutoff, descriptor.numbers)
        with torch.no_grad():
            said: Evaluated = evaluate_deep(
                self._networks,
                self.models[0].activation,
                descriptor.axis,
                pack(pairs, descriptor, max(1, SLOTS // len(self))),
                mean=want != "each",
            )
        strain = 0.5 * (said.strain + said.strain.transpose(-1, -2))
        votes = Votes(said.atomic.numpy(), said.gradient.numpy(), strain.numpy())
        return votes, repelled(self.repulsion, batch, pairs)


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
