"""Structures written as files come back the same."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.db import connect
from ase.io import read

from aga.errors import InputError
from aga.report.export import FORMATS, export_structures
from aga.store.handle import Found
from aga.structure.candidate import Candidate, Lineage

DIAMOND = bulk("Si", "diamond", a=5.432) * (1, 1, 2)


def document(
    name: str = "r000-g003-017", *, reference: bool = True, search: str = "Si-12345678"
) -> Found:
    lineage = Lineage(operator="crossover", parents=("g001-001", "g002-004"), generation=3)
    candidate = Candidate(
        name=name,
        numbers=DIAMOND.numbers,
        positions=DIAMOND.positions + 0.013,
        cell=DIAMOND.cell.array,
        lineage=lineage,
    )
    return Found.of(
        id=f"{search}/{name}",
        search=search,
        stage="result" if reference else "relaxed",
        candidate=candidate,
        generation=3,
        iteration=1,
        energy_per_atom=-4.6296 if reference else None,
        enthalpy_per_atom=-4.6296 if reference else None,
        reference="tersoff" if reference else None,
        predicted_energy_per_atom=-4.6,
        energy_spread=0.01,
        space_group={"number": 227, "symbol": "Fd-3m"},
        rank=0 if reference else None,
        failure=None,
    )


@pytest.mark.parametrize(("form", "name"), [("cif", "{}.cif"), ("poscar", "POSCAR_{}")])
def test_one_file_each(form: Any, name: str, tmp_path: Path) -> None:
    names = ["r000-g003-017", "r001-i000-002"]
    paths = export_structures([document(n) for n in names], form, tmp_path / "out")
    assert paths == [tmp_path / "out" / name.format(n) for n in names]
    back = read(paths[0], format="vasp" if form == "poscar" else "cif")
    assert np.allclose(back.get_all_distances(mic=True), reference_distances(), atol=1e-5)
    text = paths[0].read_text()
    assert "r000-g003-017" in text
    assert "-4.629600 eV/atom (tersoff)" in text
    assert "Fd-3m" in text


def test_a_result_is_exported_symmetrised_as_cif(tmp_path: Path) -> None:
    cubic = bulk("Si", "diamond", a=5.43, cubic=True)
    item = document()
    cell = {
        "symbols": ["Si"] * 8,
        "positions": cubic.positions.tolist(),
        "cell": cubic.cell.array.tolist(),
    }
    item = replace(item, stored={**item.stored, "symmetrised": cell})
    assert item.symmetrised is not None
    (path,) = export_structures([item], "cif", tmp_path)
    text = path.read_text()
    assert "# symmetrised" in text
    assert "_symmetry_Int_Tables_number   227" in text
    assert text.count("  Si  Si") == 1, "the asymmetric unit alone"
    back = read(path)
    assert len(back) == 8
    assert back.cell.lengths() == pytest.approx([5.43] * 3)
    (relaxed,) = export_structures([item], "extxyz", tmp_path)
    assert np.allclose(read(relaxed).cell, DIAMOND.cell), "energies stay with what was computed"


def reference_distances() -> Any:
    return DIAMOND.get_all_distances(mic=True)


def test_extxyz_keeps_energy_and_lineage(tmp_path: Path) -> None:
    documents = [document(), document("g004-001", reference=False)]
    (path,) = export_structures(documents, "extxyz", tmp_path)
    first, second = read(path, index=":")
    assert first.get_potential_energy() == pytest.approx(-18.5184)
    assert first.info["id"] == "r000-g003-017"
    assert first.info["parents"] == "g001-001 g002-004"
    assert first.info["energy_per_atom"] == pytest.approx(-4.6296)
    assert np.allclose(first.cell, DIAMOND.cell)
    assert second.calc is None, "a committee's energy must not pass for the reference's"
    assert second.info["committee_energy_per_atom"] == pytest.approx(-4.6)


def test_ase_database(tmp_path: Path) -> None:
    (path,) = export_structures([document(), document("g004-001")], "ase-db", tmp_path / "a.db")
    rows = list(connect(path).select())
    assert [row.aga_id for row in rows] == ["r000-g003-017", "g004-001"]
    assert rows[0].energy == pytest.approx(-18.5184)
    assert rows[0].aga_space_group_number == 227


def test_json_has_no_nan(tmp_path: Path) -> None:
    (path,) = export_structures([document()], "json", tmp_path)
    data = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert data["schema"] == 1
    assert data["structures"][0]["energy_per_atom"] == -4.6296
    assert len(data["structures"][0]["positions"]) == 4


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_overwritten_silently(form: Any, tmp_path: Path) -> None:
    (path,) = export_structures([document()], form, tmp_path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        export_structures([document("other"), document()], form, tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    export_structures([document()], form, tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]


def test_selections_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no structure"):
        export_structures([], "cif", tmp_path)
    with pytest.raises(InputError, match="don't fit"):
        export_structures([document(), document("b")], "cif", tmp_path / "one.cif")
    with pytest.raises(InputError, match="no format"):
        export_structures([document()], "xsf", tmp_path)  # type: ignore[arg-type] # on purpose
    assert not list(tmp_path.iterdir())


def test_equal_names_of_two_searches(tmp_path: Path) -> None:
    other = document(search="Ge-1")
    paths = export_structures([document(), other], "cif", tmp_path)
    assert [path.name for path in paths] == [
        "Si-12345678_r000-g003-017.cif",
        "Ge-1_r000-g003-017.cif",
    ]


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    odd = replace(document(), energy_spread=math.nan)
    (path,) = export_structures([odd], "extxyz", tmp_path)
    assert "nan" not in path.read_text().lower()
