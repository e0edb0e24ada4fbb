"""A scan of γ: what is trained, what is kept, and what the numbers are said to mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import exp, inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings
from aga.errors import DataError, InputError
from aga.potential.kinds import load_model
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.gamma.frames import check_gammas, divide
from aga.training.gamma.scan import Inquiry, Run, Scan, remaining, resolution, run_scan
from aga.training.gamma.verdict import choose_targets, judge, new_share, passes_to, scan_document
from aga.training.recipe import Recipe
from aga.training.schedule import Prefactors
from aga.training.scoring.frame_loss import mean_loss


@pytest.fixture(scope="module")
def base(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [replace(make_silicon(f"base-{k}"), source="base.xyz") for k in range(12)]


@pytest.fixture(scope="module")
def new(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"new-{k}") for k in range(3)]


def inquiry(base: list[Frame], new: list[Frame], **changes: Any) -> Inquiry:
    training = {"optimizer": "adam", "passes": 4, **changes.pop("training", {})}
    recipe = Recipe.for_frames(
        base,
        PotentialSettings(cutoff=3.5, hidden=(4,)),
        TrainingSettings.model_validate(training),
        seed=3,
    )
    values = {"gammas": (0.0, 2.0), "seeds": 2, "base_passes": 6, "held": base[10:]}
    return Inquiry(base=base[:10], new=new, recipe=recipe, **(values | changes))


def test_a_scan_trains_every_gamma_from_one_model(
    base: list[Frame], new: list[Frame], tmp_path: Path
) -> None:
    asked = inquiry(base, new)
    told: list[tuple[str, int]] = []
    scan = run_scan(
        asked, tmp_path, processes=1, progress=lambda name, e: told.append((name, e["passes"]))
    )
    assert [(run.seed, run.gamma) for run in scan.runs] == [(0, 0), (0, 2), (1, 0), (1, 2)]
    assert [run.gamma for run in scan.base] == [None, None]
    first, other = scan.runs[:2]
    assert first.curve[0] == other.curve[0]
    assert first.curve[-1] != other.curve[-1]
    assert first.curve[0] != scan.runs[2].curve[0]
    assert [passes for passes, _ in first.curve] == [0, 1, 2, 3, 4]
    assert ("seed-01-gamma-2", 4) in told
    assert not list(tmp_path.glob("*.checkpoint*"))
    model = load_model((tmp_path / "seed-01-base.safetensors").read_bytes())
    again = fit_member([*base[:10], *new], asked.retraining(2.0), member=1, previous=model)
    assert [entry["loss"] for entry in again.history] == [loss for _, loss in scan.runs[3].curve]


def test_the_loss_of_new_and_old_frames_adds_up_to_that_of_the_training(
    base: list[Frame], new: list[Frame], tmp_path: Path
) -> None:
    scan = run_scan(inquiry(base, new, seeds=1), tmp_path, processes=1)
    for run in scan.runs:
        both = (10 * run.losses["base"] + 3 * run.losses["new"]) / 13
        assert run.curve[-1][1] == pytest.approx(both, rel=1e-6)
        assert run.losses["held"] > 0
    (start,) = scan.base
    both = (10 * start.losses["base"] + 3 * start.losses["new"]) / 13
    assert scan.runs[0].curve[0][1] == pytest.approx(both, rel=1e-6)


def test_labels_that_are_missing_add_nothing_to_the_loss(
    base: list[Frame], new: list[Frame], tmp_path: Path
) -> None:
    run_scan(inquiry(base, new, seeds=1, gammas=(0.0,)), tmp_path, processes=1)
    model = load_model((tmp_path / "seed-00-base.safetensors").read_bytes())
    energy, force = (Prefactors(energy=e, force=f, stress=0.0) for e, f in ((1.0, 0.0), (0.0, 1.0)))
    bare = [replace(frame, forces=None, stress=None) for frame in new]
    assert mean_loss(model, bare, force) == 0.0
    assert mean_loss(model, new, force) > 0.0
    assert mean_loss(model, bare, energy) == mean_loss(model, new, energy) > 0.0


def test_what_is_done_is_not_done_again(
    base: list[Frame], new: list[Frame], tmp_path: Path
) -> None:
    small = inquiry(base, new, seeds=1, gammas=(0.0,))
    assert remaining(small, tmp_path) == {"seed-00-base": 6, "seed-00-gamma-0": 4}
    first = run_scan(small, tmp_path, processes=1)
    assert remaining(small, tmp_path) == {}
    more = inquiry(base, new, seeds=2, gammas=(0.0, 0.5))
    assert "seed-00-gamma-0" not in remaining(more, tmp_path)
    told: set[str] = set()
    second = run_scan(more, tmp_path, processes=1, progress=lambda name, _: told.add(name))
    assert told == {"seed-01-base", "seed-00-gamma-0.5", "seed-01-gamma-0", "seed-01-gamma-0.5"}
    assert second.runs[0] == first.runs[0]


def test_a_scan_that_was_interrupted_goes_on(
    base: list[Frame], new: list[Frame], tmp_path: Path
) -> None:
    asked = inquiry(base, new, seeds=1)

    def stop(name: str, entry: Any) -> None:
        if name == "seed-00-gamma-2" and entry["passes"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scan(asked, tmp_path / "a", processes=1, progress=stop)
    assert list(remaining(asked, tmp_path / "a")) == ["seed-00-gamma-2"]
    resumed = run_scan(asked, tmp_path / "a", processes=1)
    assert resumed == run_scan(asked, tmp_path / "b", processes=1)


def test_the_folder_of_another_scan_is_refused(
    base: list[Frame], new: list[Frame], tmp_path: Path
) -> None:
    asked = inquiry(base, new, seeds=1, gammas=(0.0,))
    run_scan(asked, tmp_path / "scan", processes=1)
    other = inquiry(base, new[1:], seeds=1, gammas=(0.0,))
    with pytest.raises(InputError, match="other frames or settings") as told:
        run_scan(other, tmp_path / "scan", processes=1)
    assert "--force" in str(told.value.remedy)
    assert len(remaining(other, tmp_path / "scan")) == 2
    scan = run_scan(other, tmp_path / "scan", processes=1, overwrite=True)
    assert scan.runs[0].losses != run_scan(asked, tmp_path / "third", processes=1).runs[0].losses
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds no scan"):
        run_scan(asked, tmp_path / "mine", processes=1, overwrite=True)


def test_every_frame_counts_alike_in_every_training(base: list[Frame], new: list[Frame]) -> None:
    own = {"energy_scale": 0.5, "quarantine": True, "validation_fraction": 0.3, "start": "fresh"}
    asked = inquiry(base, new, training={**own, "focal_cap": 7.0})
    first, then = asked.base_recipe().training, asked.retraining(2.0).training
    for training in (first, then):
        assert training.energy_scale is None
        assert not training.quarantine
        assert (training.validation_fraction, training.test_fraction) == (0.0, 0.0)
        assert training.focal_cap == 7.0
    assert (first.focal_gamma, first.passes) == (0.0, 6)
    assert (then.focal_gamma, then.passes, then.start) == (2.0, 4, "previous")


@pytest.mark.parametrize(
    ("training", "passes"),
    [
        ({"optimizer": "adam"}, 1),
        ({"optimizer": "newton"}, 5),
        ({"optimizer": "newton", "optimizer_options": {"refresh": 7}}, 7),
        ({"optimizer": "lbfgs"}, 10),
    ],
)
def test_passes_are_counted_as_finely_as_the_method_allows(
    training: dict[str, Any], passes: int, base: list[Frame], new: list[Frame]
) -> None:
    asked = inquiry(base, new, training=training)
    assert resolution(asked) == passes
    found = fit_member(base[:4], asked.retraining(0.0), member=0).history
    assert found[1]["passes"] == min(passes, 4)


def test_frames_that_can_not_be_compared(base: list[Frame], new: list[Frame]) -> None:
    train, held = divide(base, new, seed=0, held=0.2)
    assert {f.name for f in train} | {f.name for f in held} == {f.name for f in base}
    assert len(held) == 2
    _, other = divide(base[::-1], new, seed=0, held=0.2)
    assert {f.name for f in other} == {f.name for f in held}
    assert {f.name for f in divide(base, new, seed=1, held=0.2)[1]} != {f.name for f in held}
    assert len(divide(base, new, seed=0, held=0.01)[1]) == 1
    for share in (0.99, 1.0, -0.1):
        with pytest.raises(InputError, match="none is left to train on"):
            divide(base, new, seed=0, held=share)
    assert divide(base, new, seed=0, held=0.0) == (base, [])
    copies = [replace(f, candidate=f.candidate.renamed(f"copy-{k}")) for k, f in enumerate(base)]
    with pytest.raises(DataError, match="2 of the new frames are in the base set already: copy-4"):
        divide(base, [*new, *copies[4:6]], seed=0, held=0.2)
    numbers = np.array([14, 6] * 4)
    carbide = replace(new[0], candidate=replace(new[0].candidate, numbers=numbers))
    with pytest.raises(DataError, match="the new frames hold C, which no base frame has"):
        divide(base, [carbide], seed=0, held=0.2)
    with pytest.raises(DataError, match=r"base\.xyz, frame 1: the energy is nan"):
        divide([base[0], replace(base[1], energy=np.nan)], new, seed=0, held=0.2)


def test_gammas_are_checked() -> None:
    assert check_gammas([1, 0, 0.5, 1]) == (0, 0.5, 1)
    for wrong in (-0.5, inf, float("nan")):
        with pytest.raises(InputError, match="need 0 or more"):
            check_gammas([0.0, wrong])


def made(gamma: float, seed: int, losses: list[float]) -> Run:
    """A run that was looked at after every pass."""
    last = {"new": losses[-1], "base": 0.1, "held": 0.2}
    return Run(seed=seed, gamma=gamma, curve=tuple(enumerate(losses)), losses=last)


def falling(gamma: float, seed: int, rate: float, passes: int = 40) -> Run:
    return made(gamma, seed, [exp(-rate * k) for k in range(passes + 1)])


def test_passes_to_a_target() -> None:
    run = made(0, 0, [1.0, 0.5, 0.7, 0.3])
    assert [passes_to(run, target) for target in (1.0, 0.5, 0.49, 0.1)] == [0, 1, 3, inf]


def test_the_share_of_the_new_frames() -> None:
    losses = [{"new": 0.3, "base": 0.1}, {"new": 0.0, "base": 0.1}, {"new": 2.7, "base": 0.1}]
    runs = [replace(made(0, s, [1.0]), losses=one) for s, one in enumerate(losses)]
    assert new_share(runs, (90, 10)) == pytest.approx(3 / 12)


def test_targets_lie_between_start_and_end_of_ordinary_training() -> None:
    runs = [falling(0, seed, 0.1) for seed in range(3)] + [falling(1, 0, 5.0)]
    targets = choose_targets(runs)
    assert len(targets) == 6
    assert np.diff(np.log(targets)) == pytest.approx(-0.1 * 40 / 6, rel=0.15)
    assert exp(-4.0) <= targets[-1] < 1.1 * exp(-4.0)
    assert all(passes_to(runs[0], target) <= 40 for target in targets)
    assert choose_targets([made(0, 0, [1.0, 1.5, 1.2])]) == ()


def test_the_quicker_gamma_is_recommended_with_confidence() -> None:
    runs = [falling(0, s, 0.1 + 0.02 * s) for s in range(5)]
    runs += [falling(1, s, 0.2 + 0.04 * s) for s in range(5)]
    verdict = judge(runs, (0.5, 0.1), 40)
    assert (verdict.best, verdict.recommended, verdict.confidence) == (1, 1, 1.0)
    assert verdict.alike == ()


def test_noise_is_called_noise() -> None:
    rates = {0: (0.1, 0.2, 0.15, 0.12, 0.19), 1: (0.2, 0.1, 0.12, 0.15, 0.2)}
    runs = [falling(g, s, rate) for g, of in rates.items() for s, rate in enumerate(of)]
    verdict = judge(runs, (0.5, 0.1), 40)
    assert verdict.recommended is None
    assert verdict.confidence is not None
    assert 0.2 < verdict.confidence < 0.95
    document = scan_document(Scan(base=tuple(runs[:5]), runs=tuple(runs)), (0.5, 0.1), 40)
    assert document["recommended"] is None
    assert any("γ makes no difference here" in note for note in document["notes"])


def test_ties_are_shared() -> None:
    runs = [falling(g, s, 0.1 + 0.02 * s) for g in (0, 1) for s in range(4)]
    verdict = judge(runs, (0.5, 0.1), 40)
    assert (verdict.best, verdict.confidence) == (0, 0.5)
    assert (verdict.alike, verdict.recommended) == ((1,), None)


def test_a_gamma_that_stalls_is_not_recommended() -> None:
    stalled = [made(3, s, [1.0, *[0.3 + 0.01 * s] * 40]) for s in range(3)]
    runs = [falling(0, s, 0.1 + 0.01 * s) for s in range(3)] + stalled
    assert judge(runs, (0.5,), 40).recommended == 3
    assert judge(runs, (0.5, 0.1, 0.05), 40).recommended == 0


def test_rows_of_the_document() -> None:
    runs = [falling(0, s, 0.1) for s in range(3)]
    runs += [made(1, s, [1.0, 0.4] if s else [1.0, 0.9]) for s in range(2)]
    runs += [replace(made(1, 2, [1.0]), losses={}, diverged="the loss rose")]
    document = scan_document(Scan(base=tuple(runs[:3]), runs=tuple(runs)), (0.5, 0.01), 40)
    ordinary, other = document["rows"]
    assert ordinary["passes"]["0.5"] == {"median": 7, "min": 7, "max": 7, "reached": 3}
    nobody = {"median": None, "min": None, "max": None, "reached": 0}
    assert ordinary["passes"]["0.01"] == nobody
    assert other["passes"]["0.5"] == {"median": None, "min": 1, "max": None, "reached": 1}
    assert (other["new_loss"], other["ranges"]["new_loss"]) == (pytest.approx(0.65), [0.4, 0.9])
    assert other["diverged"] == 1
    assert any("1 of 3 trainings diverged" in note for note in document["notes"])
    json.dumps(document, allow_nan=False)


def test_one_seed_and_no_target_are_said() -> None:
    runs = (falling(0, 0, 0.1), falling(1, 0, 0.3))
    document = scan_document(Scan(base=runs[:1], runs=runs), (0.5,), 40)
    assert (document["recommended"], document["confidence"]) == (1, None)
    assert any("one seed" in note for note in document["notes"])
    document = scan_document(Scan(base=runs[:1], runs=runs), (), 40)
    assert (document["recommended"], document["best"], document["confidence"]) == (None,) * 3
    assert any("there is no target" in note for note in document["notes"])


def test_forgetting_is_warned_of() -> None:
    runs = [falling(0, s, 0.1) for s in range(3)]
    worse = {"new": 0.01, "base": 0.3, "held": 0.2}
    runs += [replace(falling(1, s, 0.3), losses=worse) for s in range(3)]
    notes = scan_document(Scan(base=tuple(runs[:3]), runs=tuple(runs)), (0.5,), 40)["notes"]
    assert [note for note in notes if "old structures fitted worse" in note]
    assert not [note for note in notes if "held out fitted worse" in note]
