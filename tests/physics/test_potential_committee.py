"""The committee: forces and stress are derivatives of its energy, mean and spread of members."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aga.errors import ModelError, StructureError
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import Repulsion
from aga.potential.model import Model
from aga.potential.network import Activation, initialise
from aga.potential.symmetry.presets import automatic
from aga.rng import stream
from aga.structure.candidate import Candidate, FloatArray

HIDDEN = (7, 5)


def make_model(
    seed: int, activation: Activation = "softplus", elements: tuple[str, ...] = ("O", "Ti")
) -> Model:
    functions = automatic(elements, 5.0)
    generator = torch.Generator().manual_seed(seed)
    rng = stream(seed, "model")
    shape = (len(elements), functions.size)
    return Model(
        functions=functions,
        hidden=HIDDEN,
        activation=activation,
        weights={el: initialise(functions.size, HIDDEN, generator) for el in elements},
        mean=rng.normal(1.0, 0.2, shape),
        scale=rng.uniform(0.5, 2.0, shape),
        reference_energies=rng.normal(-5.0, 1.0, len(elements)),
        energy_scale=0.7,
        repulsion=Repulsion(functions.elements),
    )


def make_candidate(name: str = "c", seed: int = 3, shortest: float = 1.3) -> Candidate:
    """Six atoms, O and Ti mixed; one pair inside the reach of the repulsion."""
    rng = stream(seed, "candidate")
    cell = np.diag([4.6, 4.4, 3.1]) + rng.normal(0, 0.3, (3, 3))
    fractional = np.array(
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.3, 0.3, 0], [0.7, 0.7, 0], [0.2, 0.8, 0.5], [0.8, 0.2, 0.5]]
    )
    positions = fractional @ cell + rng.normal(0, 0.1, (6, 3))
    direction = positions[2] - positions[0]
    positions[2] = positions[0] + direction * shortest / np.linalg.norm(direction)
    return Candidate(
        name=name, numbers=np.array([22, 22, 8, 8, 8, 8])[[2, 0, 3, 1, 4, 5]],
        positions=positions[[2, 0, 3, 1, 4, 5]], cell=cell,
    )  # fmt: skip


def energy(committee: NetworkCommittee, candidate: Candidate) -> float:
    return committee.predict([candidate])[0].energy


def deformed(candidate: Candidate, strain: FloatArray) -> Candidate:
    f = np.eye(3) + strain
    return candidate.moved(candidate.positions @ f.T, candidate.cell @ f.T)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "silu"])
def test_forces_are_minus_the_slope_of_the_energy(activation: Activation) -> None:
    committee = NetworkCommittee([make_model(s, activation) for s in range(3)])
    candidate, h = make_candidate(), 1e-5
    forces = committee.predict([candidate])[0].forces
    for atom in range(6):
        for axis in range(3):
            step = np.zeros((6, 3))
            step[atom, axis] = h
            up = energy(committee, candidate.moved(candidate.positions + step))
            down = energy(committee, candidate.moved(candidate.positions - step))
            assert forces[atom, axis] == pytest.approx(-(up - down) / (2 * h), abs=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "silu"])
def test_stress_is_the_strain_derivative_of_the_energy(activation: Activation) -> None:
    committee = NetworkCommittee([make_model(s, activation) for s in range(3)])
    candidate, h = make_candidate(), 1e-5
    stress = committee.predict([candidate])[0].stress
    for k, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5 * h
        strain[b, a] += 0.5 * h
        up, down = (energy(committee, deformed(candidate, s)) for s in (strain, -strain))
        assert stress[k] == pytest.approx((up - down) / (2 * h) / candidate.volume, abs=1e-7)


def test_mean_and_standard_deviation_of_the_members() -> None:
    models = [make_model(s) for s in range(4)]
    candidates = [make_candidate("a"), make_candidate("b", seed=8, shortest=1.9)]
    alone = [NetworkCommittee([m]).predict(candidates) for m in models]
    together = NetworkCommittee(models).predict(candidates)
    for k, said in enumerate(together):
        energies = np.array([p[k].energy for p in alone])
        forces = np.array([p[k].forces for p in alone])
        assert said.energy == pytest.approx(energies.mean(), rel=1e-12)
        assert said.energy_spread == pytest.approx(energies.std() / 6, rel=1e-9)
        np.testing.assert_allclose(said.forces, forces.mean(axis=0), atol=1e-11)
        norms = np.sqrt((forces.std(axis=0) ** 2).sum(axis=1))
        np.testing.assert_allclose(said.forces_spread, norms, rtol=1e-9)
        assert said.force_spread == said.forces_spread.max()
        stress = np.mean([p[k].stress for p in alone], axis=0)
        np.testing.assert_allclose(said.stress, stress, atol=1e-12)
    np.testing.assert_allclose(
        NetworkCommittee(models).member_energies(candidates),
        [[p.energy for p in said] for said in alone],
        rtol=1e-12,
    )


def test_shares_of_the_atoms_add_up_to_the_energy() -> None:
    """The repulsion of the close pair is that of its two atoms, half and half."""
    models = [make_model(s) for s in range(3)]
    near, far = (make_candidate(str(r), shortest=r) for r in (0.5, 2.0))
    for said in NetworkCommittee(models).predict([near, far]):
        assert said.energies.shape == (6,)
        assert said.energy == pytest.approx(said.energies.sum(), rel=1e-12)
    bare = NetworkCommittee([replace(model, repulsion=None) for model in models])
    (with_it,), (without,) = (c.predict([near]) for c in (NetworkCommittee(models), bare))
    share = with_it.energies - without.energies
    close = np.argsort(share)[-2:]
    assert sorted(near.numbers[close]) == [8, 22]
    assert share[close[0]] == pytest.approx(share[close[1]], rel=1e-3)
    assert (np.delete(share, close) < 1e-3 * share[close[0]]).all()


def test_evaluation_of_a_batch_agrees_with_the_predictions() -> None:
    committee = NetworkCommittee([make_model(s) for s in range(4)])
    candidates = [make_candidate("a"), make_candidate("b", seed=8)]
    batch = Batch.pack(candidates)
    said, each = committee.evaluate(batch), committee.predict(candidates)
    np.testing.assert_allclose(said.energies, [p.energy for p in each], rtol=1e-13)
    np.testing.assert_allclose(said.energy_spread, [p.energy_spread for p in each], rtol=1e-10)
    np.testing.assert_allclose(said.gradient, -np.concatenate([p.forces for p in each]), atol=1e-11)
    np.testing.assert_allclose(
        said.strain[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / batch.volumes[:, None],
        [p.stress for p in each],
        atol=1e-12,
    )
    assert committee.predict([]) == []


def test_the_repulsion_is_in_the_energy() -> None:
    committee = NetworkCommittee([make_model(s) for s in range(2)])
    near, nearer = (energy(committee, make_candidate(shortest=r)) for r in (0.6, 0.3))
    assert nearer - near > 50.0


def test_an_element_without_a_network_is_refused_by_name() -> None:
    committee = NetworkCommittee([make_model(1)])
    stranger = replace(make_candidate("g001-002"), numbers=np.array([22, 22, 8, 8, 8, 14]))
    with pytest.raises(ModelError, match=r"g001-002.*no network for Si"):
        committee.predict([stranger])
    with pytest.raises(StructureError, match="Si") as caught:
        committee.evaluate(Batch.pack([make_candidate(), stranger]))
    assert caught.value.facts["index"] == 1


def test_members_must_fit_together() -> None:
    with pytest.raises(ModelError, match="at least one"):
        NetworkCommittee([])
    with pytest.raises(ModelError, match="member 1"):
        NetworkCommittee([make_model(1), make_model(2, elements=("Si",))])
    with pytest.raises(ModelError, match="member 1"):
        NetworkCommittee([make_model(1), make_model(2, activation="tanh")])
