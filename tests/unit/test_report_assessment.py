"""Tables and pictures of a potential's errors: what is shown, and in which colours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from rich.console import Console

from aga.report.assessment import errors_table, worst_table
from aga.report.learning import learning_figure
from aga.report.parity import COLOURS, DENSE, OTHERS, Panel, parity_figure
from aga.report.plots import save_figure
from aga.rng import stream


def printed(table: object) -> list[list[str]]:
    stream_ = io.StringIO()
    Console(file=stream_, width=120).print(table)
    return [line.split() for line in stream_.getvalue().split("\n") if line.strip()]


def scored(mae: float, r2: float | None = 0.5) -> dict[str, Any]:
    return {"mae": mae, "rmse": 2 * mae, "r2": r2, "count": 7}


def test_the_table_of_errors() -> None:
    errors = {
        "frames": 7,
        "energy": scored(12.345),
        "forces": scored(0.1, None),
        "stress": None,
        "rank_correlation": 0.25,
    }
    rows = printed(errors_table({"bulk (3)": errors, "all": errors}, title="some"))
    assert rows[0] == ["some"]
    assert rows[1] == ["quantity", "MAE", "RMSE", "R²", "rank", "number"]
    energy = ["energy", "(meV/atom)", "12.35", "24.69", "0.5000", "0.250", "7"]
    forces = ["forces", "(eV/Å)", "0.1", "0.2", "–", "7"]
    assert rows[3:] == [["bulk", "(3)", *energy], forces, ["all", *energy], forces]


def test_the_table_of_the_worst() -> None:
    worst = [
        {"quantity": "energy", "name": "a-00003", "source": "a.xyz", "error": 30.0},
        {"quantity": "energy", "name": "a-00001", "source": "a.xyz", "error": -12.3456},
        {"quantity": "forces", "name": "b-00003", "source": "b.xyz", "error": 0.5},
    ]
    rows = printed(worst_table(worst))
    assert rows[3:] == [
        ["energy", "(meV/atom)", "a-00003", "a.xyz", "+30"],
        ["a-00001", "a.xyz", "-12.35"],
        ["forces", "(eV/Å,", "RMSE)", "b-00003", "b.xyz", "0.5"],
    ]


def make_panel(sizes: dict[str, int], **changes: Any) -> Panel:
    rng = stream(1, "panel")
    series = {}
    for name, size in sizes.items():
        true = rng.normal(-5, 1, size)
        series[name] = (true, true + rng.normal(0, 0.1, size))
    values: dict[str, Any] = {"quantity": "energy", "unit": "eV/atom", "error_unit": "meV/atom"}
    return Panel(series=series, **({"said": scored(12.3)} | values | changes))


def drawn(axes: Any) -> dict[str, str]:
    """Give the colour of each series of points."""
    handles, names = axes.get_legend_handles_labels()
    return {
        name: to_hex(handle.get_facecolor()[0]) for handle, name in zip(handles, names, strict=True)
    }


def test_a_parity_plot(tmp_path: Path) -> None:
    sizes = {"training": 90, "test": 30}
    stress = make_panel({"training": 0, "test": 30}, quantity="stress", said=scored(0.2, None))
    figure = parity_figure([make_panel(sizes), stress], title="A potential")
    first, second = figure.axes
    assert drawn(first) == {"training": COLOURS[0].lower(), "test": COLOURS[1].lower()}
    assert drawn(second) == {"test": COLOURS[1].lower()}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "test"]
    assert first.texts[0].get_text() == "MAE 12.3 meV/atom\nRMSE 24.6 meV/atom\nR² 0.5000"
    assert "R²" not in second.texts[0].get_text()
    assert first.get_xlim() == first.get_ylim()
    assert first.get_title(loc="left") == "energy, 120 values"
    (diagonal,) = first.lines
    np.testing.assert_array_equal(*diagonal.get_data())
    for suffix in (".png", ".svg", ".pdf"):
        assert save_figure(figure, tmp_path / f"parity{suffix}").stat().st_size > 5000


def test_many_points_are_a_density() -> None:
    few, many = (
        parity_figure([make_panel({"all": count})], title="x").axes[0].collections[0]
        for count in (DENSE, DENSE + 1)
    )
    assert few.get_array() is None  # points, all of one colour
    assert len(many.get_array()) > 100  # cells of a map, coloured by how many points each holds
    assert many.get_array().sum() == DENSE + 1


def test_more_groups_than_colours() -> None:
    sizes = {f"g{number}": 20 + number for number in range(12)}
    colours = drawn(parity_figure([make_panel(sizes)], title="x").axes[0])
    assert list(colours) == ["g6", "g7", "g8", "g9", "g10", "g11", "others"]
    assert colours.pop("others") == OTHERS.lower()
    assert len(set(colours.values())) == 6


def test_absurd_predictions_do_not_spoil_the_picture() -> None:
    panel = make_panel({"all": 200})
    true, said = panel.series["all"]
    said[3], said[5] = 1e6, np.nan
    axes = parity_figure([panel], title="x").axes[0]
    assert axes.get_xlim()[1] < 1
    assert axes.texts[1].get_text() == "2 outside"
    # a potential that is off everywhere is shown where it is
    panel = make_panel({"all": 200})
    far = Panel(
        quantity="energy",
        unit="eV/atom",
        series={"all": (true, panel.series["all"][1] + 50)},
        said=scored(1.0),
        error_unit="meV/atom",
    )
    low, high = parity_figure([far], title="x").axes[0].get_ylim()
    assert low < -7
    assert high > 46


def record(passes: int, loss: float | None, **more: float | None) -> dict[str, float | None]:
    return {"passes": passes, "loss": loss, **more}


def lines(axes: Any) -> dict[str, np.ndarray]:
    """Give the lines that have names."""
    return {line.get_label(): np.array(line.get_data()) for line in axes.lines if named(line)}


def named(line: Any) -> bool:
    return not line.get_label().startswith("_")


def test_learning_curves_of_members() -> None:
    curves = [
        [record(1, 4.0, validation=2.0), record(10, 1.0, validation=None), record(100, 0.5)],
        [record(1, 1.0, validation=8.0), record(10, 0.01, validation=float("nan"))],
    ]
    figure = learning_figure(curves, title="x")
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    found = lines(axes)
    assert list(found) == ["training, mean of 2 members", "validation, mean of 2 members"]
    np.testing.assert_allclose(found["training, mean of 2 members"], [[1, 10], [2.0, 0.1]])
    np.testing.assert_allclose(found["validation, mean of 2 members"], [[1], [4.0]])
    pale = [line for line in axes.lines if not named(line)]
    assert len(pale) == 4
    assert all(line.get_alpha() < 0.5 for line in pale)
    np.testing.assert_array_equal(pale[0].get_xdata(), [1, 10, 100])


def test_learning_curves_of_errors(tmp_path: Path) -> None:
    curve = [record(p, 1 / p, validation=2 / p, energy_rmse=50 / p) for p in range(1, 30)]
    figure = learning_figure([curve], title="x")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "energy, validation"]
    assert list(lines(figure.axes[0])) == ["training", "validation"]
    assert figure.axes[1].get_ylabel() == "RMSE (meV/atom)"
    assert save_figure(figure, tmp_path / "learning.png").stat().st_size > 5000


@pytest.mark.parametrize("curves", [[], [[]], [[record(0, 1.0), record(1, 0.0), record(2, None)]]])
def test_learning_curves_of_nothing(curves: list, tmp_path: Path) -> None:
    figure = learning_figure(curves, title="x")
    assert not figure.axes[0].lines
    save_figure(figure, tmp_path / "none.png")
