"""The device: its neighbour lists, the committee on it, and the choice of it."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from aga.errors import ModelError, SiteError, StructureError
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.device import choice as device_module
from aga.potential.device.choice import Precision, choose_device
from aga.potential.device.committee import DeviceCommittee
from aga.potential.device.pairs import DevicePairs, find_device_pairs, to_device
from aga.potential.guard import Repulsion
from aga.potential.kinds import make_committee
from aga.potential.model import Model
from aga.potential.neighbours import find_pairs
from aga.potential.network import initialise
from aga.potential.symmetry.presets import preset
from aga.rng import stream
from aga.structure.candidate import Candidate, FloatArray

CPU = torch.device("cpu")
TRICLINIC = np.array([[3.1, 0.0, 0.0], [1.4, 2.9, 0.0], [-0.8, 1.1, 3.7]])


def candidate(name: str, numbers: list[int], cell: FloatArray, shortest: float = 1.3) -> Candidate:
    """Atoms at random, some outside the cell."""
    rng = stream(len(numbers), name)
    inverse = np.linalg.inv(cell)
    points: list[FloatArray] = []
    while len(points) < len(numbers):
        new = (3.0 * rng.random(3) - 1.0) @ cell
        gaps = [(d - np.round(d @ inverse) @ cell) for d in (new - p for p in points)]
        if all(np.linalg.norm(gap) > shortest for gap in gaps):
            points.append(new)
    return Candidate(name=name, numbers=np.array(numbers), positions=points, cell=cell)


STRUCTURES = [
    candidate("one atom", [22], TRICLINIC),
    candidate("triclinic, smaller than the cutoff", [8, 22, 8], TRICLINIC),
    candidate("cell", [22, 8, 8, 22, 8, 8], np.diag([4.6, 4.2, 3.9]) + 0.3 * TRICLINIC),
    candidate("one element", [8, 8], np.diag([4.0, 3.5, 9.0])),
    candidate("far apart", [22, 8], 40.0 * np.eye(3)),
]
BATCH = Batch.pack(STRUCTURES)


def close(found: Tensor, expected: Tensor | FloatArray, bound: float) -> None:
    """Relative to the largest number."""
    expected = torch.as_tensor(expected)
    assert float((found - expected).abs().max()) <= bound * float(expected.abs().max())


def as_sets(pairs: DevicePairs, digits: int = 9) -> list[list[tuple[float, ...]]]:
    rows = []
    vectors, second = pairs.vectors.numpy(), pairs.second.numpy()
    for bounds in pairs.starts.numpy():
        for a, b in pairwise(bounds):
            lines = np.round(np.column_stack([second[a:b], vectors[a:b]]), digits) + 0.0
            rows.append(sorted(map(tuple, lines.tolist())))
    return rows


def test_neighbours_found_on_a_device_are_those_found_on_the_host() -> None:
    numbers = (8, 22)
    host = find_pairs(BATCH, 6.5, numbers)
    found = find_device_pairs(BATCH, 6.5, numbers, CPU)
    assert len(found) == len(host) > 500
    np.testing.assert_array_equal(found.starts.numpy(), host.starts)
    assert as_sets(found) == as_sets(to_device(host, CPU))
    np.testing.assert_array_equal(found.first.numpy(), host.first)


def test_large_cells_take_the_list_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_device_pairs(BATCH, 5.0, (8, 22), CPU)
    monkeypatch.setattr("aga.potential.device.pairs.MAX_CANDIDATES", 0)
    assert as_sets(find_device_pairs(BATCH, 5.0, (8, 22), CPU)) == as_sets(found)


def bad_structures() -> Iterator[tuple[str, Candidate]]:
    cell = 5.0 * np.eye(3)
    numbers = np.array([8, 22])
    yield (
        "one point",
        Candidate(name="x", numbers=numbers, positions=[[0, 0, 0], [5.0, 5, 0]], cell=cell),
    )
    yield (
        "does not know Si",
        Candidate(name="x", numbers=np.array([8, 14]), positions=[[0, 0, 0], [2, 0, 0]], cell=cell),
    )


@pytest.mark.parametrize(("message", "structure"), bad_structures())
def test_what_cannot_be_computed_is_named(message: str, structure: Candidate) -> None:
    with pytest.raises(StructureError, match=message) as caught:
        find_device_pairs(Batch.pack([STRUCTURES[0], structure]), 5.0, (8, 22), CPU)
    assert caught.value.facts["index"] == 1


def members(count: int = 4) -> list[Model]:
    functions, hidden = preset("tio2", ["O", "Ti"], 5.0), (9, 7)
    result = []
    for seed in range(count):
        rng, generator = stream(seed, "model"), torch.Generator().manual_seed(seed)
        result.append(
            Model(
                functions=functions,
                hidden=hidden,
                activation="softplus",
                weights={el: initialise(70, hidden, generator) for el in functions.elements},
                mean=rng.normal(1.0, 0.2, (2, 70)),
                scale=rng.uniform(0.5, 2.0, (2, 70)),
                reference_energies=rng.normal(-900.0, 1.0, 2),
                energy_scale=0.7,
                repulsion=Repulsion(functions.elements),
            )
        )
    return result


def agree(committee: DeviceCommittee, host: NetworkCommittee, bound: float) -> None:
    """Compare everything a committee says, energies without their large constant part."""
    near = candidate("near", [22, 8, 8], 1.4 * TRICLINIC, shortest=0.9)  # within the repulsion
    structures = [*STRUCTURES, near]
    batch = Batch.pack(structures)
    base = -900.0 * batch.counts
    found, expected = committee.evaluate(batch), host.evaluate(batch)
    for name in ("energies", "energy_spread", "gradient", "strain"):
        offset = base if name == "energies" else 0.0
        close(
            torch.from_numpy(getattr(found, name) - offset),
            getattr(expected, name) - offset,
            bound,
        )
    each = zip(committee.predict(structures), host.predict(structures), strict=True)
    for one, other in each:
        assert one.energy == pytest.approx(other.energy, rel=bound)
        assert one.energy_spread == pytest.approx(other.energy_spread, rel=100 * bound)
        scale = max(1.0, float(np.abs(other.forces).max()))
        np.testing.assert_allclose(one.forces, other.forces, atol=bound * scale)
        np.testing.assert_allclose(one.stress, other.stress, atol=bound * scale)
        assert one.force_spread == pytest.approx(other.force_spread, rel=bound, abs=bound * scale)
    np.testing.assert_allclose(
        committee.member_energies(structures), host.member_energies(structures), rtol=bound
    )
    assert committee.predict([]) == []


@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-11), ("float32", 2e-5)])
def test_the_committee_says_the_same(precision: Precision, bound: float) -> None:
    models = members()
    host = NetworkCommittee(models)
    agree(DeviceCommittee(models, device=CPU, precision=precision), host, bound)


def test_an_element_without_a_network_is_refused_by_name() -> None:
    committee = DeviceCommittee(members(1), device=CPU)
    stranger = dict(bad_structures())["does not know Si"]
    with pytest.raises(ModelError, match="no network for Si"):
        committee.predict([stranger])


def test_cuda_without_a_gpu_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module.torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == CPU
    with pytest.raises(SiteError, match="cuda is asked for") as caught:
        choose_device("cuda")
    assert "nvidia-smi" in str(caught.value.remedy)
    monkeypatch.setattr(device_module.torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == choose_device("cuda").type == "cuda"


def test_the_setting_chooses_the_committee(monkeypatch: pytest.MonkeyPatch) -> None:
    models = members(2)
    assert type(make_committee(models, device="cpu")) is NetworkCommittee
    monkeypatch.setattr("aga.potential.kinds.choose_device", lambda _: torch.device("meta"))
    chosen = make_committee(models, "v001", device="auto", precision="float32")
    assert isinstance(chosen, DeviceCommittee)
    assert (chosen.version, chosen.on_device.dtype) == ("v001", torch.float32)
    few = STRUCTURES[:2]  # "meta" computes nothing: the processor does
    assert chosen.predict(few)[1].energy == NetworkCommittee(models).predict(few)[1].energy
    assert np.isfinite(chosen.evaluate(Batch.pack(few)).energies).all()
    assert chosen.member_energies(few).shape == (2, 2)
    assert make_committee(models, device="cuda").smallest == 0


@pytest.mark.cuda
def test_a_gpu_lists_the_same_neighbours() -> None:
    found = find_device_pairs(BATCH, 6.5, (8, 22), choose_device("cuda"))
    host = to_device(find_pairs(BATCH, 6.5, (8, 22)), CPU)
    assert torch.equal(found.starts.cpu(), host.starts)
    close(found.vectors.norm(dim=1).sum().cpu(), host.vectors.norm(dim=1).sum(), 1e-13)


@pytest.mark.cuda
@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-11), ("float32", 2e-5)])
def test_the_committee_on_a_gpu_says_the_same(precision: Precision, bound: float) -> None:
    models = members()
    committee = DeviceCommittee(models, device=choose_device("cuda"), precision=precision)
    agree(committee, NetworkCommittee(models), bound)
