"""Prototypes by substitution: all of a formula, at the target volume, in the search's cells."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aga.config import SearchSettings
from aga.errors import SiteError
from aga.structure import aflow
from aga.structure.aflow import aflow_entries
from aga.structure.candidate import Candidate
from aga.structure.prototypes import Prototype, matching, prototypes, substituted
from aga.structure.structure_types import structure_types
from aga.structure.symmetry import space_group
from aga.structure.volume import target_volume_per_atom


def named(words: str) -> Prototype:
    return next(one for one in prototypes() if words in one.name)


def made(composition: str, words: str, **changes: object) -> dict[str, Candidate | None]:
    settings = SearchSettings(composition=composition, **changes)
    found = {}
    for one, places in matching(settings.composition.counts()):
        if words in one.name:
            key = ", ".join(f"{label}→{element}" for label, element in sorted(places.items()))
            found[key] = substituted(one, places, settings, name="x")
    return found


def test_the_library_has_well_known_types() -> None:
    assert len(prototypes()) > 250
    assert all(len(one.labels) == len(one.scaled) for one in prototypes())
    for words in ("diamond", "Rutile", "Anatase", "Sphalerite", "Fluorite"):
        assert named(words.lower() if words == "diamond" else words).labels


def test_symmetry_and_volume_of_known_types() -> None:
    settings = SearchSettings(composition="TiO2", formula_units=2)
    (rutile,) = made("TiO2", "Rutile", formula_units=2).values()
    assert rutile is not None
    assert space_group(rutile, 0.02).number == 136
    assert Counter(rutile.symbols) == {"O": 4, "Ti": 2}
    assert rutile.volume / 6 == pytest.approx(target_volume_per_atom(settings))
    assert rutile.lineage.operator == "prototype"
    assert "Rutile" in rutile.lineage.stream
    assert np.linalg.det(rutile.cell) > 0


def test_both_ways_where_the_elements_can_change_places() -> None:
    found = made("NaCl", "Sphalerite", formula_units=1)
    assert len(found) == 2
    assert all(one is not None and space_group(one, 0.02).number == 216 for one in found.values())
    assert len(made("TiO2", "Fluorite", formula_units=1)) == 1, "the formula says which is which"


def test_cells_of_the_search() -> None:
    (small,) = made("TiO2", "Rutile", formula_units=(1, 4)).values()
    assert small is not None
    assert len(small) == 6
    (large,) = made("TiO2", "Rutile", formula_units=4).values()
    assert large is not None
    assert len(large) == 12
    assert space_group(large, 0.02).number == 136
    (none,) = made("TiO2", "Rutile", formula_units=1).values()
    assert none is None


def test_the_formula_decides() -> None:
    assert matching({"Ti": 4, "O": 8}) == matching({"Ti": 1, "O": 2})
    assert matching({"H": 7, "He": 11, "Li": 13}) == []
    for one, places in matching({"Ba": 1, "Ti": 1, "O": 3}):
        counts = Counter(places[label] for label in one.labels)
        assert counts["O"] == 3 * counts["Ba"] == 3 * counts["Ti"]


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(aflow, "find_spec", lambda _: Spec)
    for remembered in (aflow_entries, structure_types):
        remembered.cache_clear()
    with pytest.raises(SiteError, match="prototypes") as caught:
        prototypes.__wrapped__()
    assert "search.prototypes" in str(caught.value.remedy)


def test_substitution_begins_with_the_right_crystals() -> None:
    """The library's anatase and brookite are wrong; ours stand in their places."""
    (anatase,) = made("TiO2", "Anatase", formula_units=2).values()
    assert anatase is not None
    assert space_group(anatase, 0.02).number == 141
    gaps = anatase.to_ase().get_all_distances(mic=True)[np.array(anatase.symbols) == "Ti"]
    assert np.sort(gaps[0])[1] == pytest.approx(1.95, rel=0.1)
