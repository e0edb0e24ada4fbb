"""Inputs of Quantum ESPRESSO: pseudopotentials, cells, grids, cutoffs, templates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.stress import full_3x3_to_voigt_6_stress
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from aga.config.load import load_settings
from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle.espresso_input import EspressoOptions, cutoffs, scf_inputs, write_input
from aga.oracle.lattice import Axes, few_symmetries, kpoint_grid, reduced_cell
from aga.oracle.pseudopotentials import choose_pseudopotentials, read_header
from aga.oracle.registry import check_oracle
from aga.structure.candidate import Candidate

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "espresso"

VERSION_1 = """<PP_INFO>
</PP_INFO>
<PP_HEADER>
   0                   Version Number
  {element}                    Element
   NC                  Norm - Conserving pseudopotential
    F                  Nonlinear Core Correction
 SLA  PZ   NOGX NOGC   PZ   Exchange-Correlation functional
    {charge}      Z valence
    -5.34834           Total energy (Ha)
  0.0000000  0.0000000 Suggested cutoff for wfc and rho
</PP_HEADER>
"""
VERSION_2 = """<UPF version="2.0.1"><PP_INFO>ecutwfc</PP_INFO>
<PP_HEADER author='"A" &lt;b@c&gt;' element="{element} " pseudo_type="{kind}"
 functional="{functional}" has_so="{so}" z_valence="4.000000000000e0"
 wfc_cutoff="{wfc}" rho_cutoff="{rho}" />
"""


def upf(folder: Path, name: str, **words: object) -> Path:
    values = {
        "element": name.split(".", maxsplit=1)[0],
        "functional": "PBE",
        "kind": "US",
        "so": "false",
        "wfc": "0.0",
        "rho": "0.0",
    } | words
    path = folder / name
    path.write_text(VERSION_2.format(**values), encoding="utf-8")
    return path


def old_upf(folder: Path, name: str, charge: str = "4.00000000000") -> Path:
    path = folder / name
    element = name.split(".", maxsplit=1)[0]
    path.write_text(VERSION_1.format(element=element, charge=charge), encoding="utf-8")
    return path


def choose(folder: Path, elements: str, functional: str | None = None, **named: str) -> object:
    files, problems = choose_pseudopotentials(named, folder, elements.split(), functional)
    if problems:
        return [f"{p.key}: {p.message} ({p.hint})" for p in problems]
    return {el: p.path.name for el, p in files.items()}


def test_headers_of_both_versions_are_read(tmp_path: Path) -> None:
    old = read_header(old_upf(tmp_path, "C.UPF"))
    assert (old.element, old.functional, old.kind, old.ordinary) == ("C", "PZ", "NC", True)
    new = read_header(upf(tmp_path, "O.pbe.UPF", functional=" SLA  PW   PBX PBC", wfc="41.0"))
    assert (new.element, new.functional, new.kind, new.wfc_cutoff) == ("O", "PBE", "US", 41.0)
    (tmp_path / "x.UPF").write_text("no header", encoding="utf-8")
    with pytest.raises(ValueError, match="not a UPF"):
        read_header(tmp_path / "x.UPF")


def test_files_of_one_functional_are_found_by_element(tmp_path: Path) -> None:
    upf(tmp_path, "Ti.pz.UPF", functional="SLA PZ NOGX NOGC")
    upf(tmp_path, "O.pz.UPF", functional="SLA PZ NOGX NOGC")
    upf(tmp_path, "O.pbe.1.0.UPF", wfc="40.0")
    upf(tmp_path, "O.pbe.0.1.UPF", wfc="40.0")
    upf(tmp_path, "O.rel-pbe.UPF", so="true", wfc="40.0")
    assert choose(tmp_path, "O") == {"O": "O.pbe.1.0.UPF"}
    assert choose(tmp_path, "O Ti") == {"O": "O.pz.UPF", "Ti": "Ti.pz.UPF"}
    assert choose(tmp_path, "O", "PZ") == {"O": "O.pz.UPF"}
    assert choose(tmp_path, "O Ti", O="O.pz.UPF") == {"O": "O.pz.UPF", "Ti": "Ti.pz.UPF"}


def test_functionals_are_never_mixed(tmp_path: Path) -> None:
    upf(tmp_path, "Ti.pz.UPF", functional="SLA PZ NOGX NOGC")
    upf(tmp_path, "O.pbe.UPF")
    (text,) = choose(tmp_path, "Ti O")
    assert text.startswith("oracle.options.pseudopotentials:")
    assert "O: PBE" in text
    assert "Ti: PZ" in text
    (text,) = choose(tmp_path, "Ti O", Ti="Ti.pz.UPF", O="O.pbe.UPF")
    assert "can't be mixed" in text
    assert "Ti.pz.UPF is PZ" in text


def test_a_missing_file_names_the_folder_and_what_is_there(tmp_path: Path) -> None:
    upf(tmp_path, "Si.pbe-n.UPF")
    old_upf(tmp_path, "C.UPF")
    texts = choose(tmp_path, "Si Au C", Si="Si.pbe-m.UPF", C="Si.pbe-n.UPF")
    assert isinstance(texts, list)
    by_key = {text.split(":")[0]: text for text in texts}
    silicon = by_key["oracle.options.pseudopotentials.Si"]
    assert str(tmp_path) in silicon
    assert "did you mean Si.pbe-n.UPF?" in silicon
    assert "no UPF file for Au" in by_key["oracle.options.pseudopotentials.Au"]
    assert "made for Si" in by_key["oracle.options.pseudopotentials.C"]
    (text,) = choose(tmp_path / "nowhere", "Si")
    assert text.startswith("machine.pseudo_dir")


def test_alchemical_atoms_are_not_taken_unasked(tmp_path: Path) -> None:
    old_upf(tmp_path, "C.frac.UPF", charge="3.98148000000")
    assert "no files of" in str(choose(tmp_path, "C"))
    assert choose(tmp_path, "C", C="C.frac.UPF") == {"C": "C.frac.UPF"}


def test_cutoffs_follow_the_files_unless_given(tmp_path: Path) -> None:
    soft = {"O": read_header(upf(tmp_path, "O.a.UPF", wfc="41.2", rho="360.0"))}
    plain = {"C": read_header(old_upf(tmp_path, "C.UPF"))}
    assert cutoffs(EspressoOptions(), soft) == (42, 360)
    assert cutoffs(EspressoOptions(), plain) == (40, 160)
    assert cutoffs(EspressoOptions(ecutwfc=30), soft) == (30, 360)
    assert cutoffs(EspressoOptions(ecutwfc=50), soft) == (50, 400)
    assert cutoffs(EspressoOptions(ecutwfc=30, ecutrho=240), soft) == (30, 240)


@pytest.mark.parametrize(
    "options",
    [
        {"ecutwfc": -1},
        {"ecutwfc": 30, "ecutrho": 60},
        {"kpoint_spacing": 0},
        {"mixing_beta": 2},
        {"smearing": "much"},
        {"pseudopotentials": {"Sj": "x.UPF"}},
        {"input_data": {"atoms": {"nspin": 2}}},
        {"input_data": {"control": {"Calculation": "md"}}},
        {"input_data": {"system": {"nspin": 2}}},
        {"input_data": {"system": {"starting_magnetization(1)": 0.5}}},
        {"magnetic_moments": {"Sj": 1}},
        {"spin": "up"},
        {"unknown": 1},
    ],
)
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EspressoOptions.model_validate(options)


def test_spin_is_given_per_valence_electron(tmp_path: Path) -> None:
    files = {el: read_header(upf(tmp_path, f"{el}.pbe.UPF")) for el in ("Fe", "O")}
    options = EspressoOptions(spin="collinear", magnetic_moments={"Fe": 3})
    atoms = bulk("FeO", "rocksalt", a=4.3)
    candidate = Candidate.from_ase(atoms, name="a")
    inputs = scf_inputs(options, files, tmp_path, candidate)
    write_input(tmp_path / "pw.in", candidate.to_ase(), inputs, files, "aga-mark")
    words = (tmp_path / "pw.in").read_text(encoding="utf-8").split()
    assert words[words.index("nspin") + 2] == "2"
    assert float(words[words.index("starting_magnetization(1)") + 2]) == 0.75  # of 4 electrons
    assert float(words[words.index("starting_magnetization(2)") + 2]) == 0.0
    plain = scf_inputs(EspressoOptions(magnetic_moments={"Fe": 3}), files, tmp_path, candidate)
    assert "nspin" not in plain["system"]


def test_the_grid_is_as_dense_as_asked() -> None:
    cell = np.array([[3.0, 0, 0], [1.0, 4.0, 0], [0, 0, 30.0]])
    grid = np.array(kpoint_grid(cell, 0.25))
    lengths = np.linalg.norm(2 * np.pi * np.linalg.inv(cell).T, axis=1)
    assert (lengths / grid <= 0.25 + 1e-9).all()
    assert (lengths / np.maximum(grid - 1, 0.1) > 0.25).all()
    assert grid[2] == 1


def test_equal_lattices_get_equal_grids_whatever_their_cell() -> None:
    diamond = Candidate.from_ase(bulk("Si", a=5.4), name="a")
    grids = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        basis = np.eye(3, dtype=int)
        for _ in range(4):
            i, j = rng.choice(3, 2, replace=False)
            basis[i] += int(rng.integers(-2, 3)) * basis[j]
        noise = np.eye(3) + rng.normal(0, 1e-4, (3, 3))
        other = diamond.moved(diamond.positions, basis @ diamond.cell @ noise)
        reduced, operation = reduced_cell(other)
        np.testing.assert_allclose(operation @ other.cell, reduced.cell, atol=1e-10)
        assert np.linalg.det(operation) == pytest.approx(1)
        grids.add(kpoint_grid(reduced.cell, 0.35))
    assert grids == {(6, 6, 6)}


def test_symmetries_are_counted() -> None:
    atoms = bulk("Si", a=5.4)
    assert not few_symmetries(Candidate.from_ase(atoms, name="a"))
    atoms.positions[1] += [0.1, 0.03, -0.05]
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + np.triu(np.full((3, 3), 0.07), 1)))
    assert few_symmetries(Candidate.from_ase(atoms, name="a"))


def test_axes_and_origin_are_those_of_the_tables() -> None:
    """Whichever way a crystal of rutile lies: its fourfold axis along z, Ti at the origin."""
    a, c, u = 4.59, 2.96, 0.305
    rutile = Atoms(
        "Ti2O4",
        cell=[a, a, c],
        scaled_positions=[
            (0, 0, 0),
            (0.5, 0.5, 0.5),
            (u, u, 0),
            (-u, -u, 0),
            (0.5 + u, 0.5 - u, 0.5),
            (0.5 - u, 0.5 + u, 0.5),
        ],
        pbc=True,
    )
    straight = Candidate.from_ase(rutile, name="a")
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    lying = straight.moved(
        (straight.positions + np.array([0.3, 1.7, -0.9])) @ turn, straight.cell @ turn
    )
    axes = Axes.of(lying)
    turned = axes.turned(lying)
    np.testing.assert_allclose(np.abs(turned.cell[2]), [0, 0, c], atol=1e-6)
    halves = 2 * turned.positions[:2] @ np.linalg.inv(turned.cell)
    np.testing.assert_allclose(halves, np.rint(halves), atol=1e-5)
    back = axes.turned_back(turned)
    np.testing.assert_allclose(back.positions, lying.positions, atol=1e-12)
    np.testing.assert_allclose(back.cell, lying.cell, atol=1e-12)


def test_forces_and_stresses_turn_back_with_the_crystal() -> None:
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    axes = Axes(rotation=turn, origin=np.zeros(3))
    pull = np.array([0.3, -0.2, 0.5])
    np.testing.assert_allclose(axes.forces_back(pull[None] @ turn), pull[None], atol=1e-12)
    tensor = np.outer(pull, pull)
    told = full_3x3_to_voigt_6_stress(turn.T @ tensor @ turn)
    np.testing.assert_allclose(
        axes.stress_back(told), full_3x3_to_voigt_6_stress(tensor), atol=1e-12
    )


def test_a_triclinic_crystal_stays_where_it_is() -> None:
    atoms = bulk("Si", a=5.4)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + np.triu(np.full((3, 3), 0.07), 1)))
    candidate = Candidate.from_ase(atoms, name="a")
    turned = Axes.of(candidate).turned(candidate)
    np.testing.assert_array_equal(turned.positions, candidate.positions)
    np.testing.assert_array_equal(turned.cell, candidate.cell)


def test_templates_are_valid_settings() -> None:
    names = sorted(path.name for path in TEMPLATES.glob("*.yaml"))
    assert names == ["si-lda.yaml", "tio2-lda.yaml"]
    for name in names:
        settings = load_settings(TEMPLATES / name)
        assert settings.oracle.engine == "espresso"
        EspressoOptions.model_validate(settings.oracle.options)


@pytest.mark.espresso
def test_templates_run_on_the_pseudopotentials_of_debian() -> None:
    for path in sorted(TEMPLATES.glob("*.yaml")):
        settings = load_settings(path)
        counts = settings.search.atom_counts()
        assert check_oracle(settings.oracle, MachineSettings(), counts) == []


@pytest.mark.espresso
def test_without_options_files_are_found_among_those_of_debian() -> None:
    settings = OracleSettings(engine="espresso")
    for elements in (["Si"], ["Ti", "O"], ["Cu"], ["C", "H", "O"]):
        assert check_oracle(settings, MachineSettings(), elements) == []
