"""Who of many structures is being relaxed, and their trials as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aga.potential.batch import Batch, Evaluation
from aga.potential.relax.fixed_symmetry import pack_symmetries
from aga.potential.relax.lbfgs import make_history
from aga.potential.relax.limits import Limits
from aga.potential.relax.minimise import EXPLODED, Pool, Rules, Said, advance, pack_trials
from aga.potential.relax.steps import CELL_LENGTH, STATE, Vectors
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.symmetry_operations import Operations, symmetrised

__all__ = ["ActiveSet"]


class ActiveSet:
    """The structures of one relaxation: finished ones leave, waiting ones enter.

    Parameters
    ----------
    candidates
        All of them.
    limits
        When each ends.
    rules
        What the kernel needs to know.
    symmetry_tolerance
        Å; the symmetry found at the start is kept. None: nothing is kept.

    Attributes
    ----------
    states
        (C,) records of :data:`aga.potential.relax.steps.STATE`.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        limits: Limits,
        rules: Rules,
        symmetry_tolerance: float | None = None,
    ) -> None:
        self._given = list(candidates)
        operations: list[Operations | None] = [None] * len(candidates)
        if symmetry_tolerance is not None:
            found = [symmetrised(one, symmetry_tolerance) for one in candidates]
            candidates, operations = [one for one, _ in found], [kept for _, kept in found]
        self._rules = rules
        self.states = _states(candidates, limits)
        slots = min(limits.batch_size, len(candidates))
        self._pool = Pool(
            self.states,
            _vectors(candidates),
            make_history(0 if rules.fire else slots, int(self.states["size"].max(initial=0))),
            pack_symmetries(operations),
        )
        self._free = list(range(slots))
        self._entered = 0
        self._active = np.zeros(0, dtype=np.int64)
        self._refill()

    def __len__(self) -> int:
        """Give the number of active structures."""
        return len(self._active)

    def trials(self) -> Batch:
        """Give the active structures' trials."""
        positions = np.empty((len(self._numbers), 3))
        cells = np.empty((len(self._active), 3, 3))
        pack_trials(self._pool, self._active, positions, cells)
        return Batch(
            names=self._names,
            numbers=self._numbers,
            positions=positions,
            cells=cells,
            offsets=self._offsets,
        )

    def receive(self, said: Evaluation) -> None:
        """Take the evaluation of all trials and make the next ones."""
        arrays = Said(*(_plain(getattr(said, name)) for name in Said._fields))
        if advance(self._pool, self._active, arrays, self._rules):
            self._refill()

    def refuse(self, place: int) -> None:
        """Take out the structure at a place of the batch: its trial can't be evaluated."""
        self.states["reason"][self._active[place]] = EXPLODED
        self._refill()

    def final(self, which: int) -> Candidate:
        """Give a structure at its best point; as it was where it could never be evaluated."""
        state = self.states[which]
        if state["evaluations"] == 0:
            return self._given[which]
        best = self._pool.vectors.best[state["start"] :][: state["size"]].reshape(-1, 3)
        return self._given[which].moved(best[:-3], best[-3:])

    def _refill(self) -> None:
        """Let the finished leave and waiting ones enter; note what stays until the next time."""
        states = self.states
        done = states["reason"][self._active] != 0
        self._free += states["slot"][self._active[done]].tolist()
        end = min(self._entered + len(self._free), len(states))
        new = np.arange(self._entered, end)
        states["slot"][new] = [self._free.pop() for _ in new]
        self._entered = end
        self._active = np.concatenate([self._active[~done], new])
        chosen = [self._given[c] for c in self._active.tolist()]
        self._names = tuple(one.name for one in chosen)
        self._numbers = np.concatenate([np.zeros(0, np.int64), *(one.numbers for one in chosen)])
        self._offsets = np.concatenate([[0], np.cumsum(states["atoms"][self._active])])


def _plain(array: FloatArray) -> FloatArray:
    """Give an array of the one kind that the kernel is compiled for."""
    if array.dtype == np.float64 and array.flags.carray:
        return array
    return np.array(array, dtype=np.float64, order="C")


def _states(candidates: Sequence[Candidate], limits: Limits) -> npt.NDArray[np.void]:
    states = np.zeros(len(candidates), dtype=STATE)
    states["atoms"] = [len(one) for one in candidates]
    states["size"] = 3 * states["atoms"] + 9
    states["start"] = np.cumsum(states["size"]) - states["size"]
    states["scale"] = CELL_LENGTH * np.sqrt(states["atoms"])
    states["enthalpy"] = states["max_force"] = states["max_strain_force"] = np.inf
    volumes = [limits.volumes(len(one), one.volume) for one in candidates]
    states["smallest"], states["largest"] = np.array(volumes).reshape(-1, 2).T
    return states


def _vectors(candidates: Sequence[Candidate]) -> Vectors:
    parts = [part.ravel() for one in candidates for part in (one.positions, one.cell)]
    start = np.concatenate([np.zeros(0), *parts])
    return Vectors(start.copy(), start, *(np.zeros_like(start) for _ in range(3)))
