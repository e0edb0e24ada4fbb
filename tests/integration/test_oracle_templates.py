"""Templates of engines that run a program: all are valid; those meant for a desk give a label."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from aga.config.load import load_settings
from aga.oracle.executables import EXECUTABLES
from aga.oracle.registry import build_oracle, check_oracle
from aga.structure.candidate import Candidate

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
FILES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.glob("*/*.yaml"))
SITE = ("machine.", "oracle.options.pseudopotentials", "oracle.options.basis_sets")


def for_a_desk(name: str) -> bool:
    return "meant for a cluster" not in " ".join(text(name).replace("#", " ").split())


def text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


RUN = [
    pytest.param(name, marks=[getattr(pytest.mark, name.split("/")[0]), pytest.mark.slow], id=name)
    for name in FILES
    if for_a_desk(name)
]


def structure(composition: str) -> Atoms:
    made = {
        "Si2": lambda: bulk("Si", a=5.4),
        "SiC": lambda: bulk("SiC", "zincblende", a=4.36, cubic=True),
        "TiO2": lambda: crystal(
            ["Ti", "O"],
            [(0, 0, 0), (0.305, 0.305, 0)],
            spacegroup=136,
            cellpar=[4.59, 4.59, 2.96, 90, 90, 90],
        ),
    }[composition]()
    made.positions[1] += [0.05, 0.02, -0.03]
    return made


def test_every_engine_that_runs_a_program_has_a_template() -> None:
    assert {name.split("/")[0] for name in FILES} == set(EXECUTABLES)
    assert {name.values[0].split("/")[0] for name in RUN} == set(EXECUTABLES) - {"vasp"}


@pytest.mark.parametrize("name", FILES)
def test_templates_are_valid_and_say_how_they_are_run(name: str) -> None:
    settings = load_settings(TEMPLATES / name)
    assert settings.oracle.engine == name.split("/", maxsplit=1)[0]
    assert f"aga run templates/{name} --output " in text(name)
    if settings.oracle.engine == "vasp" and importlib.util.find_spec("custodian") is None:
        pytest.skip("custodian is not installed")
    problems = check_oracle(settings.oracle, settings.machine, settings.search.atom_counts())
    assert [p for p in problems if not p.key.startswith(SITE)] == []


@pytest.mark.parametrize("name", RUN)
def test_templates_for_a_desk_give_a_label(name: str, tmp_path: Path) -> None:
    settings = load_settings(TEMPLATES / name)
    counts = settings.search.atom_counts()
    assert check_oracle(settings.oracle, settings.machine, counts) == []
    atoms = structure(str(settings.search.composition))
    candidate = Candidate.from_ase(atoms, name="template")
    label = build_oracle(settings.oracle, settings.machine, counts).label(candidate, tmp_path)
    assert label.stress is not None
    assert label.details["repairs"] == []


@pytest.mark.lammps
def test_lammps_and_our_own_potential_agree_on_titanium_dioxide(tmp_path: Path) -> None:
    """The same potential by two programs; LAMMPS cuts the dispersion at 11 Å, ours does not."""
    settings = load_settings(TEMPLATES / "lammps" / "tio2-coulomb.yaml")
    counts, atoms = settings.search.atom_counts(), structure("TiO2")
    candidate = Candidate.from_ase(atoms, name="rutile")
    own = settings.oracle.model_copy(update={"engine": "matsui-akaogi", "options": {}})
    theirs = build_oracle(settings.oracle, settings.machine, counts).label(candidate, tmp_path)
    ours = build_oracle(own, settings.machine, counts).label(candidate, tmp_path)
    assert theirs.energy / len(atoms) == pytest.approx(ours.energy / len(atoms), abs=0.01)
    assert theirs.forces == pytest.approx(ours.forces, abs=2e-3)
    assert theirs.stress == pytest.approx(ours.stress, abs=2e-3)
