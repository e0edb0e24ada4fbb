"""Where the time of an evaluation goes: each stage by itself, through the public functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from aga.bench.cases import Case, Form
from aga.bench.counts import count, count_work
from aga.bench.timing import interleave
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import repelled
from aga.potential.model import Model
from aga.potential.network import Weights, evaluate

__all__ = ["measure_stages"]


def measure_stages(
    case: Case, form: Form, rounds: int, peaks: Mapping[str, float]
) -> dict[str, object]:
    """Measure the stages of one member on one core.

    Returns
    -------
    dict
        ``case``, ``form``; ``pairs_per_atom`` and ``triplets_per_atom``, those with all three
        sides within the cutoff; for ``neighbours``, ``values``, ``networks``, ``vjp`` and
        ``repulsion`` µs per atom in ``us_per_atom`` and the share of their sum in ``shares``;
        ``exponentials`` and ``multiply_adds`` per atom, and the µs they take at the peaks of a
        core in ``floor_us``.
    """
    model = case.models(form)[0]
    committee = NetworkCommittee([model])
    descriptor, batch = committee.descriptor, Batch.pack(case.candidates)
    pairs = descriptor.pairs(batch)
    G, moments = descriptor.values_and_moments(pairs)
    adjoints = np.ascontiguousarray(_networks(model, G, pairs.species))
    calls: dict[str, Callable[[], object]] = {
        "neighbours": lambda: descriptor.pairs(batch),
        "values": lambda: descriptor.values_and_moments(pairs),
        "networks": lambda: _networks(model, G, pairs.species),
        "vjp": lambda: descriptor.vjp(pairs, adjoints, moments),
        "repulsion": lambda: repelled(model.repulsion, batch, pairs),
    }
    samples = interleave(calls, rounds)
    times = {name: samples.median(name) / case.atoms * 1e6 for name in calls}
    total = sum(times.values())
    counts = count(pairs)
    work = count_work(case.functions, form, counts)
    return {
        "case": case.name,
        "form": form,
        "pairs_per_atom": counts.pairs,
        "triplets_per_atom": counts.triplets,
        "exponentials": work.exponentials,
        "multiply_adds": work.multiply_adds,
        "floor_us": work.floor(peaks),
        "us_per_atom": times,
        "shares": {name: value / total for name, value in times.items()},
    }


def _networks(model: Model, G: np.ndarray, species: np.ndarray) -> np.ndarray:
    """Give ∂E/∂G (N, D), atoms taken element by element as the committee does."""
    x, adjoints = torch.from_numpy(G), np.empty_like(G)
    with torch.no_grad():
        for element, symbol in enumerate(model.functions.elements):
            atoms = np.flatnonzero(species == element)
            weights: Weights = model.weights[symbol]
            _, adjoint = evaluate(weights, model.activation, x[torch.from_numpy(atoms)])
            adjoints[atoms] = adjoint[0].numpy()
    return adjoints
