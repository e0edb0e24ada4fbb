"""Relaxation directly on the reference method: the one that all direct arms use.

It is the relaxation of the search itself (:mod:`aga.potential.relax`: L-BFGS in atoms and cell
that never goes uphill, with the stopping rule of ``search.relax_force`` and ``relax_steps``), with
the reference method in the place of the committee, one structure after the other.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import voigt_6_to_full_3x3_stress

from aga.bench.search.ledger import Ended, Ledger
from aga.config import SearchSettings
from aga.errors import StructureError
from aga.potential.batch import Batch, Evaluation
from aga.potential.relax.limits import Limits
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.structure.candidate import Candidate, FloatArray, IntArray
from aga.structure.protocols import Prediction, Relaxed
from aga.units import ev_per_a3_from_gpa

__all__ = ["ReferenceEvaluator", "ReferenceRelaxer"]

Answer = tuple[float, FloatArray, FloatArray]
"""Energy (eV), forces (n, 3) in eV/Å, stress (6,) in eV/Å³."""


class ReferenceEvaluator:
    """An ASE calculator as an energy model of the relaxation; its disagreement is 0.

    Parameters
    ----------
    calculator
        Gives energy, forces and stress.
    """

    def __init__(self, calculator: Calculator) -> None:
        self.calculator = calculator
        self._known: dict[bytes, Answer] = {}

    def forget(self) -> None:
        """Drop what was computed: another structure begins."""
        self._known.clear()

    def evaluate(self, batch: Batch) -> Evaluation:
        """Give energies and derivatives, one structure after the other.

        Raises
        ------
        aga.errors.StructureError
            The calculator fails on a structure.
        """
        energies, gradients, strains = [], [], []
        for b in range(len(batch)):
            start, end = batch.offsets[b], batch.offsets[b + 1]
            try:
                energy, forces, stress = self._answer(
                    batch.numbers[start:end], batch.positions[start:end], batch.cells[b]
                )
            except Ended:
                raise
            except Exception as error:
                raise StructureError(f"{batch.names[b]}: {error}", index=b) from error
            energies.append(energy)
            gradients.append(-forces)
            volume = abs(float(np.linalg.det(batch.cells[b])))
            strains.append(volume * voigt_6_to_full_3x3_stress(stress))
        return Evaluation(
            energies=np.array(energies),
            energy_spread=np.zeros(len(batch)),
            gradient=np.concatenate(gradients),
            strain=np.array(strains),
        )

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        """Give what was computed; anew only where a structure has not been evaluated."""
        return [self._prediction(one) for one in candidates]

    def _prediction(self, one: Candidate) -> Prediction:
        energy, forces, stress = self._answer(one.numbers, one.positions, one.cell)
        return Prediction(
            energy=energy,
            energies=np.full(len(one), energy / len(one)),
            energy_spread=0.0,
            forces=forces,
            forces_spread=np.zeros(len(one)),
            force_spread=0.0,
            stress=stress,
        )

    def _answer(self, numbers: IntArray, positions: FloatArray, cell: FloatArray) -> Answer:
        key = positions.tobytes() + cell.tobytes()
        if key not in self._known:
            atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is wrong shows in the numbers
                self.calculator.calculate(atoms, ["energy", "forces", "stress"], list(all_changes))
            found = self.calculator.results
            energy = float(found["free_energy" if "free_energy" in found else "energy"])
            self._known[key] = energy, np.array(found["forces"]), np.array(found["stress"])
        return self._known[key]


class ReferenceRelaxer:
    """Relaxes on the reference method; fulfils :class:`aga.structure.protocols.Relaxer`.

    Parameters
    ----------
    calculator
        Counts in the ledger.
    search
        When a relaxation ends.
    ledger
        Counts the relaxations.

    Attributes
    ----------
    seconds
        Spent here, the reference method included.
    """

    def __init__(self, calculator: Calculator, search: SearchSettings, ledger: Ledger) -> None:
        self._evaluator = ReferenceEvaluator(calculator)
        limits = replace(Limits.from_settings(search), spread_limit=None, batch_size=1)
        self._relaxer = BatchedRelaxer(
            self._evaluator,
            limits,
            pressure=ev_per_a3_from_gpa(search.pressure),
            optimizer=search.relax_optimizer,
            symmetry_tolerance=search.symmetry_tolerance if search.relax_symmetry else None,
        )
        self._ledger = ledger
        self.seconds = 0.0

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        """Relax one after the other; never raises for one of them.

        Raises
        ------
        aga.bench.search.ledger.Ended
            The answer is found or a cap reached.
        """
        begun = time.perf_counter()
        try:
            return [self._relaxed(one) for one in candidates]
        finally:
            self.seconds += time.perf_counter() - begun

    def _relaxed(self, candidate: Candidate) -> Relaxed:
        self._ledger.relaxing()
        self._evaluator.forget()
        (relaxed,) = self._relaxer.relax([candidate])
        return relaxed
