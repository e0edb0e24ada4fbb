"""`aga tune thresholds` on the candidates that a search has stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from aga.cli.main import main
from aga.config.schema import Settings
from aga.potential.model import Model
from aga.store.repository import Repository
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Relaxed, RelaxReason
from aga.tasks.candidates import stored_candidates
from aga.training.selecting.structure_descriptors import structure_descriptors

pytestmark = pytest.mark.embedded

PRESSURE = 16.021766339999998
"""GPa: 0.1 eV/Å³."""


def oxide(name: str) -> Candidate:
    atoms = bulk("TiO", "rocksalt", a=4.3)
    atoms.rattle(0.15, seed=int(name[-1]) + 10 * int(name[3]))
    return Candidate.from_ase(atoms, name=name)


def relaxed(name: str, energy: float, spread: float, reason: RelaxReason = "converged") -> Relaxed:
    """Give a candidate with energy and spread in eV/atom, at a pressure of 0.1 eV/Å³."""
    candidate = oxide(name)
    return Relaxed(
        candidate=candidate,
        energy=2 * energy,
        enthalpy=2 * energy + 0.1 * candidate.volume,
        energy_spread=spread,
        force_spread=3 * spread,
        max_force=0.01,
        steps=9,
        reason=reason,
    )


@pytest.fixture
def search(repository: Repository, make_member: Callable[..., Model]) -> str:
    """Store two iterations of five and four candidates; each has a committee and its dataset."""
    acquisition = {"spread_max": 1.0, "energy_window": 0.5}
    settings = Settings.model_validate(
        {
            "search": {
                "composition": "TiO",
                "name": "oxide",
                "pressure": PRESSURE,
                "acquisition": acquisition,
            },
            "oracle": {"engine": "matsui-akaogi"},
        }
    )
    repository.create_search(settings)
    sid = settings.search_id()

    def label(iteration: int, name: str, energy: float) -> str:
        repository.put_frame(sid, iteration, Frame(candidate=oxide(name), energy=2 * energy))
        return name

    def teach(version: int, names: list[str]) -> None:
        repository.commit_dataset(sid, version, version - 1 if version else None, names)
        member = repository.put_blob(make_member(version).to_bytes())
        card = {"dataset": version, "members": [member], "metrics": [], "seed": 0}
        card |= {"settings_digest": settings.digest(), "code_version": "0"}
        repository.commit_committee(sid, version, card)

    initial = [oxide(f"i000-00{k}") for k in range(3)]
    repository.put_candidates(sid, 0, initial)  # never relaxed: no candidates of a dry run
    teach(0, [label(0, candidate.name, -5.0) for candidate in initial])
    first = [
        relaxed("g001-000", -5.20, 0.010),
        relaxed("g001-001", -5.10, 0.050),
        relaxed("g001-002", -5.00, 0.300),
        relaxed("g001-003", -9.00, 0.400, "untrusted"),  # a hole does not move the window
        relaxed("g001-004", -4.00, 0.020),  # above the window
    ]
    repository.put_relaxed(sid, 1, 0, first)
    teach(1, [label(1, "g001-000", -5.21), label(1, "g001-002", -5.30)])
    second = [
        replace(
            relaxed("g001-000", -5.21, 0.001), candidate=oxide("g001-000").renamed("g001-000.v001")
        ),
        relaxed("g002-001", -5.30, 0.004),
        relaxed("g002-002", -5.25, 0.080),
        relaxed("g002-003", -5.25, 2.000),  # above the upper bound
    ]
    repository.put_relaxed(sid, 2, 1, second)
    teach(2, [label(2, "g002-001", -5.304), label(2, "g002-002", -5.15)])
    repository.mark_failed(sid, "g002-003", "timeout", "no result within 3600 s")
    return sid


@pytest.fixture
def tell(
    search: str, embedded_database: str, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    def document(*words: str, code: int = 0) -> dict[str, Any]:
        place = ["--search", "oxide", "--database", embedded_database]
        assert main(["tune", "thresholds", *words, *place, "--json"]) == code
        return dict(json.loads(capsys.readouterr().out))

    return document


def test_each_candidate_is_judged_by_the_committee_of_its_time(
    search: str, tell: Callable[..., dict[str, Any]]
) -> None:
    said = tell("--lower", "0", "--lower", "0.03", "--fraction", "0.2")
    assert (said["search"], said["candidates"], said["labelled"]) == (search, 9, 4)
    assert (said["iterations"], said["wrong"]) == ([1, 2], 2)
    every, some = said["rows"]
    assert every["per_iteration"] == [4, 3]
    assert some["per_iteration"] == [3, 1]
    assert some["labelled"] == 2  # g001-002, wrong by 0.3, and g002-002, by −0.1 eV/atom
    assert some["error_mae"] == pytest.approx(0.2)
    assert some["error_rmse"] == pytest.approx(np.sqrt((0.3**2 + 0.1**2) / 2))
    assert some["others_mae"] == pytest.approx((0.01 + 0.004) / 2)
    assert (some["recall"], some["precision"], some["missed"]) == (1.0, 1.0, 0)
    fixed, adaptive = said["suggested"]["fixed"], said["suggested"]["adaptive"]
    settings = {"spread_min": 0.3, "spread_max": 1.0, "energy_window": 0.5}
    assert fixed["settings"] == pytest.approx(settings)
    assert fixed["per_iteration"] == [2, 0]
    assert [one["iteration"] for one in adaptive["bounds"]] == [1, 2]
    assert adaptive["per_iteration"] == [1, 1]
    notes = "\n".join(said["notes"])
    assert "the search chose who has a label" in notes
    assert "2 of 9 candidates are outside the other bounds" in notes
    assert [row["selected"] for row in tell("--lower", "0", "--window", "9")["rows"]] == [8]


def test_novelty_counts_from_what_that_committee_was_taught(
    search: str,
    repository: Repository,
    make_member: Callable[..., Model],
    tell: Callable[..., dict[str, Any]],
) -> None:
    found = stored_candidates(repository, search, described=True)
    assert [len(i.candidates) for i in found.iterations] == [5, 4]
    assert set(found.labels) == {"g001-000", "g001-002", "g002-001", "g002-002"}
    for version, iteration in enumerate(found.iterations):
        frames = repository.dataset_frames(search, version)
        known = structure_descriptors(make_member(version), [f.candidate for f in frames])
        assert iteration.known is not None
        np.testing.assert_array_equal(iteration.known, known)
    said = tell("--quantity", "novelty", "--lower", "1e-9")
    # the survivor is the very structure that was labelled an iteration before
    assert said["rows"][0]["per_iteration"] == [4, 2]
    assert said["suggested"]["fixed"]["settings"] == {}


def test_table_and_picture(
    search: str, embedded_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "plot.svg"
    words = ["tune", "thresholds", "--database", embedded_database, "--plot", str(plot)]
    assert main([*words, "--number", "2", "--diverse"]) == 0
    text = capsys.readouterr().out
    assert f"{search}: 9 candidates, 2 iterations, 4 labelled" in text
    assert "spread_max: 1  # " in text
    assert f"wrote {plot}" in text
    assert f"What a threshold would have selected: {search}" in plot.read_text("utf-8")


def test_what_a_search_cannot_tell(
    repository: Repository,
    search: str,
    embedded_database: str,
    tell: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "need structures of your own" in tell("--known", "a.xyz", code=2)["message"]
    assert "--model" in tell("--model", "a.safetensors", code=2)["message"]
    repository.create_search(Settings.model_validate({"search": {"composition": "Si2"}}))
    words = ["tune", "thresholds", "--database", embedded_database]
    assert main([*words, "--search", "Si2"]) == 2
    assert "has no candidate yet" in capsys.readouterr().err
    assert main([*words, "--search", "nix"]) == 2
    assert "nix" in capsys.readouterr().err


def test_a_made_up_search_without_models_is_enough(
    filled_search: str, embedded_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", "thresholds", "--database", embedded_database]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["search"], said["candidates"], said["labelled"]) == (filled_search, 3, 2)
    assert said["rows"][0]["error_mae"] == pytest.approx((0.02 + 0.0084) / 2)
    assert main([*words, "--quantity", "novelty"]) == 2
    assert "no model file" in capsys.readouterr().err
