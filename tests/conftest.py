"""What the tests share: what the machine must have, the embedded database."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from aga.potential.model import Model
    from aga.potential.symmetry.functions import FunctionSet
    from aga.store.repository import Repository
    from aga.structure.protocols import Frame

settings.register_profile(
    # Machines differ and are shared: how long an example takes is no property of the code.
    # CI draws the same examples each time; elsewhere new ones are tried.
    "aga",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("aga")

ROOT = Path(__file__).resolve().parent.parent


def _no_program(name: str) -> str | None:
    return None if shutil.which(name) else f"{name} is not installed"


def _no_embedded() -> str | None:
    from aga.errors import MissingExecutableError
    from aga.store.server import find_engine

    try:
        find_engine(ROOT / "no-data-here")
    except MissingExecutableError as error:
        return str(error)
    return None


def shared_folder() -> Path:
    """Folder of reference data that is not part of the repository."""
    return Path(os.environ.get("AGA_SHARED", ROOT.parent / "shared"))


def _no_shared_data() -> str | None:
    folder = shared_folder() / "data"
    return None if folder.is_dir() else f"{folder} is missing (set AGA_SHARED)"


def _no_mpi() -> str | None:
    from aga.errors import SiteError
    from aga.parallel.launch import find_launcher

    try:
        find_launcher(None, 2)
    except SiteError as error:
        return str(error)
    return None


def _no_slurm() -> str | None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    programs = ("slurmctld", "slurmd", "munged", "sbatch", "squeue")
    missing = [name for name in programs if shutil.which(name, path=path) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    return None if os.geteuid() == 0 else "only root can start its daemons"


def _no_gpu() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "PyTorch sees no GPU"


ABSENT: dict[str, Callable[[], str | None]] = {
    "cuda": _no_gpu,
    "espresso": lambda: _no_program("pw.x"),
    "gpaw": lambda: _no_program("gpaw"),
    "cp2k": lambda: _no_program("cp2k"),
    "abinit": lambda: _no_program("abinit"),
    "lammps": lambda: _no_program("lmp"),
    "vasp": lambda: None if find_spec("custodian") else "custodian is not installed",
    "embedded": _no_embedded,
    "shared_data": _no_shared_data,
    "slurm": _no_slurm,
    "mpi": _no_mpi,
}
"""Name of a requirement → says why it is absent, or None."""


def require(name: str) -> None:
    """Skip the test where the machine lacks something; fail if AGA_REQUIRE names it."""
    why = ABSENT[name]()
    if why is None:
        return
    if name in os.environ.get("AGA_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"AGA_REQUIRE names {name}, but {why}", pytrace=False)
    pytest.skip(f"{name}: {why}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check what a test's markers ask for: the marker alone is enough."""
    for marker in item.iter_markers():
        if marker.name in ABSENT:
            require(marker.name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of reference data."""
    require("shared_data")
    return shared_folder() / "data"


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One embedded database server for all tests; gives mongodb://127.0.0.1:PORT."""
    require("embedded")
    from aga.store.server import start, stop

    folder = tmp_path_factory.mktemp("database")
    uri = start(folder).uri
    assert uri is not None
    yield uri.rpartition("/")[0]
    stop(folder)


@pytest.fixture
def embedded_database(embedded_server: str) -> str:
    """Give the address of a database of the test's own on the embedded server."""
    return f"{embedded_server}/test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def repository(embedded_database: str) -> Iterator[Repository]:
    """Give an empty repository on the embedded server."""
    from aga.store.repository import Repository

    with Repository.open(embedded_database) as opened:
        yield opened


@pytest.fixture(scope="session")
def make_member() -> Callable[..., Model]:
    """Give a function that makes a member of a committee with random weights."""
    import torch

    from aga.potential.guard import Repulsion
    from aga.potential.model import Model
    from aga.potential.network import initialise
    from aga.potential.symmetry.presets import automatic
    from aga.rng import stream

    def make(
        seed: int, elements: tuple[str, ...] = ("O", "Ti"), functions: FunctionSet | None = None
    ) -> Model:
        chosen = automatic(elements, 4.0) if functions is None else functions
        generator, rng = torch.Generator().manual_seed(seed), stream(seed, "member")
        shape = (len(elements), chosen.size)
        return Model(
            functions=chosen,
            hidden=(7, 5),
            activation="tanh",
            weights={el: initialise(chosen.size, (7, 5), generator) for el in elements},
            mean=rng.normal(1.0, 0.2, shape),
            scale=rng.uniform(0.5, 2.0, shape),
            reference_energies=rng.normal(-5.0, 0.1, len(elements)),
            energy_scale=0.7,
            repulsion=Repulsion(chosen.elements),
            facts={"member": seed},
        )

    return make


@pytest.fixture(scope="session")
def make_silicon() -> Callable[[str], Frame]:
    """Give a function that labels a cell of Tersoff silicon: diamond, shaken and strained by a
    random amount that depends on its name."""
    import numpy as np
    from ase.build import bulk
    from matscipy.calculators.manybody import Manybody
    from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
    from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
        Tersoff_PRB_39_5566_Si_C,
    )

    from aga.rng import stream
    from aga.structure.candidate import Candidate
    from aga.structure.protocols import Frame

    def make(name: str) -> Frame:
        rng = stream(7, name)
        atoms = bulk("Si", "diamond", a=5.432, cubic=True)
        strain = rng.normal(0, 0.02, (3, 3))
        scale = rng.uniform(0.97, 1.04) * (np.eye(3) + 0.5 * (strain + strain.T))
        atoms.set_cell(atoms.cell @ scale, scale_atoms=True)
        atoms.positions += rng.normal(0, rng.uniform(0.02, 0.12), (8, 3))
        atoms.calc = Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
        return Frame(
            candidate=Candidate.from_ase(atoms, name=name),
            energy=float(atoms.get_potential_energy()),
            forces=atoms.get_forces(),
            stress=atoms.get_stress(),
            source="tersoff",
        )

    return make


@pytest.fixture(autouse=True)
def _no_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let printed tables have the width of no terminal; a test runner may set one."""
    monkeypatch.delenv("COLUMNS", raising=False)
