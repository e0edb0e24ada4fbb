"""Where the time of an evaluation goes: each stage by itself, through the public functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from aga.bench.cases import Case, Form
from aga.bench.counts import count, count_work
from aga.bench.timing import interleave
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import repelled
from aga.potential.network_kernel import evaluate_stack

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
    networks = partial(evaluate_stack, committee.networks, G, pairs.species, mean=True)
    adjoints = networks()[1][0]
    calls: dict[str, Callable[[], object]] = {
        "neighbours": lambda: descriptor.pairs(batch),
        "values": lambda: descriptor.values_and_moments(pairs),
        "networks": networks,
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
