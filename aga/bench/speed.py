"""`aga bench speed`: one run, everything side by side."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from aga.bench.cases import Case, Form, make_cases, random_cells
from aga.bench.peaks import measure_peaks
from aga.bench.peers.dscribe_acsf import dscribe_values, installed
from aga.bench.peers.torch_triplets import TorchTriplets, Variant
from aga.bench.process import fresh_process
from aga.bench.relaxation import FILTERS, measure_relaxation
from aga.bench.stages import measure_stages
from aga.bench.teaching import trained_committee
from aga.bench.threads import core_counts, threads
from aga.bench.timing import Samples, interleave
from aga.potential.batch import Batch, Evaluation
from aga.potential.committee import NetworkCommittee
from aga.structure.candidate import Candidate

__all__ = ["Options", "measure"]

FORMS: tuple[Form, ...] = ("wide", "narrow")

_VARIANTS: dict[str, Variant] = {"torch": "formula", "torch_factored": "factored"}
PEERS = (*_VARIANTS, "dscribe")
"""Plain torch as the formulas read and factored by hand, energy, forces and stress; DScribe's
values alone."""

AGREEMENT = 1e-7
"""eV/atom and eV/Å; what differs by more is not the same potential, and its time means nothing."""

COMPARED = 16
"""Cells that ASE relaxes too."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    ``cases`` families by name, all where empty; ``quick``: one round and fewer cells; ``relax``:
    relaxations too; ``rounds``: of which medians are taken.
    """

    cases: Sequence[str] = ()
    quick: bool = False
    relax: bool = True
    rounds: int = 5

    @property
    def repeats(self) -> int:
        """Rounds that are measured."""
        return 1 if self.quick else self.rounds


def measure(options: Options, progress: Progress) -> dict[str, Any]:
    """Run the benchmark.

    Parameters
    ----------
    options
        What to measure.
    progress
        Called with a line for people before each part.

    Returns
    -------
    dict
        The document that docs/reference/json.md describes; None where a peer is absent or
        a part was not asked for.

    Raises
    ------
    aga.errors.InputError
        No such case.
    """
    cases = make_cases(options.cases, quick=options.quick)
    document: dict[str, Any] = {"machine": _machine(), "cases": [_facts(case) for case in cases]}
    with threads(1):
        progress("peaks of one core")
        document["peaks"] = peaks = measure_peaks(options.repeats)
        progress("first energy and memory in fresh processes")
        batch = make_cases(["random"], quick=options.quick)[0]
        document |= fresh_process(batch, rounds=1 if options.quick else 3)
    document |= _side_by_side(cases, options, peaks, progress)
    document |= _committee(cases[-1], options, progress)
    return document | _relaxation(options, progress)


def _machine() -> dict[str, Any]:
    names = [
        line.split(":", 1)[1].strip()
        for line in _read("/proc/cpuinfo").splitlines()
        if line.startswith("model name")
    ]
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count()}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - a pseudo-file
            return stream.read()
    except OSError:
        return ""


def _facts(case: Case) -> dict[str, Any]:
    return {
        "case": case.name,
        "title": case.title,
        "structures": len(case.candidates),
        "atoms": case.atoms,
        "functions": case.functions.size,
    }


def _side_by_side(
    cases: Sequence[Case], options: Options, peaks: Mapping[str, float], progress: Progress
) -> dict[str, Any]:
    rows, peers, stages = [], [], []
    for case in cases:
        for form in FORMS:
            title = f"{case.title}, {form} form"
            difference = _difference(case, form)
            if not difference < AGREEMENT:
                progress(f"{title}: left out, differs by {difference} from torch")
                continue
            for cores in core_counts():
                progress(f"{title}, {cores} {'core' if cores == 1 else 'cores'}")
                with threads(1):
                    samples = interleave(_contestants(case, form, cores), options.repeats).merged()
                said = {"case": case.name, "form": form, "threads": cores}
                rows.append(said | _row(case, samples))
                peers += [said | _peer(case, samples, name) for name in PEERS]
            with threads(1):
                stages.append(measure_stages(case, form, options.repeats, peaks))
    return {"rows": rows, "peers": peers, "stages": stages}


def _difference(case: Case, form: Form) -> float:
    """Give the largest difference to plain torch, of the first structure.

    Of its energy in eV/atom and its forces in eV/Å.
    """
    model, candidates = case.models(form)[0], case.candidates[:1]
    ours = NetworkCommittee([model]).evaluate(Batch.pack(candidates))
    peer = TorchTriplets(model).evaluate(candidates)
    energy = abs(ours.energies[0] - peer.energies[0]) / len(candidates[0])
    return max(float(energy), float(np.abs(ours.gradient - peer.gradient).max()))


def _contestants(case: Case, form: Form, cores: int) -> dict[str, Callable[[], object]]:
    model, candidates = case.models(form)[0], case.candidates
    committee, batch = NetworkCommittee([model], threads=cores), Batch.pack(candidates)
    calls: dict[str, Callable[[], object]] = {"ours": lambda: committee.evaluate(batch)}
    for name, variant in _VARIANTS.items():
        peer = TorchTriplets(model, variant)
        for count in {1, cores}:  # torch may be quicker with one thread, so it has the choice
            calls[f"{name}@{count}"] = partial(_on_cores, peer, candidates, count)
    if installed():
        calls["dscribe"] = dscribe_values(case.form(form), candidates, cores)
    return calls


def _on_cores(peer: TorchTriplets, candidates: Sequence[Candidate], cores: int) -> Evaluation:
    with threads(cores):
        return peer.evaluate(candidates)


def _row(case: Case, samples: Samples) -> dict[str, Any]:
    return {
        "us_per_atom": samples.median("ours") / case.atoms * 1e6,
        "ratio_torch": _ratio(samples, "torch"),
        "ratio_dscribe": _ratio(samples, "dscribe"),
    }


def _ratio(samples: Samples, peer: str) -> float | None:
    return samples.ratio(peer, "ours") if peer in samples.seconds else None


def _peer(case: Case, samples: Samples, name: str) -> dict[str, Any]:
    there = name in samples.seconds
    return {
        "peer": name,
        "us_per_atom": samples.median(name) / case.atoms * 1e6 if there else None,
        "ratio": _ratio(samples, name),
    }


def _committee(case: Case, options: Options, progress: Progress) -> dict[str, Any]:
    """Compare a committee with one member, and two cores with one."""
    progress(f"{case.title}, committee of four, and two cores")
    models, batch = case.models("wide"), Batch.pack(case.candidates)
    one, every = NetworkCommittee(models[:1]), NetworkCommittee(models)
    two = NetworkCommittee(models[:1], threads=max(core_counts()))
    members: dict[str, Callable[[], object]] = {
        "one": lambda: one.evaluate(batch),
        "every": lambda: every.evaluate(batch),
        "spread": lambda: every.predict(case.candidates),
    }
    cores: dict[str, Callable[[], object]] = {
        "one": members["one"],
        "two": lambda: two.evaluate(batch),
    }
    with threads(1):
        samples = interleave(members, options.repeats)
        shared = interleave(cores, options.repeats)
    return {
        "committee_cost_ratio": samples.ratio("every", "one"),
        "committee_with_force_spread_ratio": samples.ratio("spread", "one"),
        "two_core_ratio": shared.ratio("one", "two") if two.threads.count > 1 else None,
    }


def _relaxation(options: Options, progress: Progress) -> dict[str, Any]:
    if not options.relax:
        return {"relax": dict.fromkeys((*(f"ratio_{f}" for f in FILTERS), "optimizer_share"))}
    progress("training a committee to relax with")
    with threads(1):
        committee = trained_committee(quick=options.quick, threads=max(core_counts()))
        return measure_relaxation(
            committee,
            random_cells(4 if options.quick else 64),
            compared=2 if options.quick else COMPARED,
            progress=progress,
        )
