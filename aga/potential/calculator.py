"""The committee as an ASE calculator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from aga.errors import InputError, ModelError
from aga.potential.atoms import predict_atoms
from aga.potential.device import Device
from aga.potential.kinds import AnyCommittee, AnyModel, load_model, make_committee
from aga.structure.protocols import Committee

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
        Anything that predicts.
    **kwargs
        Those of ASE's ``Calculator``.
    """

    implemented_properties: ClassVar[list[str]] = [
        *("energy", "free_energy", "energies", "forces", "stress")
    ]

    def __init__(self, committee: Committee, **kwargs: Any) -> None:  # noqa: ANN401 - ASE's own
        super().__init__(**kwargs)
        self.committee = committee

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
            Of the processor; worth it from about fifty atoms.
        **kwargs
            Those of ASE's ``Calculator``.

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
        (said,) = predict_atoms(self.committee, [self.atoms])
        results: dict[str, Any] = {
            "energy": said.energy,
            "free_energy": said.energy,
            "energies": said.energies.copy(),
            "forces": said.forces.copy(),
            "energy_spread": said.energy_spread,
            "forces_spread": said.forces_spread.copy(),
            "force_spread": said.force_spread,
        }
        if np.isfinite(said.stress).all():
            results["stress"] = said.stress.copy()
        self.results = results


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
