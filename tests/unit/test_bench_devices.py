"""`aga bench device`: the document has its shape, and what is compared agrees."""

import json

import pytest

from aga.bench.devices import DeviceOptions, measure_devices, rattled_cells
from aga.cli.main import main

NUMBERS = ("us_per_atom", "neighbours_us_per_atom", "host_us_per_atom", "ratio")


def test_both_precisions_are_measured_and_agree_with_the_processor() -> None:
    told: list[str] = []
    document = measure_devices(DeviceOptions(device="cpu", cells=(2,), repeats=1), told.append)
    assert [row["precision"] for row in document["rows"]] == ["float64", "float32"]
    for row, bound in zip(document["rows"], (1e-11, 1e-5), strict=True):
        assert (row["cells"], row["atoms"]) == (2, 24)
        assert all(row[name] > 0 for name in NUMBERS)
        assert row["force_difference"] < bound
        assert row["peak_megabytes"] is None
    assert len(told) == 2


def test_the_command_prints_one_document_or_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "device", "--device", "cpu", "--cells", "1"]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["device"].startswith("cpu")
    assert {row["cells"] for row in document["rows"]} == {1}
    assert main(arguments) == 0
    assert "float32" in capsys.readouterr().out


def test_the_cells_are_the_same_each_time_and_none_like_another() -> None:
    first, again = rattled_cells(2), rattled_cells(2)
    assert (first[1].positions == again[1].positions).all()
    assert abs(first[0].positions - first[1].positions).max() > 0.01
