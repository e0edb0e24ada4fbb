from __future__ import annotations

from math import log

import numpy as np
import pytest

from aga.config import SearchSettings
from aga.config.composition import ELEMENTS, Formula
from aga.errors import CompositionError
from aga.structure.candidate import Candidate
from aga.structure.volume import (
    estimated_volume_per_atom,
    target_volume_per_atom,
    volume_allowed,
)

# experimental volumes in Å³/atom
MEASURED = {
    "Si": 20.0, "C": 5.67, "Al": 16.6, "Cu": 11.8, "TiO2": 10.4, "NaCl": 22.4, "MgO": 9.35,
    "Al2O3": 8.5, "SiO2": 12.5, "ZnO": 11.9, "Fe2O3": 10.1, "SrTiO3": 11.9, "LiF": 8.15,
    "CsCl": 34.8, "ZrO2": 11.7, "GaAs": 22.6, "GaN": 11.4, "SiC": 10.35, "NiAl": 12.0,
    "AuCu": 14.3, "PbS": 26.3, "YBa2Cu3O7": 13.4,
}  # fmt: skip


@pytest.mark.parametrize(("formula", "volume"), MEASURED.items())
def test_estimates_lie_within_a_third_of_experiment(formula: str, volume: float) -> None:
    assert abs(log(estimated_volume_per_atom(Formula(formula).counts()) / volume)) < 0.29


def test_the_typical_error_is_small() -> None:
    errors = [log(estimated_volume_per_atom(Formula(f).counts()) / v) for f, v in MEASURED.items()]
    assert np.sqrt(np.mean(np.square(errors))) < 0.15


def test_every_element_has_a_volume() -> None:
    for symbol in ELEMENTS:
        assert 3 < estimated_volume_per_atom({symbol: 1}) < 140


def test_the_number_of_formula_units_does_not_matter() -> None:
    one, four = ({"Ti": n, "O": 2 * n} for n in (1, 4))
    assert estimated_volume_per_atom(one) == pytest.approx(estimated_volume_per_atom(four))


def test_an_unknown_element_is_named() -> None:
    with pytest.raises(CompositionError, match="Xx"):
        estimated_volume_per_atom({"Xx": 1})


def test_the_users_volume_goes_before_the_estimate() -> None:
    assert target_volume_per_atom(SearchSettings(composition="Si8")) == pytest.approx(20.0)
    search = SearchSettings(composition="Si8", volume_per_atom=14.0)
    assert target_volume_per_atom(search) == 14.0


@pytest.mark.parametrize(
    ("edge", "allowed"), [(2.1, False), (2.2, True), (3.4, True), (3.43, False)]
)
def test_volumes_out_of_range_are_refused(
    edge: float,
    allowed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    # 0.5 … 2 × 20 Å³: edges 2.154 … 3.42 Å of a cube with one atom
    one = Candidate(name="x", numbers=[14], positions=[[0, 0, 0]], cell=np.eye(3) * edge)
    assert volume_allowed(one, SearchSettings(composition="Si8")) is allowed
