"""The first structures: seeds, prototypes and random crystals of every size."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from aga.config import SearchSettings
from aga.errors import GenerationError, StructureError
from aga.search import initial as module
from aga.search.initial import FEW_ATOMS, begin, begin_anew
from aga.search.nursery import Nursery
from aga.search.population import Population
from aga.structure.candidate import Candidate, Lineage
from aga.structure.cell_limits import CellLimits
from aga.structure.fingerprint import cosine_distances, fingerprint
from aga.structure.geometry import room
from aga.structure.symmetry import space_group
from aga.structure.volume import target_volume_per_atom


def search(composition: str = "TiO2", **changes: object) -> SearchSettings:
    return SearchSettings(composition=composition, seed=3, **changes)


def test_sizes_share_the_first_structures_and_volumes_scale() -> None:
    settings = search(formula_units=(1, 4), initial_structures=12)
    made = begin(settings).candidates
    assert [one.name for one in made] == [f"i000-{k:03d}" for k in range(12)]
    assert Counter(len(one) for one in made) == {6: 3, 9: 6, 12: 3}, "3 atoms are few"
    for one in made:
        counts = Counter(one.symbols)
        assert counts["O"] == 2 * counts["Ti"]
    ratios = np.array([one.volume / len(one) for one in made]) / target_volume_per_atom(settings)
    assert ratios.min() < 0.85
    assert ratios.max() > 1.15
    assert ratios.min() > 0.74


def test_a_size_that_can_not_be_filled_leaves_its_share_to_the_others() -> None:
    # edges of 3.6 Å at most hold no more than one formula unit
    settings = search(formula_units=(1, 3), cell_lengths=(2.0, 3.6), initial_structures=6)
    beginning = begin(settings)
    assert {len(one) for one in beginning.candidates} == {3}
    assert beginning.failed["random: 3 formula units"] == 1, "one size was tried again"
    assert beginning.failed["random: 2 formula units"] == 1
    assert beginning.failed["random: cell"] > 0
    shape = CellLimits.from_settings(settings)
    assert all(shape.allows(one) for one in beginning.candidates)


@pytest.mark.parametrize(
    ("composition", "units", "atoms"),
    [("Si2", 1, 8), ("Si3", 1, 9), ("TiO2", 1, 9), ("Si5", 1, 10), ("Si6", 1, 6), ("TiO2", 2, 6)],
)
def test_a_small_cell_is_learnt_from_larger_ones(composition: str, units: int, atoms: int) -> None:
    settings = search(composition, formula_units=units)
    for one in (*begin(settings).candidates, *begin_anew(settings, 3, iteration=2).candidates):
        assert len(one) == atoms >= FEW_ATOMS


def test_where_no_size_can_be_filled_the_reasons_are_told() -> None:
    settings = search("Si2", formula_units=(1, 2), min_distance_factor=1.5, volume_per_atom=6.0)
    with pytest.raises(GenerationError, match="do not fit") as caught:
        begin(settings)
    assert "min_distance_factor" in str(caught.value.remedy)


def test_without_symmetry_if_so_wished() -> None:
    made = begin(search("Si8", symmetric_share=0.0, initial_structures=9)).candidates
    assert all(space_group(one, 0.01).number <= 2 for one in made)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    write(tmp_path / "two.extxyz", [bulk("Si", a=5.4), bulk("Si", "fcc", a=3.9)])
    write(tmp_path / "POSCAR", bulk("Si", cubic=True))
    return tmp_path / "two.extxyz", tmp_path / "POSCAR"


def test_seeds_come_first_each_once(files: tuple[Path, ...]) -> None:
    beginning = begin(search("Si8", seeds=files, initial_structures=4))
    first = beginning.candidates[:2]
    assert [one.name for one in beginning.candidates] == [
        "s000-000", "s000-001", "i000-000", "i000-001", "i000-002", "i000-003",
    ]  # fmt: skip
    assert [one.lineage.operator for one in first] == ["file", "file"]
    assert [one.lineage.stream for one in first] == [f"{files[0]}#0", f"{files[0]}#1"]
    assert [space_group(one, 0.01).number for one in first] == [227, 225]
    assert all(len(one) == 8 for one in first)
    assert beginning.failed["file: duplicate"] == 1, "POSCAR is diamond too"


def test_seeds_keep_their_volume_and_cell(tmp_path: Path) -> None:
    write(tmp_path / "wide.cif", bulk("Si", a=9.0))
    settings = search("Si8", seeds=(tmp_path / "wide.cif",), cell_lengths=(4.0, 8.0))
    one = begin(settings).candidates[0]
    assert one.volume / 8 == pytest.approx(9.0**3 / 8, rel=1e-4)


def test_structures_of_earlier_searches_join_after_the_files(files: tuple[Path, ...]) -> None:
    earlier = Candidate.from_ase(
        bulk("Si", "sc", a=2.6).repeat(2), name="r001", lineage=Lineage(operator="search")
    )
    made = begin(search("Si8", seeds=files, initial_structures=4), [earlier]).candidates
    assert made[2].name == "s000-002"
    assert made[2].lineage.operator == "search"


def test_a_seed_that_went_bad_stops_the_step(tmp_path: Path) -> None:
    with pytest.raises(StructureError, match="No such file"):
        begin(search("Si8", seeds=(tmp_path / "gone.cif",)))


def test_prototypes_are_drawn_by_the_seed() -> None:
    settings = search(formula_units=(1, 4), prototypes=4, initial_structures=6)
    made = begin(settings).candidates
    operators = [one.lineage.operator for one in made]
    assert operators == ["prototype"] * 4 + ["random"] * 2
    assert [one.name for one in made] == [f"i000-{k:03d}" for k in range(6)]
    streams = [one.lineage.stream for one in made[:4]]
    assert len(set(streams)) == 4
    again = begin(settings).candidates
    assert [one.to_dict() for one in again] == [one.to_dict() for one in made]
    other = begin(settings.model_copy(update={"seed": 4})).candidates
    assert [one.lineage.stream for one in other[:4]] != streams
    prints = [fingerprint(one) for one in made[:4]]
    for k, own in enumerate(prints[1:], 1):
        assert cosine_distances(own, prints[:k]).min() >= settings.fingerprint_tolerance


def test_random_crystals_stand_in_for_prototypes_that_do_not_fit() -> None:
    settings = search("Ti", formula_units=1, prototypes=12, initial_structures=12)
    beginning = begin(settings)
    operators = Counter(one.lineage.operator for one in beginning.candidates)
    assert 0 < operators["prototype"] < 12
    assert operators["random"] == 12 - operators["prototype"]
    assert beginning.failed["prototype: size"] > 0


def test_the_nursery_counts_cells_beyond_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = search("Si8", cell_lengths=(3.0, 6.0))
    nursery = Nursery(settings, Population())
    cube = Candidate.from_ase(bulk("Si", cubic=True), name="cube")
    rod = Candidate.from_ase(bulk("Si", "sc", a=2.6).repeat((1, 2, 4)), name="rod")
    assert nursery.objection(cube, known_too=False) is None
    assert nursery.objection(rod, known_too=False) == "cell"
    assert nursery.objection(cube, known_too=False) == "duplicate"
    assert nursery.candidates == [cube]

    # a first structure that is refused so is counted under that word
    monkeypatch.setattr(module, "TRIES", 2)

    def never(self: Nursery, candidate: Candidate, *, known_too: bool) -> str:
        return "cell"

    monkeypatch.setattr(Nursery, "objection", never)
    with pytest.raises(GenerationError, match="random: cell 4"):
        begin(search("Si8", initial_structures=4))


def test_more_of_them_for_a_committee_that_is_lost() -> None:
    settings = search(formula_units=2)
    first = begin(settings).candidates
    made = begin_anew(settings, 3, iteration=7).candidates
    assert [one.name for one in made] == ["i007-000", "i007-001", "i007-002"]
    assert [one.lineage.stream for one in made] == [f"initial/7/{k}" for k in range(3)]
    prints = [fingerprint(one) for one in first]
    assert all(cosine_distances(fingerprint(one), prints).min() > 1e-3 for one in made)
    again, later = (begin_anew(settings, 3, iteration=k).candidates for k in (7, 8))
    assert all((a.positions == b.positions).all() for a, b in zip(made, again, strict=True))
    assert not any((a.positions == b.positions).all() for a, b in zip(made, later, strict=True))


def test_the_first_crystals_are_roomy() -> None:
    """The median of the shortest distances is larger than of crystals that are drawn singly."""
    settings = search("Si8", initial_structures=40)
    roomy = [room(one) for one in begin(settings).candidates]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROOMIEST_OF", 1)
        single = [room(one) for one in begin(settings).candidates]
    assert np.median(roomy) > np.median(single) + 0.05
