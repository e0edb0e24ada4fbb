"""A committee with minima to relax into: a small one, trained anew in every run."""

from __future__ import annotations

import numpy as np
from ase.filters import UnitCellFilter
from ase.optimize import FIRE

from aga.bench.cases import random_cells
from aga.config.schema import Settings
from aga.oracle.matsui_akaogi import MatsuiAkaogiCalculator
from aga.potential.kinds import AnyCommittee, make_committee
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

__all__ = ["trained_committee"]

LESSONS = 20
"""Random cells whose way down is labelled."""

STEPS = 24
KEPT = (0, 3, 8, 16, 24)
"""Steps of the way down that are labelled."""

SEED = 7


def trained_committee(*, quick: bool = False, threads: int = 1) -> AnyCommittee:
    """Train a committee of TiO₂ on labels of the Matsui–Akaogi potential; equal ones each time.

    Random cells, other than those that are relaxed with it, and the first steps of their
    relaxation by the reference method. Good enough for smooth downhill ways and real minima,
    not for science.
    """
    settings = Settings.model_validate(
        {
            "search": {"composition": "Ti4O8", "seed": SEED},
            "potential": {"preset": "tio2"},
            "training": {"passes": 20 if quick else 60, "focal_gamma": 0.0},
            "oracle": {"engine": "matsui-akaogi"},
        }
    )
    frames = [
        f
        for cell in random_cells(LESSONS // (4 if quick else 1), purpose="lessons")
        for f in _way_down(cell)
    ]
    members = range(settings.potential.members)
    return make_committee(
        [fit_member(frames, Recipe.of_search(settings), member=m).model for m in members],
        threads=threads,
    )


def _way_down(candidate: Candidate) -> list[Frame]:
    atoms = candidate.to_ase()
    atoms.calc = MatsuiAkaogiCalculator(real_cutoff=6.0, accuracy=1e-6)
    frames = []
    optimizer = FIRE(UnitCellFilter(atoms), logfile=None, maxstep=0.1)
    for step, _ in enumerate(optimizer.irun(fmax=0.05, steps=STEPS)):
        forces = atoms.get_forces()
        if step in KEPT and np.abs(forces).max() < 30.0:
            frames.append(
                Frame(
                    candidate=Candidate.from_ase(atoms, name=f"{candidate.name}-{step}"),
                    energy=float(atoms.get_potential_energy()),
                    forces=forces,
                    stress=atoms.get_stress(),
                    source="Matsui–Akaogi",
                )
            )
    return frames
