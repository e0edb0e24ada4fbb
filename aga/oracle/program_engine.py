"""Engines that run an external program: label, relaxation in rounds, what is told of both."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import OracleError
from aga.oracle.base import Engine
from aga.oracle.executables import EXECUTABLES, not_started, raise_problems, split_command
from aga.oracle.job import Done, Job, Program
from aga.oracle.lattice import reduced_cell
from aga.oracle.path import path_points
from aga.oracle.relaxation import Relaxation
from aga.oracle.repair import Inputs
from aga.oracle.rounds import End, Round, Step, Walk, best_end, borne_out, steps_before, walked
from aga.oracle.runner import Run, mark
from aga.oracle.validation import Output, check_volume, force_norm, validate
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label
from aga.structure.symmetry_operations import symmetrised

__all__ = ["ProgramEngine"]

RELAX_ROUNDS = 3
"""Relaxations in a row: plane waves and k-points of each belong to the cell it started from."""

NEARLY_SYMMETRIC = 0.05
"""Å; a structure this close to more symmetry is relaxed with it. The k-points of an almost
symmetric cell are not symmetric: they are many more, and pull the cell away from the symmetry
that it has."""


class ProgramEngine(Engine, Program):
    """Common part of engines that run a program in a directory of its own.

    A subclass says what to ask (``inputs``), writes it (``write``), judges how the program
    ended (``examine``) and reads its answer (``read``); names its repairs (``ladder``) and its
    command (:data:`aga.oracle.executables.EXECUTABLES`).

    Raises
    ------
    aga.errors.MissingExecutableError
        The command of the machine settings is not there.
    aga.errors.MissingPseudopotentialError
        An element has no file.
    aga.errors.SettingsError
        The settings do not belong together.
    """

    stem = "run"

    def __init__(
        self, settings: OracleSettings, machine: MachineSettings, composition: Mapping[str, int]
    ) -> None:
        super().__init__(settings, machine, composition)
        raise_problems(self.check(self.options, machine, composition))

    @abstractmethod
    def inputs(self, candidate: Candidate) -> Inputs:
        """Give what the program is asked for a single point, as plain JSON values."""

    @abstractmethod
    def read(self, done: Done, candidate: Candidate) -> Output:
        """Read energy, forces and stress of a run that came to its end.

        Raises
        ------
        aga.errors.OracleError
            ``garbage`` where the output can't be read or belongs to another structure.
        """

    def facts(self, done: Done) -> dict[str, Any]:
        """Give what is worth keeping with a label, beside what all engines keep."""
        return {key: done.inputs["kpoints"]["grid"] for key in ("kpoints",) if key in done.inputs}

    def command(self) -> list[str]:
        """Give the command of the machine settings."""
        return list(split_command(getattr(self.machine, EXECUTABLES[self.name].setting)))

    def missing(self, ended: Run) -> None:
        """Raise what is missing where the command could not be started."""
        not_started(self.name, self.machine, ended)

    def label(self, candidate: Candidate, run_dir: Path) -> Label:
        """Run a single point; see :class:`aga.structure.protocols.Oracle`.

        A run that fails is tried again with the repairs of the ``ladder``, within the time
        limit of the job; ``details["repairs"]`` names those used, ``details["sha256"]`` is the
        hash of structure and settings.

        Raises
        ------
        aga.errors.OracleError
            No usable result, with the reason.
        aga.errors.DiskFullError
            No space left for the run directory.
        """
        start = time.perf_counter()
        job = Job(self, run_dir, self.stem, self.settings.timeout)
        reduced, _ = reduced_cell(candidate)
        done = job.run(reduced, self.inputs(reduced))
        output = self._accepted(done, reduced, self.settings.max_force)
        job.finished(done.directory)
        assert output.energy is not None  # noqa: S101 - shown by validate, for the type checker
        assert output.forces is not None  # noqa: S101 - shown by validate, for the type checker
        return Label(
            energy=output.energy,
            forces=output.forces,
            stress=output.stress,
            evaluations=1,
            seconds=time.perf_counter() - start,
            details={
                "engine": self.name,
                **self.facts(done),
                "sha256": done.seal.sha256,
                "runs": job.runs,
                "repairs": job.repairs,
                "max_force": force_norm(output.forces),
            },
        )

    def relax(
        self, candidate: Candidate, run_dir: Path, *, pressure: float
    ) -> tuple[Candidate, Label]:
        """Relax atoms and cell in rounds, each with a fresh single point after it.

        Each round begins at the symmetry that the structure has within
        :data:`NEARLY_SYMMETRIC`. In it the basis and the k-points stay those of its start; so it is
        repeated from its own result until a fresh single point has the forces and the stress
        asked for. Each run of the program has the time limit of a job. ``pressure`` in eV/Å³;
        see :meth:`aga.oracle.base.Engine.relax`. The path has the single points and the steps
        that are like them; ``details["unlike_single_points"]`` counts the other steps.
        """
        start = time.perf_counter()
        now, spent, steps = candidate, 0, self.settings.relax_steps
        path: list[tuple[Candidate, Output]] = []
        unlike = 0
        ends: list[End] = []
        for _ in range(RELAX_ROUNDS):
            begun, _ = symmetrised(now, NEARLY_SYMMETRIC)
            walk = self.relax_round(begun, run_dir, Round(pressure=pressure, steps=steps))
            now = walk.best
            check_volume(now.volume, candidate.volume, where=f"{self.name}: {candidate.name}")
            label = self.label(now, run_dir)
            alike = self._like_single_points(walk, begun, label)
            unlike += len(steps_before(walk)) - len(alike)
            path += [(step.candidate, step.output) for step in alike]
            path.append((now, _as_output(label)))
            ends.append(End.of(now, label, pressure))
            spent, steps = spent + walk.evaluations + 1, steps - walk.evaluations
            if ends[-1].residual <= self.settings.relax_force or steps <= 0:
                break
        end = best_end(ends)
        limit = self.settings.max_force
        return end.candidate, replace(
            end.label,
            evaluations=spent,
            seconds=time.perf_counter() - start,
            details=end.label.details
            | {
                "converged": end.residual <= self.settings.relax_force,
                "residual": end.residual,
                "unlike_single_points": unlike,
            },
            path=path_points(candidate, path, max_force=limit, source=self.name),
        )

    def relax_round(self, candidate: Candidate, run_dir: Path, task: Round) -> Walk:
        """Relax once; give the best structure, what went before it and the evaluations spent.

        Here by single points with an optimizer outside; engines whose program relaxes well by
        itself let it. A single point that fails ends the round, and what went before is kept.
        """
        reduced, operation = reduced_cell(candidate)
        inputs = self.inputs(reduced)
        calls = 0

        def evaluate(structure: Candidate) -> Output:
            nonlocal calls
            job = Job(self, run_dir, "relax", self.settings.timeout)
            done = job.run(structure, inputs)
            calls += 1
            output = self._accepted(done, structure, None)
            job.finished(done.directory)
            return output

        relaxation = Relaxation(self.name, reduced, task.pressure, evaluate)
        try:
            _, found, output = relaxation.run(self.settings.relax_force, task.steps)
        except OracleError:
            if relaxation.best is None:
                raise
            _, found, output = relaxation.best
        history = [Step(candidate=one, output=said) for one, said in relaxation.history]
        best = Step(candidate=found, output=output)
        return walked(candidate, operation, history, best, calls)

    def _like_single_points(self, walk: Walk, begun: Candidate, fresh: Label) -> list[Step]:
        """Give the steps of a round whose numbers a single point would give too.

        The fresh single point at its end must bear the round out, and the k-points of the round
        must be those that a step's own cell gets: in between, a grid may jump and come back.
        """
        if not borne_out(walk, fresh):
            return []
        sampling = self._sampling(begun)
        return [one for one in steps_before(walk) if self._sampling(one.candidate) == sampling]

    def _sampling(self, candidate: Candidate) -> tuple[Any, Any] | None:
        """Give cell and k-points of a single point; None where there are no k-points."""
        reduced, operation = reduced_cell(candidate)
        points = self.inputs(reduced).get("kpoints")
        return None if points is None else (operation.tolist(), points)

    def _accepted(self, done: Done, candidate: Candidate, max_force: float | None) -> Output:
        try:
            output = self.read(done, candidate)
            validate(
                output,
                candidate,
                max_force=max_force,
                needs_stress=True,
                source=self.name,
            )
        except OracleError as error:
            error.facts.setdefault("directory", str(done.directory))
            mark(done.directory, "failed", reason=error.reason)
            raise
        return output


def _as_output(label: Label) -> Output:
    return Output(energy=label.energy, forces=label.forces, stress=label.stress)
