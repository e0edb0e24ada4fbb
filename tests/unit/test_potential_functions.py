"""Sets of symmetry functions: presets, the automatic set, bad input."""

import json

import pytest

from aga.errors import InputError
from aga.potential.symmetry.functions import Angular, FunctionSet, Radial
from aga.potential.symmetry.presets import automatic, preset


def test_the_tio2_preset_is_the_published_one() -> None:
    functions = preset("tio2", ["Ti", "O"])
    assert functions.elements == ("O", "Ti")
    assert functions.cutoff == 6.5
    assert functions.size == 70
    assert functions.radial[0] == Radial("O", 0.003214, 0.0)
    assert functions.radial[15] == Radial("Ti", 1.428426, 0.0)
    assert functions.angular[0] == Angular(("O", "O"), 0.000357, 1, -1.0)
    assert functions.angular[2] == Angular(("O", "O"), 0.000357, 4, -1.0)
    assert functions.angular[53] == Angular(("Ti", "Ti"), 0.089277, 4, 1.0)


def test_the_cuauoh_preset_has_148_functions() -> None:
    functions = preset("cuauoh", ["O", "Au", "Cu", "H"])
    assert functions.elements == ("Au", "Cu", "H", "O")
    assert (len(functions.radial), len(functions.angular)) == (28, 120)
    assert preset("cuauoh", ["Cu"], cutoff=5.5).cutoff == 5.5


@pytest.mark.parametrize(
    ("elements", "low", "high"),
    [(["Si"], 25, 35), (["Ti", "O"], 36, 60), (["C", "H", "O"], 60, 90)],
)
def test_the_automatic_set_is_moderate(elements: list[str], low: int, high: int) -> None:
    functions = automatic(elements, 5.0)
    assert low <= functions.size <= high
    assert all(f.shift < functions.cutoff for f in functions.radial)
    assert len(set(functions.radial)) == len(functions.radial)
    assert len(set(functions.angular)) == len(functions.angular)


def test_json_keeps_every_bit() -> None:
    functions = FunctionSet(
        elements=("O", "Ti"),
        cutoff=5.3,
        cutoff_function="polynomial5",
        inner=0.1,
        radial=(Radial("O", 1 / 3, 0.7, cutoff=4.1), Radial("Ti", 0.2, centre="O")),
        angular=(Angular(("O", "Ti"), 0.1, 2.5, -1.0, narrow=True, centre="Ti"),),
    )
    assert (len(functions.of("O")), len(functions.of("Ti")), functions.size) == (2, 2, 2)
    again = FunctionSet.from_dict(json.loads(json.dumps(functions.to_dict())))
    assert again == functions
    assert hash(again) == hash(functions)


@pytest.mark.parametrize(
    "change",
    [
        {"elements": ("Ti", "O")},
        {"elements": ("O", "O")},
        {"elements": ("Xx",)},
        {"elements": ()},
        {"cutoff": -1.0},
        {"cutoff": float("nan")},
        {"radial": ()},
        {"radial": (Radial("H", 1.0, 0.0),)},
        {"radial": (Radial("O", float("inf"), 0.0),)},
        {"angular": (Angular(("O", "O"), 0.1, 0.9, 1.0),)},
        {"angular": (Angular(("O", "O"), 0.1, float("nan"), 1.0),)},
        {"angular": (Angular(("O", "O"), 0.1, 1, 1.5),)},
        {"angular": (Angular(("O", "O"), 0.1, 1, 1.0, cutoff=5.5),)},
        {"angular": (Angular(("O", "O"), 0.1, 1, 1.0, cutoff=0.0),)},
        {"radial": (Radial("O", 1.0, centre="Ti"),)},
        {"radial": (Radial("O", 1.0, centre="H"),)},
        {"cutoff_function": "gaussian"},
        {"inner": 1.0},
        {"inner": 0.2, "cutoff_function": "tanh3"},
        {"angular": (Angular(("O", "H"), 0.1, 1, 1.0),)},
    ],
)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    good = {"elements": ("O", "Ti"), "cutoff": 5.0, "radial": (Radial("O", 1.0, 0.0),)}
    FunctionSet(**good)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        FunctionSet(**{**good, **change})  # type: ignore[arg-type]


def test_unknown_presets_and_short_cutoffs_are_refused() -> None:
    with pytest.raises(InputError, match="tio2"):
        preset("tio3", ["Ti"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cutoff"):
        automatic(["Si"], 1.5)
