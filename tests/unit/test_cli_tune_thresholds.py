"""`aga tune thresholds` on a file of structures and model files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.cli.main import main
from aga.config.schema import AcquisitionSettings
from aga.potential.calculator import CommitteeCalculator
from aga.potential.model import Model

Make = Callable[..., Model]
ROOT = Path(__file__).resolve().parents[2]
WRONG = 0.05


@pytest.fixture
def models(make_member: Make, tmp_path: Path) -> list[str]:
    """Three members as options of the command line."""
    words = []
    for seed in range(3):
        file = tmp_path / f"member-{seed}.safetensors"
        file.write_bytes(make_member(seed).to_bytes())
        words += ["--model", str(file)]
    return words


@pytest.fixture
def judged(models: list[str]) -> list[Atoms]:
    """Twenty structures by rising spread; the upper half is labelled, the top quarter wrongly.

    Each remembers its spread in ``info``.
    """
    calculator, images = CommitteeCalculator.from_files(models[1::2]), []
    for seed in range(20):
        atoms = bulk("TiO", "rocksalt", a=4.0 + 0.05 * seed)
        atoms.rattle(0.15, seed=seed)
        atoms.calc = calculator
        atoms.info["energy"] = atoms.get_potential_energy()
        atoms.info["spread"] = calculator.results["energy_spread"]
        images.append(atoms)
    images.sort(key=lambda atoms: atoms.info["spread"])
    for place, atoms in enumerate(images):
        atoms.info["name"] = f"s{place:02d}"
        energy, atoms.calc = atoms.info.pop("energy"), None
        if place >= 10:
            error = WRONG if place >= 15 else 0.001
            atoms.calc = SinglePointCalculator(atoms, energy=energy - 2 * error)
    return images


@pytest.fixture
def words(judged: list[Atoms], models: list[str], tmp_path: Path) -> list[str]:
    """Give the command with the structures in a file."""
    file = tmp_path / "some.xyz"
    write(file, judged, format="extxyz")
    return ["tune", "thresholds", "--candidates", str(file), *models]


def document(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert main([*words, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_a_file_of_structures(
    words: list[str], judged: list[Atoms], capsys: pytest.CaptureFixture[str]
) -> None:
    spreads = [atoms.info["spread"] for atoms in judged]
    bound = float(np.mean(spreads[11:13]))
    said = document([*words, "--lower", f"{bound!r}", "--lower", "0"], capsys)
    assert (said["search"], said["candidates"], said["labelled"]) == (None, 20, 10)
    assert (said["source"], said["iterations"], said["wrong"]) == ("some.xyz", [0], 5)
    every, some = said["rows"]
    assert (every["threshold"], every["selected"], every["recall"]) == (0.0, 20, 1.0)
    assert (some["selected"], some["share"], some["labelled"]) == (8, 0.4, 8)
    assert some["error_mae"] == pytest.approx((5 * WRONG + 3 * 0.001) / 8, rel=1e-4)
    assert some["others_mae"] == pytest.approx(0.001, rel=1e-3)
    assert (some["recall"], some["precision"]) == (1.0, 5 / 8)
    fixed, adaptive = said["suggested"]["fixed"], said["suggested"]["adaptive"]
    assert fixed["selected"] == sum(spread >= fixed["lower"] for spread in spreads) >= 2
    assert fixed["settings"] == {"spread_min": fixed["lower"]}
    assert adaptive["quantile"] == pytest.approx(0.9)
    assert adaptive["selected"] == 2
    assert adaptive["bounds"][0]["lower"] == pytest.approx(np.quantile(spreads, 0.9), rel=1e-6)
    assert not any("the search chose" in note for note in said["notes"])
    assert any("only 10 candidates have a label" in note for note in said["notes"])


def test_options_change_what_is_asked(
    words: list[str], judged: list[Atoms], capsys: pytest.CaptureFixture[str]
) -> None:
    spreads = [atoms.info["spread"] for atoms in judged]
    upper = float(np.mean(spreads[16:18]))
    said = document([*words, "--upper", f"{upper!r}", "--lower", "0"], capsys)
    assert [row["selected"] for row in said["rows"]] == [17]
    assert said["suggested"]["fixed"]["settings"]["spread_max"] == pytest.approx(upper)
    said = document([*words, "--lower", "0", "--number", "3"], capsys)
    assert [row["selected"] for row in said["rows"]] == [3]
    assert said["rows"][0]["labelled"] == 3  # the most uncertain
    said = document([*words, "--lower", "0", "--number", "12", "--diverse"], capsys)
    assert [row["selected"] for row in said["rows"]] == [12]
    assert said["rows"][0]["labelled"] < 10  # the least alike are others
    said = document([*words, "--error", "60"], capsys)
    assert (said["wrong"], said["error"]) == (0, 0.06)
    assert said["rows"][0]["recall"] is None
    said = document([*words, "--recall", "1"], capsys)
    assert said["suggested"]["fixed"]["recall"] == 1.0
    assert spreads[14] < said["suggested"]["fixed"]["lower"] * 1.1
    said = document([*words, "--quantity", "force"], capsys)
    assert said["quantity"] == "force"
    assert said["suggested"]["fixed"]["settings"] == {}


def test_novelty_is_measured_from_what_is_known(
    words: list[str], judged: list[Atoms], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known.xyz"
    write(known, judged[:12], format="extxyz")
    asked = [*words, "--quantity", "novelty"]
    said = document([*asked, "--known", str(known), "--lower", "1e-6"], capsys)
    assert [row["selected"] for row in said["rows"]] == [8]
    assert main(asked) == 2
    assert "knows no structure" in capsys.readouterr().err
    assert main([*asked, "--known", str(known), "--upper", "1"]) == 2
    assert "no upper bound" in capsys.readouterr().err


def test_table_settings_and_picture(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "plot.png"
    assert main([*words, "--window", "9", "--plot", str(plot)]) == 0
    text = capsys.readouterr().out
    assert "some.xyz: 20 candidates, 1 iteration, 10 labelled" in text
    assert "5 of them wrong by more than 20 meV/atom" in text
    assert re.search(r"adaptive 90\.0 %\s+2\s+10 %", text)
    meaning = AcquisitionSettings.model_fields["spread_min"].description
    assert re.search(
        rf"^search:\n  acquisition:\n    spread_min: \S+  # {meaning}$", text, re.MULTILINE
    )
    assert "    energy_window: 9  # " in text
    assert plot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(plot.read_bytes()[16:20], "big") > 1500
    assert main([*words, "--plot", str(plot)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_without_labels(
    judged: list[Atoms], models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for atoms in judged:
        atoms.calc = None
    file, plot = tmp_path / "plain.xyz", tmp_path / "plain.svg"
    write(file, judged, format="extxyz")
    words = ["tune", "thresholds", "--candidates", str(file), *models]
    assert main([*words, "--plot", str(plot)]) == 0
    text = capsys.readouterr().out
    assert "no candidate has a label: shares are all that can be said" in text
    assert "mean error" not in text
    assert "spread_min" in text
    assert plot.read_text("utf-8").startswith("<?xml")
    said = document(words, capsys)
    assert said["rank_correlation"] is None
    assert all(row["error_mae"] is None for row in said["rows"])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--fraction", "0"], "fraction of 0"),
        (["--fraction", "1.2"], "fraction of 1.2"),
        (["--recall", "-1"], "recall of -1"),
        (["--error", "0"], "is no bound"),
        (["--quantity", "stress"], "no quantity 'stress'"),
        (["--search", "Si8"], "either --candidates or a search"),
        (["--upper", "-1"], "energy_spread_max is -1"),
        (["--lower", "2", "--upper", "1"], "energy_spread_min 2 is above energy_spread_max 1"),
        (["--plot", "a.doc"], "a.doc: the ending names no format"),
    ],
)
def test_what_is_refused(
    more: list[str], told: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_files_that_do_not_fit(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, bad, none = tmp_path / "gold.xyz", tmp_path / "bad.xyz", tmp_path / "none.xyz"
    write(gold, [bulk("TiO", "rocksalt", a=4.3), bulk("Au")], format="extxyz")
    atoms = bulk("TiO", "rocksalt", a=4.3)
    atoms.calc = SinglePointCalculator(atoms, energy=np.nan)
    write(bad, [bulk("TiO", "rocksalt", a=4.3), atoms], format="extxyz")
    cases = [
        ([str(gold), *models], "gold-00001: the potential has no network for Au"),
        ([str(bad), *models], "bad.xyz, frame 1: the energy is nan"),
        ([str(none), *models], "none.xyz: cannot read structure 0: No such file"),
        ([str(gold)], "--candidates needs a potential"),
    ]
    for words, told in cases:
        assert main(["tune", "thresholds", "--candidates", *words]) == 2
        said = capsys.readouterr()
        assert told in said.err
        assert said.out == ""


def keys(value: Any) -> set[str]:
    """Give the keys of all dictionaries inside."""
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_every_key_of_the_document_is_described(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    (section,) = re.findall(
        r"^## `aga tune thresholds --json`\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE
    )
    found = keys(document([*words, "--upper", "5", "--window", "9"], capsys)) - {"schema"}
    assert {"rows", "suggested", "spread_min", "recall"} <= found
    assert not [key for key in sorted(found) if f"`{key}`" not in section]
