"""Tables, the live display and the energy plot."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from rich.console import Console

from aga.report.details import ancestry_tree, structure_details
from aga.report.plots import Generation, History, ReferencePoint, energy_figure, save_figure
from aga.report.progress import eta, open_progress, plain_line, queue, render
from aga.report.rows import duration
from aga.report.summary import summary_markdown
from aga.report.tables import structures_table
from aga.store.handle import Found
from aga.structure.candidate import Candidate, Lineage


def found(
    name: str, energy: float | None = -4.6, *, parents: tuple[str, ...] = (), **changes: Any
) -> Found:
    values: dict[str, Any] = {
        "id": f"Si-1/{name}",
        "search": "Si-1",
        "stage": "labelled" if energy is not None else "relaxed",
        "candidate": Candidate(
            name=name,
            numbers=np.array([14, 14]),
            positions=np.array([[0.0, 0, 0], [1.36, 1.36, 1.36]]),
            cell=np.eye(3) * 3.4,
            lineage=Lineage(operator="crossover" if parents else "random", parents=parents),
        ),
        "generation": 3,
        "iteration": 1,
        "energy_per_atom": energy,
        "enthalpy_per_atom": energy,
        "reference": None if energy is None else "tersoff",
        "predicted_energy_per_atom": -4.5,
        "energy_spread": 0.0123,
        "space_group": {"number": 227, "symbol": "Fd-3m"},
        "rank": None,
        "failure": None,
    }
    return Found.of(**(values | changes))


def shown(thing: Any) -> str:
    stream = io.StringIO()
    Console(file=stream, width=160).print(thing)
    return stream.getvalue()


def status(**changes: Any) -> dict[str, Any]:
    document = {
        "schema": 1,
        "search": "Si8-12345678",
        "formula": "Si8",
        "state": "running",
        "reason": None,
        "verdict": None,
        "phase": "label",
        "iteration": 2,
        "generation": 6,
        "reference_calls": 30,
        "refine_calls": 0,
        "budget": {"reference_calls": 120, "iterations": 20, "wall_time": None},
        "structures": 136,
        "structures_by_stage": {"relaxed": 100, "labelled": 30, "failed": 6},
        "steps": {
            "label": {"running": 2, "planned": 4, "done": 30},
            "train": {"planned": 1},
            "breed": {"done": 6},
        },
        "best_energy_per_atom": -4.6123,
        "best": found("g006-001", -4.6123).to_dict(),
        "spread": 0.0123,
        "started": "2025-01-01T00:00:00+00:00",
        "updated": "2025-01-01T00:01:00+00:00",
        "finished": None,
        "elapsed": 60.0,
    }
    return document | changes


def test_heights_are_above_the_lowest() -> None:
    text = shown(structures_table([found("a", -4.6296), found("b", -4.6196)]))
    first, second = (line for line in text.splitlines() if "Fd-3m" in line)
    assert "-4.6296" in first
    assert " 0.0 " in first
    assert " 10.0 " in second
    assert "committee" not in text
    assert "enthalpy" not in text


HOW = {
    "times": 12,
    "first": "g004-032",
    "iteration": 2,
    "generation": 4,
    "operator": "crossover",
    "reference_calls": 22,
}
RUTILE = {
    "name": "Rutile",
    "strukturbericht": "C4",
    "pearson": "tP6",
    "aflow": "A2B_tP6_136_f_a",
}


def results() -> list[Found]:
    known = {"stage": "result", "found": HOW, "prototype": RUTILE}
    strict = {"number": 227, "symbol": "Fd-3m"}
    rough = {"number": 12, "symbol": "C2/m"}
    return [
        found("r000-g004-032", -4.6296, **known, space_group_strict=strict),
        found("r001-g002-001", -4.6196, stage="result", space_group_strict=rough),
    ]


def test_results_tell_what_they_are_and_how_they_were_found() -> None:
    text = shown(structures_table(results()))
    first, second = (line for line in text.splitlines() if "Fd-3m" in line)
    for words in ("Rutile, C4", "12×", "gen. 4, 22 calls, crossover", "same"):
        assert words in first
    assert "C2/m (12)" in second
    assert "–" in second
    plain = shown(structures_table([found("a"), found("b")]))
    assert "found" not in plain
    assert "strictly" not in plain
    assert "gen." in plain


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_nothing_is_cut_off_in_a_narrow_terminal(width: int) -> None:
    stream = io.StringIO()
    screen = Console(file=stream, width=width)
    screen.print(structures_table(results(), width=screen.width))
    text = stream.getvalue()
    missing = re.findall(r"left out for want of width: (.*?)\s*$", text, re.MULTILINE)
    left_out = missing[0].split(", ") if missing else []
    assert left_out == {60: ["volume", "first", "strictly", "found"], 80: ["volume", "first"]}.get(
        width, []
    )
    words = {"found": "12×", "first": "crossover", "volume": "19.65", "prototype": "Rutile"}
    for column, word in words.items():
        assert (word in text) is (column not in left_out)
    for word in ("r000-g004-032", "-4.6296", "10.0"):
        assert word in text


def test_details_tell_the_same_at_length() -> None:
    (item, rough) = results()
    text = shown(structure_details(item, [item]))
    assert "Rutile, C4 (A2B_tP6_136_f_a)" in text
    assert "12 times, first as g004-032 by crossover (iteration 2, generation 4, 22" in text
    assert "strictly" not in text
    assert "Fd-3m (227), strictly C2/m (12)" in shown(structure_details(rough, [rough]))
    once = found("r", found=HOW | {"times": 1, "reference_calls": None})
    assert "once, first as g004-032 by crossover (iteration 2, generation 4)" in shown(
        structure_details(once, [once])
    )


def test_the_summary_has_the_same_columns() -> None:
    text = summary_markdown(status(state="finished"), results())
    assert "| Fd-3m (227) | Rutile, C4 | 19.65 | 12× | gen. 4, 22 calls, crossover |" in text
    assert "| Fd-3m (227), strictly C2/m (12) | – | 19.65 | – | gen. 3 |" in text


def test_structures_without_reference_energy_show_the_committee() -> None:
    text = shown(structures_table([found("a"), found("b", None)]))
    assert "committee" in text
    assert "-4.5000" in text
    assert "12.3" in text


def test_one_structure_has_no_columns_that_say_what_the_title_can() -> None:
    text = shown(structures_table([found("a")], title="structures found by Si8-1"))
    title, *rest = text.strip().splitlines()
    assert title.rstrip() == "structures found by Si8-1, Si2, tersoff, labelled"
    assert "reference" not in "".join(rest)
    assert shown(structures_table([], title="structures")).strip().startswith("structures")


def test_enthalpies_are_shown_under_pressure() -> None:
    assert "enthalpy" in shown(structures_table([found("a", enthalpy_per_atom=-4.1)]))


def test_a_family_with_a_common_grandparent() -> None:
    tree = shown(
        ancestry_tree(
            [
                found("g002-001", parents=("g001-001", "g001-002")),
                found("g001-001", parents=("i000-000",)),
                found("g001-002", parents=("i000-000", "lost")),
                found("i000-000"),
            ]
        )
    )
    assert tree.count("i000-000  random") == 1
    assert "i000-000  (drawn above)" in tree
    assert "lost  (not stored)" in tree


def test_details_name_failure_and_pick() -> None:
    item = found(
        "a", None, stage="failed", failure={"reason": "timeout", "message": "3600 s passed"}
    )
    text = shown(structure_details(item, [item], {"why": "lowest score", "score": -4.61}))
    for words in ("failed (timeout)", "3600 s passed", "lowest score", "-4.6100", "1.36000"):
        assert words in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (8.2, "8 s"), (190, "3 min 10 s"), (7500, "2 h 05 min"), (59.9, "1 min 00 s")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_eta_is_the_nearest_limit() -> None:
    assert eta(status()) == pytest.approx(60 * 90 / 30)
    assert eta(status(budget={"reference_calls": 120, "iterations": 3, "wall_time": None})) == 30
    assert eta(status(budget={"reference_calls": 9, "iterations": 9, "wall_time": 1.0})) == 0
    nothing = status(reference_calls=0, iteration=0)
    assert eta(nothing) is None


def test_the_queue_by_who_serves_it() -> None:
    assert queue(status()) == {
        "search": {"running": 0, "waiting": 0},
        "reference": {"running": 2, "waiting": 4},
        "training": {"running": 0, "waiting": 1},
    }


def test_one_line_and_panel_say_the_same() -> None:
    line, panel = plain_line(status()), shown(render(status()))
    assert "\n" not in line
    for words in ("-4.6123 eV/atom", "12.3 meV/atom", "2 running 4 waiting", "3 min 00 s left"):
        assert words in line
        assert words in panel
    assert "30 of 120" in panel
    ended = status(state="finished", reason="best structures unchanged", best=None, spread=None)
    assert "best structures unchanged" in plain_line(ended)
    assert "none yet" in shown(render(ended))
    assert "left" not in plain_line(ended)


def test_lines_come_only_when_something_changed() -> None:
    stream = io.StringIO()
    with open_progress(console=Console(file=stream)) as progress:
        progress.update(status())
        progress.update(status(elapsed=61.0))
        progress.update(status(generation=7))
    assert len(stream.getvalue().splitlines()) == 2
    with open_progress(quiet=True) as silent:
        silent.update(status())


def test_the_live_display_on_a_terminal() -> None:
    stream = io.StringIO()
    with open_progress(console=Console(file=stream, force_terminal=True, width=100)) as progress:
        progress.update(status())
        progress.update(status(generation=7))
    text = stream.getvalue()
    assert "Si8-12345678" in text
    assert "\x1b[" in text


def history(**changes: Any) -> History:
    rng = np.random.default_rng(1)
    values: dict[str, Any] = {
        "title": "Si8",
        "engine": "tersoff",
        "generations": [
            Generation(
                number=g,
                iteration=1 + (g - 1) // 3,
                enthalpies=tuple(-4.0 - 0.05 * g + 0.3 * rng.random(20)),
            )
            for g in range(1, 10)
        ],
        "references": [ReferencePoint(generation=g, enthalpy=-4.0 - 0.05 * g) for g in range(10)],
        "final": -4.6296,
    }
    return History(**(values | changes))


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    path = save_figure(energy_figure(history()), tmp_path / "plots" / "energy.png")
    pixels = image.imread(path)
    assert pixels.shape[0] > 600
    assert pixels.shape[1] > 1000
    assert path.stat().st_size > 30_000
    assert pixels[..., :3].std() > 0.1


def test_the_plot_names_what_it_shows() -> None:
    (axes,) = energy_figure(history()).axes
    labels = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert labels == [
        "population, middle 80 %",
        "population median",
        "population best",
        "reference method (tersoff)",
        "best result, −4.6296 eV/atom",
    ]
    assert axes.get_ylabel() == "energy (eV/atom)"
    assert axes.get_xlabel() == "generation"
    low, high = axes.get_ylim()
    assert low < -4.6296 < high


def test_outliers_do_not_squeeze_the_plot() -> None:
    points = [*history().references, ReferencePoint(generation=2, enthalpy=400.0)]
    (axes,) = energy_figure(history(references=points, pressed=True)).axes
    assert axes.get_ylim()[1] < 0
    assert any("1 above the range" in t.get_text() for t in axes.figure.legends[0].get_texts())
    assert axes.get_ylabel() == "enthalpy (eV/atom)"


@pytest.mark.parametrize(
    "changes",
    [
        {"generations": [], "references": [], "final": None},
        {"generations": []},
        {"references": [], "final": None},
        {"generations": [Generation(number=1, iteration=1, enthalpies=())], "references": []},
        {"generations": [Generation(number=1, iteration=1, enthalpies=(-1.0,))]},
    ],
)
def test_plots_of_young_searches(changes: dict[str, Any], tmp_path: Path) -> None:
    path = save_figure(energy_figure(history(**changes)), tmp_path / "energy.png")
    assert path.stat().st_size > 5_000


def test_many_iterations_keep_the_labels_apart() -> None:
    generations = [
        Generation(number=g, iteration=1 + (g - 1) // 2, enthalpies=(-1.0, -1.0 + 1 / g))
        for g in range(1, 121)
    ]
    (axes,) = energy_figure(history(generations=generations)).axes
    assert len([t for t in axes.texts if t.get_text().isdigit()]) <= 15
    assert math.isclose(axes.get_xlim()[1], 120.5)
