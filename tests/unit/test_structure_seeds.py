"""Structures of a user's files: fitted to the search, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write
from ase.spacegroup import crystal

from aga.config import SearchSettings
from aga.errors import StructureError
from aga.structure import seeds
from aga.structure.candidate import Candidate
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.seeds import read_seeds
from aga.structure.symmetry import space_group

RUTILE = crystal(
    ["Ti", "O"],
    basis=[(0, 0, 0), (0.305, 0.305, 0)],
    spacegroup=136,
    cellpar=[4.594, 4.594, 2.959, 90, 90, 90],
)
LAYER = Atoms("Si2", [[0, 0, 0], [0, 0, 2]], cell=[5, 5, 0], pbc=[1, 1, 0])


def search(composition: str = "Si8", **changes: object) -> SearchSettings:
    return SearchSettings(composition=composition, **changes)


def like(one: Candidate, atoms: Atoms) -> bool:
    other = Candidate.from_ase(atoms, name="x")
    return cosine_distance(fingerprint(one), fingerprint(other)) < 1e-4


@pytest.mark.parametrize("name", ["one.cif", "POSCAR", "one.extxyz", "one.db", "one.xsf"])
def test_any_format_of_ase(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, bulk("Si", cubic=True))
    (one,) = read_seeds(tmp_path / name, search())
    assert one.formula == "Si8"
    assert like(one, bulk("Si"))
    assert one.lineage.operator == "file"
    assert one.lineage.stream == f"{tmp_path / name}#0"


def test_several_structures_in_the_order_of_the_file(tmp_path: Path) -> None:
    images = [bulk("Si", cubic=True, a=a) for a in (5.3, 5.5, 5.7)]
    write(tmp_path / "a@b.extxyz", images)
    found = read_seeds(tmp_path / "a@b.extxyz", search())
    assert [round(one.volume ** (1 / 3), 3) for one in found] == [5.3, 5.5, 5.7], "not rescaled"
    assert [one.lineage.stream.rpartition("#")[2] for one in found] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("units", "atoms"), [(1, 6), (2, 12), (3, 18), ((1, 4), 6), ((3, 4), 18)], ids=str
)
@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 1), (1, 1, 3), (5, 1, 1)], ids=str)
def test_cells_become_those_of_the_search(
    units: int | tuple[int, int], atoms: int, repeats: tuple[int, int, int], tmp_path: Path
) -> None:
    # the formula is written double: a unit has 6 atoms, as the primitive cell of rutile has
    write(tmp_path / "rutile.cif", RUTILE.repeat(repeats))
    settings = search("Ti2O4", formula_units=units)
    allowed = {6 * n for n in settings.unit_range()}
    (one,) = read_seeds(tmp_path / "rutile.cif", settings)
    given = 6 * int(np.prod(repeats))
    assert len(one) == (given if given in allowed else atoms)
    assert like(one, RUTILE)
    assert space_group(one, 0.01).number == 136
    assert one.symbols == sorted(one.symbols)


def test_primitive_cells_are_found_in_slightly_disturbed_ones(tmp_path: Path) -> None:
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.005, seed=1)
    write(tmp_path / "a.extxyz", atoms)
    (one,) = read_seeds(tmp_path / "a.extxyz", search("Si2"))
    assert one.formula == "Si2"


MIXED = """data_x
_cell_length_a 5.4
_cell_length_b 5.4
_cell_length_c 5.4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Si1 Si 0 0 0 0.5
"""


@pytest.mark.parametrize(
    ("atoms", "composition", "words", "remedy"),
    [
        (bulk("Ge"), "Si8", "it is Ge2, the search is of Si8", "elements of the search"),
        (bulk("MgO", "rocksalt", a=4.2), "MgO2", "its formula is MgO", "formula of the search"),
        (bulk("Si"), "Si7", "2 atoms can't be described by a cell of 7 atoms", "formula_units"),
        (bulk("Si", a=3.0, cubic=True), "Si8", "atoms are closer", "min_distance_factor"),
        (molecule("Si2H6"), "Si2H6", "not periodic", "correct the file"),
        (LAYER, "Si2", "not periodic", "correct the file"),
    ],
    ids=["element", "formula", "size", "distance", "molecule", "layer"],
)  # fmt: skip
def test_what_does_not_belong_is_refused_with_the_reason(
    atoms: Atoms, composition: str, words: str, remedy: str, tmp_path: Path
) -> None:
    write(tmp_path / "bad.extxyz", [atoms])
    with pytest.raises(StructureError) as caught:
        read_seeds(tmp_path / "bad.extxyz", search(composition, formula_units=1))
    assert words in caught.value.message
    assert f"structure 0 of {tmp_path / 'bad.extxyz'}" in caught.value.message
    assert remedy in str(caught.value.remedy)
    assert caught.value.exit_code == 2


def test_files_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mixed.cif").write_text(MIXED)
    with pytest.raises(StructureError, match="partly occupied"):
        read_seeds(tmp_path / "mixed.cif", search("Si"))
    (tmp_path / "text.cif").write_text("this is no crystal")
    with pytest.raises(StructureError, match=r"cannot read structure 0|holds no structure"):
        read_seeds(tmp_path / "text.cif", search())
    with pytest.raises(StructureError, match="cannot read structure 0: No such file"):
        read_seeds(tmp_path / "none.cif", search())
    write(tmp_path / "cut.extxyz", [bulk("Si", cubic=True)] * 2)
    text = (tmp_path / "cut.extxyz").read_text()
    (tmp_path / "cut.extxyz").write_text(text[: len(text) - 200])
    with pytest.raises(StructureError, match="cannot read structure"):
        read_seeds(tmp_path / "cut.extxyz", search())
    monkeypatch.setattr(seeds, "MAX_FRAMES", 1)
    write(tmp_path / "many.extxyz", [bulk("Si", cubic=True)] * 2)
    with pytest.raises(StructureError, match="more than 1 structures") as caught:
        read_seeds(tmp_path / "many.extxyz", search())
    assert "training.data" in str(caught.value.remedy)
