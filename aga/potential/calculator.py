"""The committee as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from aga.errors import StructureError
from aga.structure.candidate import Candidate
from aga.structure.protocols import Committee

__all__ = ["CommitteeCalculator"]


class CommitteeCalculator(Calculator):  # type: ignore[misc] # ASE is untyped here
    """Energy (eV), forces (eV/Å) and stress (eV/Å³, ASE sign, Voigt) of a committee's mean.

    ``results`` also has ``energy_spread`` (eV/atom, standard deviation over the members) and
    ``force_spread`` (eV/Å, largest over the atoms).

    Parameters
    ----------
    committee
        Anything that predicts.
    **kwargs
        Those of ASE's ``Calculator``.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, committee: Committee, **kwargs: Any) -> None:  # noqa: ANN401 - ASE's own
        super().__init__(**kwargs)
        self.committee = committee

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Predict energy, forces, stress and their spreads at once.

        Raises
        ------
        aga.errors.StructureError
            The atoms are not periodic in three directions, or nothing can be computed for them.
        """
        super().calculate(atoms, properties, system_changes)
        if not self.atoms.pbc.all():
            raise StructureError(
                "the committee knows only structures periodic in three directions",
                remedy="put a cluster or slab into a cell with enough vacuum and set pbc=True",
            )
        prediction = self.committee.predict([Candidate.from_ase(self.atoms, name="atoms")])[0]
        self.results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "forces": prediction.forces.copy(),
            "stress": prediction.stress.copy(),
            "energy_spread": prediction.energy_spread,
            "force_spread": prediction.force_spread,
        }
