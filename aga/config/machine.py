"""What differs from site to site: addresses, folders, commands, cores."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from aga.config.base import Positive, Section

__all__ = ["MachineSettings"]


class MachineSettings(Section):
    """What differs from site to site; may stand in a file of its own."""

    database: str | None = Field(
        None, description="mongodb://host:port/name; the embedded server where empty"
    )
    launchpad: Path | None = Field(
        None, description="my_launchpad.yaml of FireWorks, instead of `database`"
    )
    run_dir: Path = Field(Path("aga-runs"), description="folder of run directories and logs")
    workers: int = Field(2, ge=1, description="worker processes of `aga run`")
    threads: int = Field(
        1, ge=1, description="cores of each worker that relaxes, where there is no GPU"
    )
    mpi_command: str = Field(
        "mpiexec -n {ranks}", description="command that starts a program on some MPI ranks"
    )
    relax_ranks: int = Field(
        1, ge=1, description="MPI ranks that share the relaxations of each generation"
    )
    training_ranks: int = Field(
        1, ge=1, description="MPI ranks that share the frames of each member's training"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the committee is evaluated; auto: on a GPU where there is one"
    )
    precision: Literal["float64", "float32"] = Field(
        "float64",
        description="of the work per pair of atoms on a GPU; float32 for one that is slow in "
        "float64",
    )
    espresso_command: str = Field("pw.x", description="command that starts pw.x")
    pseudo_dir: Path = Field(
        Path("/usr/share/espresso/pseudo"),
        description="folder of Quantum ESPRESSO's pseudopotentials",
    )
    gpaw_command: str = Field(
        "gpaw python", description="command that starts a Python that has GPAW"
    )
    gpaw_setup_dir: Path = Field(
        Path("/usr/share/gpaw-setups"), description="folder of GPAW's PAW setups"
    )
    abinit_command: str = Field("abinit", description="command that starts ABINIT")
    abinit_pseudo_dir: Path = Field(
        Path("/usr/share/abinit/psp"), description="folder of ABINIT's pseudopotentials"
    )
    cp2k_command: str = Field("cp2k", description="command that starts CP2K")
    cp2k_data_dir: Path = Field(
        Path("/usr/share/cp2k"), description="folder of CP2K's basis sets and pseudopotentials"
    )
    vasp_command: str = Field("vasp_std", description="command that starts VASP")
    vasp_potcar_dir: Path | None = Field(
        None,
        description="folder of POTCAR files as pymatgen's PMG_VASP_PSP_DIR wants it; that of "
        "pymatgen's own settings where empty",
    )
    lammps_command: str = Field("lmp", description="command that starts LAMMPS")
    lammps_potential_dir: Path = Field(
        Path("/usr/share/lammps/potentials"),
        description="folder in which LAMMPS looks for files of `pair_coeff`",
    )
    queue_dir: Path = Field(
        Path("hpc/slurm"),
        description="folder of the queue adapters and fworkers that `aga submit` hands to SLURM",
    )
    lease: Positive = Field(
        120.0, description="seconds without a sign of life after which a step is given away"
    )
    patience: float = Field(
        600.0, ge=0, description="seconds to wait for a full disk or a database that is away"
    )
