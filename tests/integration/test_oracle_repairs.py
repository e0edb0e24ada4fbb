"""Real programs that are given too few steps to converge: mended, and the energy is what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import OracleError
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate

GRID = {"kpoint_spacing": 1.1, "kpoint_shift": True}
# Options of each engine, and the steps that are too few for it.
ENGINES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "espresso": (
        {"pseudopotentials": {"Si": "Si.pz-vbc.UPF"}, "ecutwfc": 14},
        {"electron_maxstep": 3},
    ),
    "gpaw": ({"xc": "LDA", "ecut": 180}, {"max_steps": 4}),
    "abinit": ({"ecut": 7, "tolvrs": 1e-8}, {"nstep": 3}),
    "cp2k": (
        {
            "xc": "LDA",
            "basis_sets": {"Si": "SZV-MOLOPT-SR-GTH"},
            "cutoff": 80,
            "rel_cutoff": 40,
            "eps_scf": 1e-6,
            "added_mos": 4,
        },
        {"max_scf": 4},
    ),
}
PARAMETERS = [pytest.param(name, marks=getattr(pytest.mark, name), id=name) for name in ENGINES]


def silicon() -> Candidate:
    atoms = bulk("Si", a=5.4)
    atoms.positions[1] += [0.1, 0.03, -0.05]
    return Candidate.from_ase(atoms, name="g001-003")


def label(name: str, folder: Path, **options: Any) -> Any:
    settings = OracleSettings(engine=name, options=ENGINES[name][0] | GRID | options)
    return build_oracle(settings, MachineSettings(), ["Si"]).label(silicon(), folder)


@pytest.mark.parametrize("name", PARAMETERS)
def test_too_few_steps_are_mended(name: str, tmp_path: Path) -> None:
    mended = label(name, tmp_path / "few", **ENGINES[name][1])
    assert mended.details["runs"] >= 2
    assert len(mended.details["repairs"]) == mended.details["runs"] - 1
    whole = label(name, tmp_path / "enough")
    assert whole.details["repairs"] == []
    assert mended.energy == pytest.approx(whole.energy, abs=2e-4)
    assert mended.details.get("kpoints") == whole.details.get("kpoints")


@pytest.mark.espresso
def test_a_density_of_a_wider_smearing_is_a_start_for_pw_x(tmp_path: Path) -> None:
    """The third repair: a warm-up run in the same directory, then the smearing asked for."""
    from aga.oracle.espresso import LADDER, Espresso
    from aga.oracle.job import Job
    from aga.oracle.lattice import reduced_cell

    (repair,) = [r for r in LADDER.repairs if r.warm_up]
    settings = OracleSettings(engine="espresso", options=ENGINES["espresso"][0] | GRID)
    oracle = build_oracle(settings, MachineSettings(), ["Si"])
    assert isinstance(oracle, Espresso)
    from aga.oracle.repair import changed

    reduced, _ = reduced_cell(silicon())
    inputs = changed(oracle.inputs(reduced), repair.changes)
    done = Job(oracle, tmp_path, "x", 300)._once(reduced, inputs, repair)
    text = done.ended.text(oracle.output)
    assert "The initial density is read from file" in text
    wanted = oracle.label(silicon(), tmp_path / "plain")
    assert oracle.read(done, reduced).energy == pytest.approx(wanted.energy, abs=1e-5)


@pytest.mark.gpaw
def test_a_density_of_a_wider_smearing_is_a_start_for_gpaw(tmp_path: Path) -> None:
    from aga.oracle.gpaw import Gpaw
    from aga.oracle.job import Job
    from aga.oracle.lattice import reduced_cell
    from aga.oracle.repair import changed

    settings = OracleSettings(engine="gpaw", options=ENGINES["gpaw"][0] | GRID)
    oracle = build_oracle(settings, MachineSettings(), ["Si"])
    assert isinstance(oracle, Gpaw)
    reduced, _ = reduced_cell(silicon())
    inputs = changed(oracle.inputs(reduced), {"cycle": {"warm_up_width": 0.5}})
    warm = oracle.read(Job(oracle, tmp_path, "x", 300).run(reduced, inputs), reduced)
    plain = oracle.label(silicon(), tmp_path / "plain")
    assert warm.energy == pytest.approx(plain.energy, abs=1e-4)


@pytest.mark.lammps
def test_a_mistake_in_the_lines_of_a_potential_is_told_in_lammps_words(tmp_path: Path) -> None:
    options = {"pair_style": "tersof", "pair_coeff": ["* * Si.tersoff Si"]}
    oracle = build_oracle(
        OracleSettings(engine="lammps", options=options), MachineSettings(), ["Si"]
    )
    with pytest.raises(OracleError, match="Unrecognized pair style 'tersof'") as caught:
        oracle.label(silicon(), tmp_path)
    assert caught.value.reason == "crashed"
