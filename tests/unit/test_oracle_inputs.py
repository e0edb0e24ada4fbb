"""What each program is told, and how its answer is read: spin, grids, signs, wrong options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from pydantic import ValidationError

from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle import abinit, cp2k, cp2k_input, lammps
from aga.oracle.abinit import Abinit, AbinitOptions
from aga.oracle.cp2k_input import Cp2kOptions
from aga.oracle.dft import DftOptions, kpoints
from aga.oracle.gpaw import Gpaw, GpawOptions
from aga.oracle.lammps import LammpsOptions
from aga.oracle.program_engine import ProgramEngine
from aga.oracle.registry import options_schema
from aga.oracle.vasp_input import VaspOptions
from aga.structure.candidate import Candidate

FEO = Candidate.from_ase(bulk("FeO", "rocksalt", a=4.3), name="a")
SPIN = {"spin": "collinear", "magnetic_moments": {"Fe": 3.5}}
DFT = {"espresso", "gpaw", "abinit", "cp2k", "vasp"}


def bare(engine: type[ProgramEngine], **options: object) -> ProgramEngine:
    """Give an engine without asking whether its program is here."""
    made = object.__new__(engine)
    made.options = engine.Options.model_validate(options)
    made.settings = OracleSettings(engine=engine.name)
    made.machine = MachineSettings()
    return made


def test_density_functional_codes_share_the_names_of_their_options() -> None:
    schemas = options_schema()
    for name in DFT:
        assert set(DftOptions.model_fields) <= set(schemas[name]["properties"]), name
        for key in ("kpoint_spacing", "kpoint_shift", "spin", "magnetic_moments"):
            told = schemas[name]["properties"][key]
            assert told == DftOptions.model_json_schema()["properties"][key]


def test_the_grid_is_of_the_cell_alone() -> None:
    found = kpoints(GpawOptions(kpoint_spacing=0.5, kpoint_shift=True), FEO)
    assert found == {"grid": [6, 6, 6], "shift": True}  # 2π√3/4.3 Å = 2.53/Å


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (GpawOptions, {"pseudopotentials": {"Sj": "1"}}),
        (GpawOptions, {"ecut": 0}),
        (AbinitOptions, {"variables": {"Ecut": 3}}),
        (AbinitOptions, {"occopt": 1}),
        (Cp2kOptions, {"mixing": 2}),
        (VaspOptions, {"incar": {"kspacing": 0.5}}),
        (VaspOptions, {"input_set": "MySet"}),
        (VaspOptions, {"magnetic_moments": {"Sj": 1}}),
        (LammpsOptions, {"pair_coeff": ["* *"]}),
        (LammpsOptions, {"pair_style": "tersoff", "pair_coef": []}),
    ],
)
def test_wrong_options_are_refused(options: type, wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        options.model_validate(wrong)


def test_abinit_is_told_cell_and_spin(tmp_path: Path) -> None:
    engine = bare(Abinit, **SPIN, kpoint_shift=True, variables={"ixc": 11})
    engine.write(tmp_path, FEO, engine.inputs(FEO), "aga-mark")
    text = (tmp_path / "run.abi").read_text(encoding="utf-8")
    assert 'outdata_prefix "aga-mark"' in text
    assert "znucl 26 8" in text
    assert "typat 1 2" in text
    assert "nsppol 2" in text
    assert "spinat 0 0 3.5\n0 0 0.0" in text
    assert "shiftk 0.5 0.5 0.5" in text
    assert "ixc 11" in text
    plain = bare(Abinit)
    plain.write(tmp_path, FEO, plain.inputs(FEO), "aga-mark")
    assert "spinat" not in (tmp_path / "run.abi").read_text(encoding="utf-8")


def test_abinit_files_of_two_functionals_are_refused(tmp_path: Path) -> None:
    for element, pspxc in (("Fe", "11"), ("O", "-1012")):
        text = f"title\n 8.0 6.0 170101\n 8 {pspxc} 1 4 600 0\n"
        (tmp_path / f"{element}.psp8").write_text(text, encoding="utf-8")
    (problem,) = abinit._check_files(AbinitOptions(), tmp_path, ["Fe", "O"])
    assert problem.key == "oracle.options.pseudopotentials"
    assert "Fe: 11, O: -1012" in problem.message
    assert not abinit._check_files(AbinitOptions(), tmp_path, ["O"])


def test_cp2k_grids_lie_on_and_off_gamma() -> None:
    """Its own grids are off Γ where they are even, on it where they are odd."""
    told = {
        (n, shift): cp2k_input._scheme({"grid": [n, n, n], "shift": shift}).split()[4]
        for n in (2, 3)
        for shift in (True, False)
    }
    assert {key: float(word) for key, word in told.items()} == {
        (2, True): 0.0,
        (2, False): 0.25,
        (3, True): pytest.approx(1 / 6),
        (3, False): 0.0,
    }


def test_cp2k_is_told_spin(tmp_path: Path) -> None:
    inputs = cp2k_input.scf_inputs(Cp2kOptions.model_validate(SPIN), FEO)
    cp2k_input.write_input(tmp_path / "in", FEO, inputs, "aga-mark")
    words = (tmp_path / "in").read_text(encoding="utf-8").split()
    assert words[words.index("PROJECT") + 1] == "aga-mark"
    assert words[words.index("UKS") + 1] == ".TRUE."
    assert words.count("MAGNETIZATION") == 2
    assert words[words.index("MAGNETIZATION") + 1] == "3.5"
    assert words.count("&FORCE_EVAL") == 1
    opened = [w for w in words if w.startswith("&") and w != "&END"]
    assert len(opened) == words.count("&END")


OLD = """ ATOMIC FORCES in [a.u.]

 # Atom   Kind   Element          X              Y              Z
      1      1      Si          0.10000000     0.20000000    -0.30000000
      2      1      Si         -0.10000000    -0.20000000     0.30000000
 SUM OF ATOMIC FORCES          -0.00000000     0.00000002    -0.00000001     0.00000002

 STRESS| Analytical stress tensor [GPa]
 STRESS|                        x                   y                   z
 STRESS|      x        1.60217663400E+02   6.0E+00   5.0E+00
 STRESS|      y        6.0E+00   2.0E+00   4.0E+00
 STRESS|      z        5.0E+00   4.0E+00   3.0E+00
 STRESS|      x           0.520519883599     -0.791548424221     -0.320172052016
"""
NEW = """ FORCES| Atomic forces [hartree/bohr]
 FORCES| Atom     x                      y                      z             |f|
 FORCES|      1  0.10000000  0.20000000 -0.30000000  0.374
 FORCES|      2 -0.10000000 -0.20000000  0.30000000  0.374
 FORCES| Sum     0.0 0.0 0.0 0.0
 STRESS| Analytical stress tensor [bar]
 STRESS|      x        1.60217663400E+06   6.0E+04   5.0E+04
 STRESS|      y        6.0E+04   2.0E+04   4.0E+04
 STRESS|      z        5.0E+04   4.0E+04   3.0E+04
"""


@pytest.mark.parametrize("text", [OLD, NEW])
def test_cp2k_output_of_both_kinds_is_read(text: str) -> None:
    forces, stress = cp2k._forces(text), cp2k._stress(text)
    assert forces is not None
    assert stress is not None
    np.testing.assert_allclose(forces[0], np.array([0.1, 0.2, -0.3]) * 51.4220675, rtol=1e-6)
    np.testing.assert_allclose(stress * -160.2176634, [160.2176634, 2, 3, 4, 5, 6])
    assert cp2k._forces("") is None
    assert cp2k._stress("") is None


def test_gpaw_is_told_spin_atom_by_atom(tmp_path: Path) -> None:
    engine = bare(Gpaw, **SPIN, pseudopotentials={"Fe": "Fe8"})
    engine.write(tmp_path, FEO, engine.inputs(FEO), "aga-mark")
    told = json.loads((tmp_path / "gpaw.json").read_text(encoding="utf-8"))
    assert told["seal"] == "aga-mark"
    assert told["moments"] == [3.5, 0.0]
    assert told["calculator"]["basis"]["setups"] == {"Fe": "Fe8", "O": "paw"}
    assert told["calculator"]["basis"]["spin"] == "collinear"
    assert told["relax"] is None


def test_lammps_files_are_found_here_and_in_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.tersoff").touch()
    engine = bare(
        lammps.Lammps,
        pair_style="hybrid tersoff lj/cut 8.0",
        pair_coeff=["* * tersoff mine.tersoff {elements}", "1 2 lj/cut 0.01 3.4"],
    )
    told = engine.inputs(FEO)["potential"]
    assert told["pair_style"] == "hybrid tersoff lj/cut 8.0"
    assert told["pair_coeff"][0] == f"* * tersoff {tmp_path}/mine.tersoff Fe O"
    assert told["pair_coeff"][1] == "1 2 lj/cut 0.01 3.4"


def test_lammps_says_which_file_and_which_charge_is_missing(tmp_path: Path) -> None:
    machine = MachineSettings(lammps_command="true", lammps_potential_dir=tmp_path)
    options = LammpsOptions(
        pair_style="buck/coul/long 11.0",
        pair_coeff=["1 1 11782.7 0.234 30.22", "* * no-such.eam.alloy {elements}"],
        atom_style="charge",
        charges={"O": -2},
    )
    problems = {p.key: p for p in lammps.Lammps.check(options, machine, {"Fe": 1, "O": 1})}
    assert set(problems) == {"machine.lammps_potential_dir", "oracle.options.charges"}
    assert "no-such.eam.alloy" in problems["machine.lammps_potential_dir"].message
    assert "Fe" in problems["oracle.options.charges"].message
