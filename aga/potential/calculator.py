"""The committee as an ASE calculator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from aga.errors import InputError, ModelError
from aga.potential.atoms import enclosed, own_stress, predict_atoms
from aga.potential.batch import Batch, BatchEvaluator, stress_from_strain
from aga.potential.device.choice import Device
from aga.potential.kinds import AnyCommittee, AnyModel, load_model, make_committee

__all__ = ["CommitteeCalculator", "read_committee", "read_member"]


class CommitteeCalculator(Calculator):  # type: ignore[misc] # ASE is untyped here
    """The mean of a committee and the spread of its members.

    ``results`` has

    ``energy``, ``free_energy``
        eV.
    ``energies``
        (n,) eV, the shares of the atoms, which add up to the energy.
    ``forces``
        (n, 3) eV/Å.
    ``stress``
        (6,) eV/Å³, ASE's sign and Voigt order; where the cell has a volume.
    ``energy_spread``
        eV/atom, standard deviation of the members' energies per atom.
    ``forces_spread``
        (n,) eV/Å, for each atom the norm of the standard deviation of the members' forces.
    ``force_spread``
        eV/Å, the largest of them.

    Structures may be periodic in any directions or in none.

    Parameters
    ----------
    committee
        The potential.
    forces_spread
        Whether the spread of the forces is wanted, which takes the forces of every member. Without
        it ``forces_spread`` and ``force_spread`` are absent, ``energies`` are computed when asked
        for, and a step of molecular dynamics costs about as much as on a single member.
    **kwargs
        Those of ASE's ``Calculator``.
    """

    implemented_properties: ClassVar[list[str]] = [
        *("energy", "free_energy", "energies", "forces", "stress")
    ]

    def __init__(
        self,
        committee: BatchEvaluator,
        *,
        forces_spread: bool = True,
        **kwargs: Any,  # noqa: ANN401 - ASE's own
    ) -> None:
        super().__init__(**kwargs)
        self.committee = committee
        self.forces_spread = forces_spread

    @classmethod
    def from_files(
        cls,
        paths: str | Path | Iterable[str | Path],
        *,
        device: Device = "cpu",
        threads: int = 1,
        **kwargs: Any,  # noqa: ANN401 - ASE's own
    ) -> Self:
        """Read model files, one for each member.

        Parameters
        ----------
        paths
            One file or several.
        device
            Where to compute; for one small structure at a time the processor is faster.
        threads
            Of the processor; worth it for large structures.
        **kwargs
            ``forces_spread``, and those of ASE's ``Calculator``.

        Raises
        ------
        aga.errors.InputError
            A file is not there.
        aga.errors.ModelError
            One that can't be read, or models that do not fit together; names the file.
        """
        listed = [paths] if isinstance(paths, str | Path) else list(paths)
        committee = read_committee([Path(path) for path in listed], device=device, threads=threads)
        return cls(committee, **kwargs)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Predict everything at once.

        Raises
        ------
        aga.errors.StructureError
            Nothing can be computed for the atoms: a position that is not finite, two atoms on
            one point, a cell without volume.
        aga.errors.ModelError
            An element without a network.
        """
        super().calculate(atoms, properties, system_changes)
        self.results = {}  # where the prediction fails, none of the last one stays
        whole = self.forces_spread or "energies" in properties
        results = self._everything() if whole else self._mean()
        if not np.isfinite(results["stress"]).all():
            del results["stress"]
        self.results = {"free_energy": results["energy"], **results}

    def _everything(self) -> dict[str, Any]:
        (said,) = predict_atoms(self.committee, [self.atoms])
        results = {
            "energy": said.energy,
            "energies": said.energies.copy(),
            "energy_spread": said.energy_spread,
            "forces": said.forces.copy(),
            "stress": said.stress.copy(),
        }
        if self.forces_spread:
            results["forces_spread"] = said.forces_spread.copy()
            results["force_spread"] = said.force_spread
        return results

    def _mean(self) -> dict[str, Any]:
        inside = enclosed(self.atoms, self.atoms.get_chemical_formula())
        batch = Batch.pack([inside])
        said = self.committee.evaluate(batch)
        stress = stress_from_strain(said.strain, batch.volumes)[0]
        return {
            "energy": float(said.energies[0]),
            "energy_spread": float(said.energy_spread[0]),
            "forces": -said.gradient,
            "stress": own_stress(stress, inside, self.atoms),
        }


def read_member(path: Path) -> AnyModel:
    """Read one model file.

    Raises
    ------
    aga.errors.InputError
        It is not there.
    aga.errors.ModelError
        It can't be read; names the file.
    """
    try:
        return load_model(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", file=str(path)) from error
    except ModelError as error:
        raise ModelError(
            f"{path}: {error.message}", remedy=error.remedy, **{**error.facts, "file": str(path)}
        ) from error


def read_committee(
    paths: Sequence[Path], *, device: Device = "cpu", threads: int = 1
) -> AnyCommittee:
    """Read model files, one for each member, to be computed on a device or by some threads.

    Raises
    ------
    aga.errors.InputError, aga.errors.ModelError
        As :func:`read_member`; or the models do not fit together, or not on a GPU.
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    models = [read_member(path) for path in paths]
    version = paths[0].name if len(paths) == 1 else f"{len(paths)} model files"
    return make_committee(models, version=version, device=device, threads=threads)
