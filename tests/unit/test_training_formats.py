"""Labelled files of every format: what is read, and which file and frame an error names."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from aga.errors import DataError
from aga.training.data.formats import read_files, read_frames

PWSCF = Path(__file__).resolve().parents[1] / "data" / "pw-si2.out"


def labelled(symbols: str = "Si2", shift: float = 0.0, **labels: object) -> Atoms:
    atoms = Atoms(symbols, positions=[[0, 0, 0], [1.4, 1.4, 1.4 + shift]], cell=[4, 4, 4], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def full(shift: float = 0.0) -> Atoms:
    return labelled(
        shift=shift,
        energy=-9.0,
        forces=np.full((2, 3), 0.1),
        stress=np.array([1.0, 2, 3, 4, 5, 6]) * 1e-3,
    )


@pytest.mark.parametrize("suffix", [".xyz", ".extxyz", ".xyz.gz"])
def test_labels_are_read_as_they_stand(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    write(path, [full(), labelled(shift=0.2, energy=-8.5)], format="extxyz")
    first, second = read_frames(path, ["Si"])
    assert (first.name, second.name) == ("data-00000", "data-00001")
    assert first.source == path.name
    assert first.energy == -9.0
    np.testing.assert_array_equal(first.forces, np.full((2, 3), 0.1))
    np.testing.assert_allclose(first.stress, np.array([1.0, 2, 3, 4, 5, 6]) * 1e-3)
    assert (second.energy, second.forces, second.stress) == (-8.5, None, None)


def test_a_3x3_stress_a_free_energy_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "by@hand.xyz"
    frame = (
        '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 {} pbc="T T T"\nSi {} 0 0\n'
    )
    path.write_text(
        frame.format('free_energy=-5.5 stress="1 6 5 6 2 4 5 4 3" group=bulk config_type=x', 0.0)
        + frame.format("energy=-5.0 free_energy=-5.5 config_type=liquid", 0.5)
        + frame.format("energy=-5.0 group=7", 1.0)
        + frame.format("energy=-5.0", 1.5)
    )
    frames = read_frames(path)
    np.testing.assert_array_equal(frames[0].stress, [1, 2, 3, 4, 5, 6])
    assert [frame.energy for frame in frames] == [-5.5, -5.0, -5.0, -5.0]
    assert [frame.group for frame in frames] == ["bulk", "liquid", "7", ""]
    again = [type(frame).from_dict(frame.to_dict()) for frame in frames]
    assert [frame.group for frame in again] == ["bulk", "liquid", "7", ""]
    old = frames[0].to_dict()
    del old["group"]
    assert type(frames[0]).from_dict(old).group == ""


@pytest.mark.shared_data
def test_a_real_file(shared_data: Path) -> None:
    frames = read_frames(shared_data / "mlearn" / "Si_test.xyz.gz", ["Si"])
    assert len(frames) > 20
    assert all(f.forces is not None and f.stress is not None for f in frames)
    assert all(-6.0 < f.energy_per_atom < -4.0 for f in frames)
    assert {f.group for f in frames} == {"AIMD-NVT", "Elastic", "Surface", "Vacancy"}


@pytest.mark.parametrize("suffix", [".db", ".json"])
def test_ase_databases(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    with connect(str(path)) as database:
        database.write(full(), group="bulk")
        database.write(labelled(shift=0.2, energy=-8.5))
    first, second = read_frames(path)
    assert (first.name, first.group, second.group) == ("labels-00000", "bulk", "")
    assert (first.energy, second.energy) == (-9.0, -8.5)
    np.testing.assert_allclose(first.stress, np.array([1.0, 2, 3, 4, 5, 6]) * 1e-3)
    with connect(str(path)) as database:
        database.write(Atoms("Si", cell=[3, 3, 3], pbc=True))
    with pytest.raises(DataError, match=rf"labels\{suffix}, frame 2: has no energy"):
        read_frames(path)


# VASP


def vasprun(cycles: Sequence[int], limit: int = 60) -> str:
    """Give a vasprun.xml of two atoms in a cube of 4 Å, an ionic step of so many cycles each."""

    def structure(shift: float, name: str = "") -> str:
        basis = "".join(f"<v>{a} {b} {c}</v>" for a, b, c in 4 * np.eye(3))
        return (
            f'<structure{name}><crystal><varray name="basis">{basis}</varray></crystal>'
            f'<varray name="positions"><v>0 0 0</v><v>0.5 0.5 {0.5 + shift}</v></varray>'
            "</structure>\n"
        )

    def energy(total: float) -> str:
        return (
            f'<energy><i name="e_fr_energy">{total}</i><i name="e_wo_entrp">{total}</i>'
            f'<i name="e_0_energy">{total + 0.25}</i></energy>'
        )

    steps = [
        f"<calculation>{f'<scstep>{energy(-9.0 - step)}</scstep>' * count}"
        + structure(0.01 * step)
        + '<varray name="forces"><v>0 0 0.5</v><v>0 0 -0.5</v></varray>'
        + '<varray name="stress"><v>10 0 0</v><v>0 20 5</v><v>0 5 30</v></varray>'
        + f"{energy(-9.0 - step)}</calculation>\n"
        for step, count in enumerate(cycles)
    ]
    initial = structure(0.0, ' name="initialpos"')
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n'
        '<kpoints><varray name="kpointlist"><v>0 0 0</v></varray>'
        '<varray name="weights"><v>1</v></varray></kpoints>\n'
        f'<parameters><separator name="electronic"><i type="int" name="NELM">{limit}</i>'
        "</separator></parameters>\n"
        '<atominfo><array name="atoms"><set><rc><c>Si</c><c>1</c></rc><rc><c>Si</c><c>1</c></rc>'
        "</set></array></atominfo>\n"
        f"{initial}{''.join(steps)}</modeling>\n"
    )


@pytest.mark.parametrize("name", ["vasprun.xml", "run1.vasprun.xml", "vasprun.xml.gz"])
def test_vasprun(tmp_path: Path, name: str) -> None:
    path, text = tmp_path / name, vasprun([5, 3]).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    first, second = read_frames(path, ["Si"])
    assert first.name == f"{name.partition('.')[0]}-00000"
    assert first.energy == pytest.approx(-8.75)  # extrapolated to no smearing, as ASE has it
    assert second.energy == pytest.approx(-9.75)
    np.testing.assert_allclose(first.forces, [[0, 0, 0.5], [0, 0, -0.5]])
    expected = -0.1 * units.GPa * np.array([10, 20, 30, 5, 0, 0])  # kbar of pressure
    np.testing.assert_allclose(first.stress, expected)
    np.testing.assert_allclose(second.candidate.positions[1], [2, 2, 2.04])


@pytest.mark.parametrize("kept", [0.97, 0.75, 0.6, 0.3])
def test_a_vasprun_that_is_cut_off(tmp_path: Path, kept: float) -> None:
    path, text = tmp_path / "vasprun.xml", vasprun([5, 3])
    path.write_text(text[: int(kept * len(text))])
    whole = path.read_text().count("</calculation>")
    with pytest.raises(DataError, match=rf"vasprun\.xml, frame {whole}: the file ends") as caught:
        read_frames(path)
    assert caught.value.facts["frames"][0]["frame"] == whole
    assert "ase convert" in str(caught.value.remedy)


def test_a_vasp_cycle_that_has_not_converged(tmp_path: Path) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(vasprun([5, 8, 3, 8], limit=8))
    told = "the self-consistent cycle has not converged"
    with pytest.raises(DataError) as caught:
        read_frames(path)
    assert str(caught.value) == f"{path}, frame 1: {told}\n{path}, frame 3: {told}"


def outcar(cycles: Sequence[int], limit: int = 60, *, converged: bool = True) -> str:
    """Give the lines of an OUTCAR that ASE reads, of the same structures as :func:`vasprun`."""
    lines = [
        *[" POTCAR:    PAW_PBE Si 05Jan2001"] * 2,
        "   k-points           NKPTS =      1   k-points in BZ   number of bands    NBANDS=      8",
        "   ions per type =               2",
        f"   NELM   =    {limit};   NELMIN=  2; NELMDL= -5     # of ELM steps",
        "   ISPIN  =      1    spin polarized calculation?",
        " k-points in reciprocal lattice and weights: Gamma",
        "   0.00000000  0.00000000  0.00000000       1.000",
    ]
    for step, count in enumerate(cycles):
        iterations = range(1, count + 1)
        lines += [f"------- Iteration {step + 1:6d}({number:4d})  -------" for number in iterations]
        if converged:
            lines.append("------- aborting loop because EDIFF is reached -------")
        lines += [
            "  in kB      10.00000    20.00000    30.00000     0.00000     5.00000     0.00000",
            "      direct lattice vectors                 reciprocal lattice vectors",
            *(f"  {'  '.join(f'{x:.9f}' for x in (*row, *row / 16))}" for row in 4 * np.eye(3)),
            " POSITION                                       TOTAL-FORCE (eV/Angst)",
            " -------------------------------------------------------------------",
            "   0.00000   0.00000   0.00000     0.000000   0.000000   0.500000",
            f"   2.00000   2.00000   {2 + 0.04 * step:.5f}     0.000000   0.000000  -0.500000",
            "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
            "  ---------------------------------------------------",
            f"  free  energy   TOTEN  =       {-9.0 - step:.8f} eV",
            "",
            f"  energy  without entropy= {-9.0 - step:.8f}  energy(sigma->0) = {-8.75 - step:.8f}",
        ]
    return "\n".join([*lines, " General timing and accounting", ""])


@pytest.mark.parametrize("name", ["OUTCAR", "OUTCAR.3", "OUTCAR.gz", "si_outcar.relax"])
def test_outcar(tmp_path: Path, name: str) -> None:
    path, text = tmp_path / name, outcar([5, 3]).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (tmp_path / "vasprun.xml").write_text(vasprun([5, 3]))
    frames, same = read_frames(path), read_frames(tmp_path / "vasprun.xml")
    assert frames[0].name == f"{name.partition('.')[0]}-00000"
    for one, other in zip(frames, same, strict=True):
        assert one.energy == pytest.approx(other.energy)
        np.testing.assert_allclose(one.forces, other.forces)
        np.testing.assert_allclose(one.stress, other.stress)
        np.testing.assert_allclose(one.candidate.positions, other.candidate.positions)


def test_an_outcar_that_is_cut_off(tmp_path: Path) -> None:
    path, lines = tmp_path / "OUTCAR", outcar([5, 3]).split("\n")
    ends = [i for i, line in enumerate(lines) if "energy(sigma->0)" in line]
    for kept, frame in ((ends[0] - 1, 0), (ends[0] + 3, 1), (ends[1], 1), (12, 0)):
        path.write_text("\n".join(lines[:kept]))
        with pytest.raises(DataError, match=rf"OUTCAR, frame {frame}: the file ends within"):
            read_frames(path)
    path.write_text("\n".join(lines[: ends[0] + 1]))
    assert len(read_frames(path)) == 1


def test_an_outcar_that_has_not_converged(tmp_path: Path) -> None:
    path = tmp_path / "OUTCAR"
    path.write_text(outcar([5, 8], limit=8, converged=False))
    with pytest.raises(DataError, match=r"OUTCAR, frame 1: the self-consistent cycle") as caught:
        read_frames(path)
    assert len(caught.value.facts["frames"]) == 1
    path.write_text(outcar([5, 8], limit=8))  # converged in the very last one
    assert len(read_frames(path)) == 2


@pytest.mark.parametrize(
    ("name", "called", "formula"),
    [("OUTCAR_example_1", "OUTCAR", "Ni18"), ("vasprun_pstress.xml", "vasprun.xml", "C2")],
)
def test_outputs_of_the_real_vasp(tmp_path: Path, name: str, called: str, formula: str) -> None:
    import ase

    file = Path(ase.__file__).parent / "test" / "testdata" / "vasp" / name
    if not file.is_file():
        pytest.skip(f"this ASE comes without {name}")
    path = tmp_path / called
    path.write_bytes(file.read_bytes())
    (frame,) = read_frames(path)
    assert frame.candidate.formula == formula
    assert frame.forces.shape == (len(frame.candidate), 3)
    assert frame.stress.shape == (6,)


# Quantum ESPRESSO


@pytest.mark.parametrize("name", ["pw.out", "si.pwo", "si2.log", "pw.out.gz"])
def test_pwscf(tmp_path: Path, name: str) -> None:
    path, text = tmp_path / name, PWSCF.read_bytes()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (frame,) = read_frames(path, ["Si"])
    assert frame.energy == pytest.approx(-15.60912037 * units.Ry, rel=1e-6)
    assert frame.forces[0, 0] == pytest.approx(0.02227197 * units.Ry / units.Bohr, rel=1e-6)
    assert frame.stress[0] == pytest.approx(-0.00028239 * units.Ry / units.Bohr**3, rel=1e-6)


def relaxed() -> str:
    """Give the output of a relaxation: a second structure, which is printed again at the end."""
    text = PWSCF.read_text("utf-8")
    start, end = text.index("!    total energy"), text.index("     init_run     :")
    labels, done = text[start:end], text[end:]
    positions = (
        "ATOMIC_POSITIONS (angstrom)\n"
        "Si       0.0000000000   0.0000000000   0.1000000000\n"
        "Si       1.3500000000   1.3500000000   1.3500000000\n\n"
    )
    final = f"Begin final coordinates\n\n{positions}End final coordinates\n\n"
    return f"{text[:end]}{positions}{labels}{final}{done}"


def test_a_relaxation_of_pwscf(tmp_path: Path) -> None:
    path = tmp_path / "relax.out"
    path.write_text(relaxed())
    assert len(read_frames(path)) == 2
    path.write_text(relaxed() + relaxed())  # two runs in one file
    assert [frame.name[-5:] for frame in read_frames(path)] == ["00000", "00001", "00002", "00003"]


def test_a_pwscf_output_that_is_cut_off_or_not_converged(tmp_path: Path) -> None:
    path, text = tmp_path / "relax.out", relaxed()
    for end, frame in (("JOB DONE", 2), ("Begin final", 1), ("Forces acting", 0)):
        path.write_text(text[: text.index(end)])
        with pytest.raises(DataError, match=rf"relax\.out, frame {frame}: the file ends within"):
            read_frames(path)
    at = text.rindex("!    total energy")
    failed = "     convergence NOT achieved after 100 iterations: stopping\n"
    path.write_text(text[:at] + failed + text[text.index("     init_run     :") :])
    with pytest.raises(DataError, match=r"relax\.out, frame 1: the self-consistent cycle has not"):
        read_frames(path)


# what is refused


def test_other_files_are_refused_with_what_is_read(tmp_path: Path) -> None:
    for name in ("data.cif", "slurm.out", "data.db.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"x") if name.endswith(".gz") else b"hello\n")
    for name in ("data.cif", "slurm.out"):
        with pytest.raises(DataError, match=rf"{name}: this is no file") as caught:
            read_frames(tmp_path / name)
        for known in ("extended XYZ", "ASE", "vasprun.xml", "OUTCAR", "pw.x"):
            assert known in str(caught.value.remedy)
    with pytest.raises(DataError, match=r"data\.db\.gz: a database has to be decompressed"):
        read_frames(tmp_path / "data.db.gz")
    with pytest.raises(DataError, match=r"nowhere\.db: cannot read it: there is no such file"):
        read_frames(tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()
    with pytest.raises(DataError, match="cannot read it: it is a folder"):
        read_frames(tmp_path)


def test_garbage_and_empty_files(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    write(path, [full(), full()], format="extxyz")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match=r"data\.xyz: cannot read frame 1"):
        read_frames(path)
    path.write_text("")
    with pytest.raises(DataError, match=r"data\.xyz"):
        read_frames(path)
    (tmp_path / "data.json").write_text('{"some": "thing"}')
    with pytest.raises(DataError, match=r"data\.json: cannot read frame 0: \w+Error"):
        read_frames(tmp_path / "data.json")


def test_a_frame_without_energy_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    other = labelled(shift=0.1, forces=np.zeros((2, 3)))
    other.info["REF_energy"] = -8.0
    write(path, [full(), labelled(forces=np.zeros((2, 3))), other], format="extxyz")
    with pytest.raises(DataError, match=r"data\.xyz, frame 1: has no energy\n") as caught:
        read_frames(path)
    assert caught.value.facts["frames"][0]["frame"] == 1
    assert "frame 2: has no energy; REF_energy would have to be called energy" in str(caught.value)


def test_a_frame_that_is_no_crystal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    molecule = Atoms("Si2", positions=[[0, 0, 0], [2, 0, 0]])
    molecule.calc = SinglePointCalculator(molecule, energy=-3.0)
    write(path, [full(), full(), molecule], format="extxyz")
    with pytest.raises(DataError, match=r"data\.xyz, frame 2: .*no volume"):
        read_frames(path)


def test_bad_labels_of_a_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    nan = labelled(energy=float("nan"))
    write(path, [full(), labelled("SiGe", energy=-9.0), nan], format="extxyz")
    with pytest.raises(DataError, match=r"data\.xyz, frame 2: the energy is nan"):
        read_frames(path)
    write(path, [full(), labelled("SiGe", energy=-9.0)], format="extxyz")
    with pytest.raises(DataError, match=r"data\.xyz, frame 1: Ge does not belong"):
        read_frames(path, ["Si"])
    assert len(read_frames(path, ["Ge", "Si"])) == 2


def test_contradictions_in_and_between_files(tmp_path: Path) -> None:
    one, other = tmp_path / "a.xyz", tmp_path / "b.xyz"
    write(one, [full(), full(0.1), labelled(energy=-8.9)], format="extxyz")
    with pytest.raises(
        DataError,
        match=r"^frames 0 and 2 of a\.xyz are the same structure with energies "
        r"-4\.50000 and -4\.45000 eV/atom$",
    ):
        read_frames(one)
    write(one, [full(), full(0.1)], format="extxyz")
    write(other, [full(0.2), labelled(energy=-8.9)], format="extxyz")
    assert len(read_frames(one)) == len(read_frames(other)) == 2
    with pytest.raises(DataError, match=r"frame 0 of a\.xyz and frame 1 of b\.xyz are the same"):
        read_files([one, other])


def test_files_of_one_name_keep_their_frames_apart(tmp_path: Path) -> None:
    paths = [tmp_path / f"run{number}" / "data.xyz" for number in range(3)]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        write(path, [full(0.1 * number), full(0.1 * number + 0.05)], format="extxyz")
    names = [frame.name for frame in read_files(paths)]
    assert names == [
        *("data-00000", "data-00001"),
        *("data.1-00000", "data.1-00001"),
        *("data.2-00000", "data.2-00001"),
    ]
