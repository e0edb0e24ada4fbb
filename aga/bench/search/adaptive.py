"""Arms that relax on the committee: searches of aga, with the reference method counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from aga.bench.search.bout import Bout
from aga.bench.search.observer import SOUND
from aga.cycle.whole import Outcome, Trained, run_search
from aga.errors import OracleError
from aga.potential.kinds import make_committee
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label, Prediction, Relaxed
from aga.training.fit import fit_member
from aga.training.recipe import Recipe
from aga.units import ev_per_a3_from_gpa

__all__ = ["adaptive"]

SAMPLE = 40
"""Relaxed structures that the committee's order is compared on."""


def adaptive(bout: Bout) -> None:
    """Run a search to its own verdict, final relaxations included, unless the ledger ends it.

    Notes in ``bout.facts``: ``verdict`` and ``labels`` (calls before the final relaxations) of
    one that came to its end, and ``correlation`` (Spearman's, of the enthalpies that the
    committee in service predicted for structures it relaxed and those of the reference method at
    the same geometries; these evaluations are not counted).
    """
    sample = _Sample(bout)

    def train(frames: Sequence[Frame], iteration: int, previous: Trained | None) -> Trained:
        return _trained(bout, frames, iteration, previous, sample)

    try:
        outcome = run_search(bout.settings, _Reference(bout), train, bout.folder)
        bout.facts.update(_facts(outcome))
    finally:
        with bout.clock.part("watching"):
            bout.facts["correlation"] = sample.correlation()


def _facts(outcome: Outcome) -> dict[str, Any]:
    return {"verdict": outcome.verdict.state, "labels": outcome.calls}


def _trained(
    bout: Bout, frames: Sequence[Frame], iteration: int, previous: Trained | None, sample: _Sample
) -> Trained:
    """Train the committee of an iteration, from the weights of the one before."""
    settings = bout.settings
    before: Any = None
    if previous is not None:
        assert isinstance(previous.committee, _Committee)  # noqa: S101 - made here
        before = previous.committee.inner.models
    recipe = Recipe.of_search(settings)
    recipe = recipe if before is None else recipe.continued()
    with bout.clock.part("training"):
        models = [
            fit_member(
                frames, recipe, member=m, previous=None if before is None else before[m]
            ).model
            for m in range(settings.potential.members)
        ]
        committee = make_committee(
            models, version=f"v{iteration:03d}", device=settings.machine.device
        )
    relaxer = BatchedRelaxer.from_settings(committee, settings.search)
    return Trained(committee=_Committee(committee, bout), relaxer=_Relaxer(relaxer, bout, sample))


class _Committee:
    """A committee whose predictions are not counted as the search's own time."""

    def __init__(self, inner: Any, bout: Bout) -> None:  # noqa: ANN401 - of whichever kind
        self.inner, self._bout = inner, bout

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        """Predict, on the clock."""
        with self._bout.clock.part("potential"):
            return list(self.inner.predict(candidates))


class _Reference:
    """The reference method on the clock; the counting is its calculator's."""

    def __init__(self, bout: Bout) -> None:
        self._bout = bout
        self.name = bout.engine.name

    def label(self, candidate: Candidate, run_dir: Any) -> Label:  # noqa: ANN401 - a path
        """Label."""
        with self._bout.clock.part("reference"):
            return self._bout.engine.label(candidate, run_dir)

    def relax(
        self,
        candidate: Candidate,
        run_dir: Any,  # noqa: ANN401 - a path
        *,
        pressure: float,
    ) -> tuple[Candidate, Label]:
        """Relax at the end of the search."""
        with self._bout.clock.part("reference"):
            self._bout.ledger.relaxing()
            return self._bout.engine.relax(candidate, run_dir, pressure=pressure)


class _Relaxer:
    """Relaxes on the committee, watched."""

    def __init__(self, inner: BatchedRelaxer, bout: Bout, sample: _Sample) -> None:
        self._inner, self._bout, self._sample = inner, bout, sample

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever an operator asks for
        return getattr(self._inner, name)

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        """Relax as one batch."""
        with self._bout.clock.part("relaxation"):
            found = self._inner.relax(candidates)
        with self._bout.clock.part("watching"):
            # what is relaxed anew on a newer committee is known by intent
            fresh = [r for r in found if r.candidate.lineage.operator != "relaxation"]
            self._bout.duplicates.see(fresh)
            facts = self._bout.facts
            facts["proposed"] = facts.get("proposed", 0) + len(fresh)
            self._sample.see(fresh)
        return found


class _Sample:
    """Structures drawn evenly from all that was relaxed (reservoir sampling, Vitter's R)."""

    def __init__(self, bout: Bout) -> None:
        self._bout = bout
        self._rng = stream(bout.settings.search.seed, "bench", "sample")
        self._seen = 0
        self.kept: list[Relaxed] = []

    def see(self, found: Sequence[Relaxed]) -> None:
        """Let each that was relaxed soundly have the same chance."""
        for one in found:
            if one.reason not in SOUND:
                continue
            self._seen += 1
            if len(self.kept) < SAMPLE:
                self.kept.append(one)
            elif (place := int(self._rng.integers(self._seen))) < SAMPLE:
                self.kept[place] = one

    def correlation(self) -> float | None:
        """Give Spearman's coefficient; None with fewer than five structures."""
        pressure = ev_per_a3_from_gpa(self._bout.settings.search.pressure)
        pairs = []
        for one in self.kept:
            try:
                said = self._bout.engine.inner.label(one.candidate, self._bout.folder / "sample")
            except OracleError:
                continue
            enthalpy = said.energy + pressure * one.candidate.volume
            pairs.append((one.enthalpy_per_atom, enthalpy / len(one.candidate)))
        if len(pairs) < 5:
            return None
        value = float(spearmanr(*np.array(pairs).T).statistic)
        return value if np.isfinite(value) else None
