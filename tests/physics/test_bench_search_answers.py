"""The answers of the problems are energies of known phases, relaxed by the reference method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from aga.bench.search.arms import ARMS
from aga.bench.search.jobs import Job
from aga.bench.search.ledger import TOLERANCE
from aga.bench.search.problems import PROBLEMS
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate
from aga.structure.symmetry import space_group
from aga.units import ev_per_a3_from_gpa

Phase = Callable[[], Atoms]


def graphite() -> Atoms:
    places = [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)]
    return crystal(["C"] * 2, places, spacegroup=194, cellpar=[2.5, 2.5, 6.7, 90, 90, 120])


def rutile() -> Atoms:
    places = [(0, 0, 0), (0.305, 0.305, 0)]
    return crystal(["Ti", "O"], places, spacegroup=136, cellpar=[4.5, 4.5, 3, 90, 90, 90])


def octahedra() -> Atoms:
    """Five TiO2: every Ti has six O around it."""
    ti = [(0, 0, 0), (0.5, 0.699, 0), (0, 0.605, 0.5)]
    o = [(0.322, 0, 0.718), (0.164, 0.701, 0.238), (0.825, 0.899, 0.775)]
    cell = [4.8, 14.6, 4.3, 90, 90, 90]
    return crystal(["Ti"] * 3 + ["O"] * 3, ti + o, spacegroup=12, cellpar=cell, primitive_cell=True)


def u3si2() -> Atoms:
    places = [(0, 0, 0), (0.16, 0.66, 0.5), (0.36, 0.86, 0)]
    cell = [5.2, 5.2, 2.4, 90, 90, 90]
    return crystal(["Ni", "Ni", "P"], places, spacegroup=127, cellpar=cell)


def layers() -> Atoms:
    """Ni P Ni Ni P along the axis of a body-centred lattice."""
    places = [(0, 0, 0), (0, 0, 0.2), (0, 0, 0.4)]
    cell = [2.3, 2.3, 12.5, 90, 90, 90]
    return crystal(["Ni", "Ni", "P"], places, spacegroup=139, cellpar=cell, primitive_cell=True)


def ni3sn() -> Atoms:
    places = [(0.833, 0.666, 0.25), (1 / 3, 2 / 3, 0.25)]
    return crystal(["Cu", "Au"], places, spacegroup=194, cellpar=[5.3, 5.3, 4.3, 90, 90, 120])


def cu3au() -> Atoms:
    places = [(0, 0, 0), (0, 0.5, 0.5)]
    return crystal(["Au", "Cu"], places, spacegroup=221, cellpar=[3.7, 3.7, 3.7, 90, 90, 90])


def enthalpy(problem: str, atoms: Atoms, folder: Path) -> tuple[float, str]:
    """Relax a phase; give enthalpy in eV/atom and space group."""
    settings = Job(problem=PROBLEMS[problem], arm=ARMS["ga"], seed=0).settings()
    strict = settings.oracle.model_copy(update={"relax_force": 1e-4})
    oracle = build_oracle(strict, settings.machine, atoms.get_chemical_symbols())
    pressure = ev_per_a3_from_gpa(settings.search.pressure)
    start = Candidate.from_ase(atoms, name=problem)
    relaxed, label = oracle.relax(start, folder, pressure=pressure)
    assert label.details["converged"]
    total = label.energy + pressure * relaxed.volume
    return total / len(relaxed), space_group(relaxed, 0.05).symbol


@pytest.mark.parametrize(
    ("problem", "phase", "group"),
    [
        ("si8", lambda: bulk("Si", a=5.4), "Fd-3m"),
        ("si16", lambda: bulk("Si", a=5.4), "Fd-3m"),
        ("c8", graphite, "P6_3/mmc"),
        ("tio2-2", rutile, "P4_2/mnm"),
        ("tio2-4", rutile, "P4_2/mnm"),
        ("tio2-5", octahedra, "C2/m"),
        ("lj-a3b2", u3si2, "P4/mbm"),
        ("cu-au", ni3sn, "P6_3/mmc"),
    ],
)
def test_the_answer_is_that_of_the_phase(
    problem: str, phase: Phase, group: str, tmp_path: Path
) -> None:
    found, symbol = enthalpy(problem, phase(), tmp_path)
    assert found == pytest.approx(PROBLEMS[problem].answer, abs=2e-5)
    assert symbol == group


@pytest.mark.parametrize(
    ("problem", "phase", "above"),
    [
        ("c8", lambda: bulk("C", a=3.57), 0.0250),
        ("lj-a3b2", layers, 0.01164),
        ("cu-au", cu3au, 0.00352),
    ],
)
def test_rivals_are_farther_than_the_tolerance(
    problem: str, phase: Phase, above: float, tmp_path: Path
) -> None:
    found, _ = enthalpy(problem, phase(), tmp_path)
    answer = PROBLEMS[problem].answer
    assert answer is not None
    assert found - answer == pytest.approx(above, abs=5e-5)
    assert found - answer > TOLERANCE
