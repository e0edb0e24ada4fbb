"""Made-up individuals and labelled structures whose fingerprints are chosen by the test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aga.search.individual import Individual, Known
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Relaxed, RelaxReason

MakeIndividual = Callable[..., Individual]
MakeKnown = Callable[..., Known]


def cube(name: str, edge: float = 5.43) -> Candidate:
    """Eight silicon atoms on a simple cubic grid; edge 5.43 Å: 20 Å³/atom, 2.7 Å apart."""
    grid = np.array(np.meshgrid(*[[0.0, 0.5]] * 3)).reshape(3, -1).T
    return Candidate(
        name=name, numbers=np.full(8, 14), positions=grid * edge, cell=np.eye(3) * edge
    )


def at(distance: float, axis: int = 1) -> FloatArray:
    """Give a fingerprint at this cosine distance from ``at(0)``, off into one direction."""
    vector = np.zeros(12)
    cosine = 1 - 2 * distance
    vector[0] = cosine
    vector[axis] = np.sqrt(1 - cosine**2)
    return vector


@pytest.fixture
def make_individual() -> MakeIndividual:
    def make(
        name: str,
        enthalpy: float,
        *,
        fingerprint: FloatArray | None = None,
        spread: float = 0.01,
        reason: RelaxReason = "converged",
        edge: float = 5.43,
    ) -> Individual:
        relaxed = Relaxed(
            candidate=cube(name, edge),
            energy=8 * enthalpy,
            enthalpy=8 * enthalpy,
            energy_spread=spread,
            force_spread=0.1,
            max_force=0.01,
            steps=10,
            reason=reason,
        )
        own = at(0.0) if fingerprint is None else fingerprint
        return Individual(relaxed=relaxed, fingerprint=own)

    return make


@pytest.fixture
def make_known() -> MakeKnown:
    def make(name: str, enthalpy: float, *, fingerprint: FloatArray | None = None) -> Known:
        own = at(0.0) if fingerprint is None else fingerprint
        return Known(candidate=cube(name), enthalpy_per_atom=enthalpy, fingerprint=own)

    return make


@pytest.fixture
def fingerprint_at() -> Callable[..., FloatArray]:
    return at
