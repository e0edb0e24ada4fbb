"""Searches that can't be made: `aga check` says which key, where, why, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write

from aga.cli.main import main
from aga.config import OperatorWeights, Settings
from aga.errors import Problem
from aga.search.feasible import check_search


def checked(**search: object) -> dict[str, Problem]:
    settings = Settings.model_validate({"search": {"composition": "Si8", **search}})
    return {problem.key: problem for problem in check_search(settings)}


@pytest.mark.parametrize(
    "search",
    [
        {},
        {"composition": "TiO2", "formula_units": [1, 4]},
        {"composition": "BaTiO3", "formula_units": 3},
        {"composition": "TiO2", "formula_units": 2, "min_distance_factor": 1.0},
        {"min_distance_factor": 1.0},
        {"cell_lengths": [3.0, 9.0], "cell_angles": [60.0, 120.0]},
        {"composition": "TiO2", "formula_units": [1, 4], "cell_lengths": [2.0, 3.6]},
        {"composition": "Si", "formula_units": 1, "symmetric_share": 0.0},
        {"composition": "CsPbI3", "formula_units": 4},
        {"composition": "Si64", "min_distance_factor": 0.9},
        {"composition": "MgO", "prototypes": 5, "formula_units": [1, 4]},
        {"operators": {**dict.fromkeys(OperatorWeights.model_fields, 0.0), "crossover": 1.0}},
    ],
    ids=str,
)
def test_what_fits_is_not_refused(search: dict[str, Any]) -> None:
    assert checked(**search) == {}


def test_atoms_that_no_packing_holds() -> None:
    problem = checked(min_distance_factor=1.4, volume_per_atom=8.0)["search.composition"]
    assert "8 atoms of Si at least 3.11 Å apart take 170 Å³" in problem.message
    assert "allows 128 Å³" in problem.message
    assert "min_distance_factor" in str(problem.hint)


def test_distances_between_unlike_atoms_count_too() -> None:
    # each element alone would fit, together they do not
    problem = checked(
        composition="NaCl", formula_units=4, min_distances={"Cl-Na": 7.0}, volume_range=[0.8, 1.2]
    )["search.composition"]
    assert "no structure of NaCl was found" in problem.message


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ([1.0, 3.0], "make cells of 1 to 27 Å³, but search.volume_range asks for 80 to 320 Å³"),
        ([15.0, 30.0], "make cells of 2386 to 27000 Å³"),
    ],
)
def test_edges_that_the_volume_does_not_allow(lengths: list[float], words: str) -> None:
    problem = checked(cell_lengths=lengths)["search.cell_lengths"]
    assert words in problem.message
    assert "4.3 to 6.8 Å" in str(problem.hint)


def test_angles_that_hardly_any_cell_has_are_told_apart_from_distances() -> None:
    found = checked(cell_angles=[108.9, 109.2])
    assert list(found) == ["search.cell_angles"]
    assert "widen" in str(found["search.cell_angles"].hint)


@pytest.mark.parametrize(
    ("composition", "names", "words"),
    [
        ("Si8", ["permutation", "permustrain"], "permutation needs two elements; permustrain"),
        ("TiO2", ["add_unit", "remove_unit"], "add_unit needs two sizes in search.formula_units"),
        ("Si", ["rattle"], "rattle needs two atoms"),
    ],
)
def test_operators_that_can_not_be_applied(composition: str, names: list[str], words: str) -> None:
    weights = dict.fromkeys(OperatorWeights.model_fields, 0.0) | dict.fromkeys(names, 1.0)
    units = 1 if composition != "TiO2" else 2
    found = checked(composition=composition, formula_units=units, operators=weights)
    assert words in found["search.operators"].message
    assert "random" in str(found["search.operators"].hint)
    weights["strain"] = 0.1
    assert "search.operators" not in checked(
        composition=composition, formula_units=units, operators=weights
    )


def test_operators_of_a_range_need_a_range() -> None:
    weights = dict.fromkeys(OperatorWeights.model_fields, 0.0) | {"add_unit": 1.0}
    assert checked(composition="TiO2", formula_units=[1, 2], operators=weights) == {}


def test_prototypes_that_do_not_exist() -> None:
    problem = checked(composition="H7He11Li13", prototypes=2)["search.prototypes"]
    assert "none of the known prototypes has this formula" in problem.message
    problem = checked(composition="TiO2", formula_units=7, prototypes=2).get("search.prototypes")
    assert problem is None or "size" in problem.message


def test_seeds_that_make_up_for_first_structures(tmp_path: Path) -> None:
    write(tmp_path / "x.extxyz", [bulk("Si", a=a) for a in (5.2, 5.4, 5.6)])
    seeds = [str(tmp_path / "x.extxyz")]
    assert checked(initial_structures=1, seeds=seeds) == {}
    problem = checked(initial_structures=0, seeds=seeds)["search.initial_structures"]
    assert "fewer than the 4 structures" in problem.message
    assert "at least 1" in str(problem.hint)


@pytest.mark.parametrize(
    ("calls", "initial", "least"),
    [(6, {}, 9), (4, {}, 9), (8, {"initial_structures": 8}, 11)],
)
def test_first_labels_that_leave_nothing_to_spend(
    calls: int, initial: dict[str, Any], least: int
) -> None:
    problem = checked(budget={"reference_calls": calls}, **initial)["search.budget.reference_calls"]
    first = initial.get("initial_structures", 6)
    assert f"the {first} initial structures takes {first} calls at least" in problem.message
    assert f"the {calls} allowed are spent before anything is bred" in problem.message
    assert f"at least {least}, which leaves one iteration" in str(problem.hint)
    assert checked(budget={"reference_calls": first + 1}, **initial) == {}


def test_seeds_are_labelled_too_but_each_once(tmp_path: Path) -> None:
    write(tmp_path / "x.extxyz", [bulk("Si", a=a) for a in (5.2, 5.4, 5.4, 5.6)])
    seeds = {"seeds": [str(tmp_path / "x.extxyz")], "initial_structures": 4}
    problem = checked(budget={"reference_calls": 7}, **seeds)["search.budget.reference_calls"]
    assert "the 4 initial structures and 3 seeds takes 7 calls at least" in problem.message
    assert checked(budget={"reference_calls": 8}, **seeds) == {}


def test_a_budget_that_is_too_small_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("search:\n  composition: Si8\n  budget:\n    reference_calls: 5\n")
    found = refused(capsys, file)
    assert list(found) == ["search.budget.reference_calls"]
    assert found["search.budget.reference_calls"]["line"] == 4


def refused(capsys: pytest.CaptureFixture[str], file: Path) -> dict[str, Any]:
    assert main(["check", str(file), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)["facts"]["problems"]
    return {one["key"]: one for one in found}


def test_every_mistake_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "ge.cif", bulk("Ge"))
    (tmp_path / "text.cif").write_text("hello")
    file = tmp_path / "search.yaml"
    file.write_text(
        "search:\n"
        "  composition: Si8\n"
        "  population_size: 1\n"
        "  cell_angles: [20, 50]\n"
        "  cell_lengths: [1, 3]\n"
        "  operators: {"
        + ", ".join(f"{name}: 0" for name in OperatorWeights.model_fields if name != "permutation")
        + "}\n"
        "  seeds:\n"
        "    - ge.cif\n"
        "    - text.cif\n"
    )
    found = refused(capsys, file)
    assert {key: one["line"] for key, one in found.items()} == {
        "search.population_size": 3,
        "search.cell_angles": 4,
        "search.cell_lengths": 5,
        "search.operators": 6,
        "search.seeds[0]": 8,
        "search.seeds[1]": 9,
    }
    assert found["search.population_size"]["message"] == "must be at least 2, got 1"
    assert "at least 60°" in found["search.cell_angles"]["message"]
    assert "it is Ge2" in found["search.seeds[0]"]["message"]
    assert all(one["file"] == str(file) for one in found.values())


@pytest.mark.parametrize("command", [["run"], ["workflow"], ["submit"]])
def test_nothing_starts_with_such_settings(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("search:\n  composition: Si8\n  cell_lengths: [1, 3]\n")
    assert main([*command, str(file)]) == 2
    assert f"{file}:3: search.cell_lengths: edges of 1 to 3 Å" in capsys.readouterr().err


def test_seeds_stand_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path / "a" / "si.cif", bulk("Si"))
    file = tmp_path / "a" / "search.yaml"
    file.write_text("search: {composition: Si8, seeds: [si.cif]}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["check", "a/search.yaml"]) == 0
    file.write_text("search:\n  composition: Si8\n  seeds: [si.cif, other.cif]\n")
    capsys.readouterr()
    found = refused(capsys, file)
    assert found["search.seeds[1]"]["message"] == f"there is no file {tmp_path / 'a' / 'other.cif'}"
    assert found["search.seeds[1]"]["line"] == 3
