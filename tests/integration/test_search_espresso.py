"""Silicon by density functional theory from nothing: nothing depends on analytic potentials."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk
from ruamel.yaml import YAML

from aga.config.load import load_settings
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate
from aga.tasks.local import worker_environment

pytestmark = [pytest.mark.espresso, pytest.mark.embedded, pytest.mark.slow]

TEMPLATE = Path(__file__).resolve().parents[2] / "templates" / "espresso" / "si-lda.yaml"

CALLS = 60
"""pw.x evaluations that the whole search may spend, its final relaxation included."""


def test_silicon_is_found_as_diamond(tmp_path: Path, embedded_database: str) -> None:
    tree = YAML(typ="safe").load(TEMPLATE.read_text(encoding="utf-8"))
    tree["search"] |= {"final_relaxations": 1, "budget": {"reference_calls": 48}}
    file = tmp_path / "si2.yaml"
    file.write_text(json.dumps(tree))  # JSON is YAML
    aga = str(Path(sys.executable).parent / "aga")
    environment = {**worker_environment(), "AGA_DATABASE": embedded_database}

    def ask(*words: str) -> dict[str, object]:
        done = subprocess.run(
            [aga, *words, "--json"], cwd=tmp_path, env=environment, check=True, capture_output=True
        )
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    status = ask("run", str(file), "--workers", "2")
    assert status["state"] == "finished"
    best = ask("best", "-n", "1")["structures"][0]  # type: ignore[index] # JSON
    calls = status["reference_calls"] + status["refine_calls"]  # type: ignore[operator] # JSON
    settings = load_settings(file)
    oracle = build_oracle(settings.oracle, settings.machine, {"Si": 2})
    ideal = Candidate.from_ase(bulk("Si", "diamond", a=5.4), name="ideal")
    _, label = oracle.relax(ideal, tmp_path / "ideal", pressure=0.0)
    found, wanted = best["energy_per_atom"], label.energy / 2
    sys.stderr.write(f"{found:.5f} eV/atom, ideal diamond {wanted:.5f}; {calls} calls\n")
    assert best["space_group"]["number"] == 227
    assert best["reference"] == "espresso"
    assert best["space_group_strict"]["number"] == 227
    assert found == pytest.approx(wanted, abs=0.001)
    assert status["unfinished_relaxations"] == []
    assert calls <= CALLS
