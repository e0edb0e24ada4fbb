"""`aga potential`: the tables of symmetry functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aga.cli.main import main
from aga.potential.symmetry.functions import Angular, FunctionSet, Radial
from aga.potential.symmetry.presets import automatic, preset
from aga.report.potential_tables import functions_table

PRESET = ["potential", "functions", "--elements", "Ti,O", "--preset", "tio2"]


def document(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert main([*words, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_the_table_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PRESET) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].strip() == "elements O, Ti; largest cutoff 6.5 Å, cosine"
    assert lines[1].strip() == "70 functions (16 radial, 54 wide) for every atom"
    rows = [line.split() for line in lines if "(G" in line]
    assert len(rows) == 70
    assert rows[0] == ["1", "radial", "(G2)", "O", "0.003214", "0", "–", "–", "6.5"]
    assert rows[69] == ["70", "wide", "(G5)", "Ti-Ti", "0.089277", "0", "+1", "4", "6.5"]


def test_the_document_holds_every_number(capsys: pytest.CaptureFixture[str]) -> None:
    said = document([*PRESET, "--cutoff", "5"], capsys)
    wanted = preset("tio2", ["O", "Ti"], 5.0)
    assert said["count"] == {"O": 70, "Ti": 70}
    assert said["cutoff"] == 5.0
    rebuilt = FunctionSet(
        elements=tuple(said["elements"]),
        cutoff=said["cutoff"],
        cutoff_function=said["cutoff_function"],
        radial=tuple(
            Radial(f["neighbours"][0], f["eta"], f["shift"])
            for f in said["functions"]
            if f["kind"] == "radial"
        ),
        angular=tuple(
            Angular(tuple(f["neighbours"]), f["eta"], f["zeta"], f["lambda"], f["shift"])
            for f in said["functions"]
            if f["kind"] == "wide"
        ),
    )
    assert rebuilt == wanted


def test_the_set_of_settings_is_the_one_that_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "si.yaml"
    file.write_text("search: {composition: Si8}\n", "utf-8")
    of_file = document(["potential", "functions", "--search", str(file)], capsys)
    assert of_file == document(["potential", "functions", "--elements", "Si"], capsys)
    assert of_file["cutoff"] == 4.5
    assert len(of_file["functions"]) == automatic(["Si"], 4.5).size
    file.write_text("search: {composition: C8}\n", "utf-8")
    assert document(["potential", "functions", "--search", str(file)], capsys)["cutoff"] == 3.1
    file.write_text("search: {composition: TiO2}\npotential: {preset: tio2}\n", "utf-8")
    assert document(["potential", "functions", "--search", str(file)], capsys)["count"] == {
        "O": 70,
        "Ti": 70,
    }


def test_a_search_without_symmetry_functions_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep.yaml"
    file.write_text("search: {composition: Si8}\npotential: {descriptor: deep_smooth}\n", "utf-8")
    assert main(["potential", "functions", "--search", str(file)]) == 2
    assert "describes atoms by deep_smooth" in capsys.readouterr().err


def test_functions_of_one_central_element_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    from aga.cli.console import console

    mixed = FunctionSet(
        elements=("H", "O"),
        cutoff=6.0,
        cutoff_function="tanh3",
        radial=(Radial("H", 0.1), Radial("O", 0.2, 1.5, 4.0, "O")),
        angular=(Angular(("H", "O"), 0.1, 2.5, -1.0, narrow=True, centre="H"),),
    )
    console().print(functions_table(mixed))
    text = capsys.readouterr().out
    assert "2 functions (1 radial, 1 narrow) for every H atom" in text
    assert "2 functions (2 radial) for every O atom" in text
    rows = [line.split() for line in text.split("\n") if "(G" in line]
    assert rows[0][3:5] == ["every", "H"]
    assert rows[1] == ["2", "radial", "(G2)", "O", "O", "0.200000", "1.5", "–", "–", "4"]
    assert rows[2] == ["3", "narrow", "(G4)", "H", "H-O", "0.100000", "0", "-1", "2.5", "6"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--elements", "Ti,Ox"], "no such element: Ox"),
        (["--elements", ","], "no such element: none given"),
        (["--elements", "Ti", "--preset", "tio3"], "'tio3'; there are tio2, cuauoh"),
        (["--elements", "Ti", "--cutoff", "0"], "cutoff must be above 2 Å, not 0"),
        (["--elements", "Ti", "--preset", "tio2", "--cutoff", "0"], "above 0 Å, not 0"),
        (["--elements", "Ti", "--preset", "tio2", "--cutoff", "nan"], "above 0 Å, not nan"),
        ([], "name either elements or a search"),
        (["--search", "nothing.yaml"], "nothing.yaml"),
        (["--search", "x.yaml", "--cutoff", "3"], "go with --elements"),
    ],
)
def test_bad_input_is_named(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["potential", "functions", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert document(["potential", "functions", *words], capsys, code=2)["exit_code"] == 2
