"""The ready TiO2 workflow by stock FireWorks: two iterations with two elements."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import aga
from aga.tasks.local import worker_environment

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]

RUTILE = -39.80
"""eV per formula unit of rutile in the Matsui–Akaogi potential."""


def test_two_iterations_of_tio2(tmp_path: Path, embedded_database: str) -> None:
    name = embedded_database.rpartition("/")[2]
    launchpad = tmp_path / "my_launchpad.yaml"
    launchpad.write_text(f"host: {embedded_database}\nname: {name}\nuri_mode: true\n")

    def call(program: str, *words: str) -> None:
        subprocess.run(
            [str(Path(sys.executable).parent / program), "-l", str(launchpad), *words],
            cwd=tmp_path,
            env=worker_environment(),
            check=True,
            timeout=600,
            capture_output=True,
        )

    call("lpad", "reset", "--password", f"{datetime.now():%Y-%m-%d}")  # noqa: DTZ005 - local
    call("lpad", "add", str(ROOT / "workflows" / "tio2.yaml"))
    call("rlaunch", "rapidfire")
    with aga.open_search(embedded_database) as search:
        status = search.status()
        assert status["state"] == "finished"
        assert status["formula"] == "O4Ti2"
        assert status["iteration"] == 2
        operators = {found.candidate.lineage.operator for found in search.structures()}
        assert {"random", "crossover", "strain", "rattle", "permutation"} <= operators
        best = search.best(1)[0]
        assert best.reference == "matsui-akaogi"
        assert best.energy_per_atom is not None
        sys.stderr.write(f"{3 * best.energy_per_atom:.3f} eV per formula unit\n")
        assert RUTILE - 0.05 < 3 * best.energy_per_atom < -38.5
