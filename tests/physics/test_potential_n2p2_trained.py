"""A model trained here, written for n2p2 and LAMMPS and read again, is the same potential."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aga.config.schema import Settings
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import Repulsion
from aga.potential.model import Model
from aga.potential.n2p2.read import UNBOUNDED, read_n2p2
from aga.potential.n2p2.write import write_n2p2
from aga.potential.symmetry.descriptor import Descriptor
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

SETTINGS = Settings.model_validate(
    {
        "search": {"composition": "Ti2O4"},
        "training": {"passes": 3},
        "potential": {"hidden": [6, 5], "preset": "tio2"},
    }
)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    rng = stream(2, "frames")
    numbers = np.array([22, 22, 8, 8, 8, 8])
    places = np.array(
        [[0, 0, 0], [2, 2, 1.5], [1.1, 0.9, 0], [0.9, 3, 1.4], [3, 1, 1.6], [3, 3, 0]]
    )
    return [
        Frame(
            candidate=Candidate(
                name=f"{k}",
                numbers=numbers,
                positions=places + rng.normal(0, 0.1, (6, 3)),
                cell=np.diag([4.2, 4.1, 3.0]) + rng.normal(0, 0.1, (3, 3)),
            ),
            energy=float(rng.normal(-50.0)),
            forces=rng.normal(size=(6, 3)),
            stress=rng.normal(0, 0.01, 6),
        )
        for k in range(6)
    ]


@pytest.fixture(scope="module")
def model(frames: list[Frame]) -> Model:
    result = fit_member(frames, Recipe.of_search(SETTINGS, seed=1), member=0)
    assert isinstance(result.model, Model)
    return result.model


def test_same_predictions(model: Model, frames: list[Frame], tmp_path: Path) -> None:
    write_n2p2(model, tmp_path)
    candidates = [frame.candidate for frame in frames]
    back = read_n2p2(tmp_path)
    assert isinstance(model.repulsion, Repulsion)
    wanted = NetworkCommittee([replace(model, repulsion=None)]).predict(candidates)
    found = NetworkCommittee([back]).predict(candidates)
    for a, b in zip(found, wanted, strict=True):
        assert a.energy == pytest.approx(b.energy, rel=1e-12)
        assert np.abs(a.forces - b.forces).max() < 1e-11
        assert np.abs(a.stress - b.stress).max() < 1e-12


def test_range_of_the_training_data_is_written(
    model: Model, frames: list[Frame], tmp_path: Path
) -> None:
    write_n2p2(model, tmp_path)
    lines = (tmp_path / "scaling.data").read_text().splitlines()
    rows = np.array([line.split() for line in lines if not line.startswith("#")], dtype=float)
    low, high, mean, sigma = rows[:, 2:].T
    assert len(rows) == 2 * 70
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (high < UNBOUNDED).all()
    assert (high - low < 8.0 * sigma).all()  # at most 24 atoms of an element
    # each end is the value of an atom of the training frames
    descriptor = Descriptor(model.symmetry_functions)
    G = descriptor.values(descriptor.pairs(Batch.pack([frame.candidate for frame in frames])))
    species = np.tile([1, 1, 0, 0, 0, 0], len(frames))
    for element, symbol in enumerate(model.functions.elements):
        for end in model.facts["descriptor_range"][symbol].values():
            gaps = np.abs(G[species == element] - np.array(end)).min(axis=0)
            assert gaps.max() < 1e-12
