"""Deep Potentials: forces and stress are derivatives of the energy, which has the symmetries.

Both descriptors, as members of a committee, with the repulsion; cells smaller than the cutoff,
triclinic ones and ones of a single atom.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import make_supercell
from scipy.spatial.transform import Rotation

from aga.errors import InputError, ModelError, StructureError
from aga.potential.batch import Batch
from aga.potential.deep.frame import LocalFrame, LocalFrameDescriptor
from aga.potential.deep.model import DeepModel, DeepStandard, network_names
from aga.potential.deep.network import draw_embedding
from aga.potential.deep.smooth import DeepSmooth, pack, smooth_weight
from aga.potential.guard import Repulsion
from aga.potential.kinds import AnyCommittee, AnyModel, make_committee
from aga.potential.model import Model
from aga.potential.neighbours import find_pairs
from aga.potential.network import initialise
from aga.rng import stream
from aga.structure.candidate import Candidate, FloatArray

ELEMENTS = ("O", "Ti")
CUTOFF = 4.0
HIDDEN = (7, 5)

Kind = Literal["deep_smooth", "deep_local_frame", "radial"]
KINDS: tuple[Kind, ...] = ("deep_smooth", "deep_local_frame", "radial")


def smooth_model(seed: int, descriptor: DeepSmooth | None = None) -> DeepModel:
    descriptor = descriptor or DeepSmooth(
        elements=ELEMENTS, cutoff=CUTOFF, inner=0.9, embedding=(6, 8), axis=3
    )
    generator, rng = torch.Generator().manual_seed(seed), stream(seed, "deep")
    count, size = len(descriptor.elements), descriptor.size
    return DeepModel(
        descriptor=descriptor,
        hidden=HIDDEN,
        activation="softplus",
        weights={
            name: draw_embedding(descriptor, generator)
            if "-" in name
            else initialise(size, HIDDEN, generator)
            for name in network_names(descriptor.elements)
        },
        standard=DeepStandard(
            s_mean=rng.uniform(0.1, 0.3, (count, count)),
            s_scale=rng.uniform(0.1, 0.3, (count, count)),
            gain=rng.uniform(0.5, 2.0, (count, 2)),
            offset=rng.normal(size=(count, descriptor.embedding[-1])),
            mean=rng.normal(0.1, 0.1, (count, size)),
            scale=rng.uniform(1.0, 3.0, (count, size)),
            reference_energies=rng.normal(-5.0, 1.0, count),
            energy_scale=0.7,
        ),
        repulsion=Repulsion(descriptor.elements),
    )


def frame_model(seed: int, information: Literal["full", "radial"] = "full") -> Model:
    functions = LocalFrame(
        elements=ELEMENTS, cutoff=CUTOFF, neighbours=(9, 6), information=information
    )
    generator, rng = torch.Generator().manual_seed(seed), stream(seed, "frame")
    return Model(
        functions=functions,
        hidden=HIDDEN,
        activation="softplus",
        weights={el: initialise(functions.size, HIDDEN, generator) for el in ELEMENTS},
        mean=rng.normal(0.2, 0.1, (2, functions.size)),
        scale=rng.uniform(0.2, 0.5, (2, functions.size)),
        reference_energies=rng.normal(-5.0, 1.0, 2),
        energy_scale=0.7,
        repulsion=Repulsion(ELEMENTS),
    )


def model(kind: Kind, seed: int) -> AnyModel:
    if kind == "deep_smooth":
        return smooth_model(seed)
    return frame_model(seed, "radial" if kind == "radial" else "full")


def committee(kind: Kind, members: int = 2) -> AnyCommittee:
    return make_committee([model(kind, seed) for seed in range(members)])


def candidate(n: int, seed: int = 3, scale: float = 3.4) -> Candidate:
    """A triclinic cell smaller than the cutoff; its first two atoms repel each other."""
    rng = stream(seed, "candidate", n)
    cell = np.eye(3) * scale + rng.normal(0, 0.5, (3, 3))
    fractional = rng.uniform(0, 1, (n, 3))
    positions = fractional @ cell
    if n > 1:
        step = rng.normal(size=3)
        positions[1] = positions[0] + 1.2 * step / np.linalg.norm(step)
    return Candidate(
        name=f"c{n}", numbers=np.array([22, 8, 8, 22, 8])[:n], positions=positions, cell=cell
    )


def energies(committee: AnyCommittee, candidates: list[Candidate]) -> FloatArray:
    return np.array([said.energy for said in committee.predict(candidates)])


def deformed(one: Candidate, strain: FloatArray) -> Candidate:
    f = np.eye(3) + strain
    return one.moved(one.positions @ f.T, one.cell @ f.T)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_forces_are_minus_the_slope_of_the_energy(kind: Kind, n: int) -> None:
    judges, one, h = committee(kind), candidate(n), 1e-5
    forces = judges.predict([one])[0].forces
    steps = [h * step.reshape(n, 3) for step in np.eye(3 * n)]
    up = energies(judges, [one.moved(one.positions + step) for step in steps])
    down = energies(judges, [one.moved(one.positions - step) for step in steps])
    np.testing.assert_allclose(forces.ravel(), -(up - down) / (2 * h), atol=2e-6)
    if n > 1:
        assert np.abs(forces).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_stress_is_the_strain_derivative_of_the_energy(kind: Kind, n: int) -> None:
    judges, one, h = committee(kind), candidate(n), 1e-5
    stress = judges.predict([one])[0].stress
    strains = []
    for a, b in [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]:
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5 * h
        strain[b, a] += 0.5 * h
        strains.append(strain)
    up = energies(judges, [deformed(one, s) for s in strains])
    down = energies(judges, [deformed(one, -s) for s in strains])
    np.testing.assert_allclose(stress, (up - down) / (2 * h) / one.volume, atol=3e-7)
    assert np.abs(stress).max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_rotation_translation_and_wrapping_change_nothing(kind: Kind) -> None:
    judges, one = committee(kind), candidate(5)
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    shift = np.array([0, 1, -2, 3, 0])[:, None] * one.cell[[0, 1, 2, 0, 1]]
    moved = one.moved(
        (one.positions + np.array([0.3, -7.0, 2.2]) + shift) @ turn.T, one.cell @ turn.T
    )
    before, after = judges.predict([one, moved])
    assert after.energy == pytest.approx(before.energy, abs=1e-10)
    np.testing.assert_allclose(after.forces, before.forces @ turn.T, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_atoms_changes_nothing(kind: Kind) -> None:
    judges, one = committee(kind), candidate(5)
    order = np.array([3, 0, 4, 2, 1])
    mixed = Candidate(
        name="mixed", numbers=one.numbers[order], positions=one.positions[order], cell=one.cell
    )
    before, after = judges.predict([one, mixed])
    assert after.energy == pytest.approx(before.energy, abs=1e-10)
    np.testing.assert_allclose(after.forces, before.forces[order], atol=1e-9)
    np.testing.assert_allclose(after.energies, before.energies[order], atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_choice_of_the_cell_changes_nothing(kind: Kind) -> None:
    judges, one = committee(kind), candidate(5)
    atoms = Atoms(numbers=one.numbers, positions=one.positions, cell=one.cell, pbc=True)
    larger = make_supercell(atoms, [[2, 1, 0], [0, 1, 0], [0, 0, 1]])
    same = make_supercell(atoms, [[1, 1, 0], [0, 1, 1], [0, 0, 1]])
    said = judges.predict([one, *(Candidate.from_ase(a, name="other") for a in (larger, same))])
    assert said[1].energy == pytest.approx(2 * said[0].energy, abs=1e-9)
    assert said[2].energy == pytest.approx(said[0].energy, abs=1e-9)
    np.testing.assert_allclose(said[2].stress, said[0].stress, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_spread_of_the_members(kind: Kind) -> None:
    models = [model(kind, seed) for seed in range(3)]
    several = [candidate(5), candidate(1), candidate(2, seed=9)]
    alone = [make_committee([m]).predict(several) for m in models]
    together = make_committee(models, version="v007")
    assert (len(together), together.version) == (3, "v007")
    for k, said in enumerate(together.predict(several)):
        each = np.array([one[k].energy for one in alone])
        forces = np.array([one[k].forces for one in alone])
        n = len(several[k])
        assert said.energy == pytest.approx(each.mean(), rel=1e-12)
        assert said.energies.sum() == pytest.approx(said.energy, rel=1e-12)
        assert said.energy_spread == pytest.approx(each.std() / n, rel=1e-8)
        np.testing.assert_allclose(said.forces, forces.mean(axis=0), atol=1e-10)
        norms = np.linalg.norm(forces.std(axis=0), axis=1)
        np.testing.assert_allclose(said.forces_spread, norms, atol=1e-9)
    np.testing.assert_allclose(
        together.member_energies(several), [[p.energy for p in one] for one in alone], rtol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_evaluated_as_it_is_predicted(kind: Kind) -> None:
    judges = committee(kind)
    several = [candidate(5), candidate(1), candidate(2, seed=9)]
    batch = Batch.pack(several)
    said, each = judges.evaluate(batch), judges.predict(several)
    np.testing.assert_allclose(said.energies, [p.energy for p in each], rtol=1e-13)
    np.testing.assert_allclose(said.energy_spread, [p.energy_spread for p in each], rtol=1e-9)
    np.testing.assert_allclose(said.gradient, -np.concatenate([p.forces for p in each]), atol=1e-10)
    voigt = said.strain[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / batch.volumes[:, None]
    np.testing.assert_allclose(voigt, [p.stress for p in each], atol=1e-11)
    assert judges.predict([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_bad_structures_and_members_are_refused(kind: Kind) -> None:
    judges, one = committee(kind), candidate(2)
    stranger = replace(one, name="g001-002", numbers=np.array([22, 14]))
    with pytest.raises(ModelError, match=r"g001-002.*no network for Si"):
        judges.predict([stranger])
    with pytest.raises(StructureError, match="Si") as caught:
        judges.evaluate(Batch.pack([one, stranger]))
    assert caught.value.facts["index"] == 1
    with pytest.raises(StructureError, match="one point"):
        judges.predict([one.moved(np.zeros((2, 3)))])
    with pytest.raises(ModelError, match="member 1"):
        make_committee([model(kind, 0), replace(model(kind, 1), activation="tanh")])


def test_members_of_two_kinds_form_no_committee() -> None:
    with pytest.raises(ModelError, match="one kind"):
        make_committee([smooth_model(0), frame_model(0)])
    with pytest.raises(ModelError, match="at least one"):
        make_committee([])


def test_a_neighbour_passes_the_cutoff_smoothly() -> None:
    """An atom leaves two others: energy, force and the force's slope go to those without it."""
    judges = make_committee([smooth_model(1)])

    def trio(r: float) -> Candidate:
        positions = np.array([[0.0, 0, 0], [r, 0, 0], [-1.0, 2.0, 0]])
        numbers = np.array([8, 22, 8])
        return Candidate(name="trio", numbers=numbers, positions=positions, cell=np.eye(3) * 30)

    # the atom meets the first one only: it is farther than the cutoff from the second
    inside = [judges.predict([trio(CUTOFF - h)])[0] for h in (0.08, 0.04, 0.02)]
    outside = judges.predict([trio(CUTOFF + 1e-3)])[0]
    assert not outside.forces[1].any()
    above = [abs(said.energy - outside.energy) for said in inside]
    forces = [abs(said.forces[1, 0]) for said in inside]
    # the weight vanishes like (r_c − r)³, so the energy does, and the force like its square
    assert above[0] / above[1] == pytest.approx(8, rel=0.1)
    assert above[1] / above[2] == pytest.approx(8, rel=0.1)
    assert forces[0] / forces[1] == pytest.approx(4, rel=0.1)
    assert forces[1] / forces[2] == pytest.approx(4, rel=0.1)
    assert abs(judges.predict([trio(3.0)])[0].energy - outside.energy) > 1e-3


def test_the_weight_and_its_two_derivatives_are_continuous() -> None:
    inner, cutoff, h = 1.1, 4.0, 1e-4
    for r in (inner, cutoff):
        near = np.array([r - 2 * h, r - h, r + h, r + 2 * h])
        s, slope = smooth_weight(near, inner, cutoff)
        bend = np.diff(slope)[[0, 2]] / h
        assert abs(s[2] - s[1]) < 3 * h
        assert abs(slope[2] - slope[1]) < 5 * h
        assert abs(bend[1] - bend[0]) < 50 * h
    r = np.linspace(0.5, 4.2, 50)
    up, down = (smooth_weight(r + step, inner, cutoff)[0] for step in (1e-6, -1e-6))
    np.testing.assert_allclose(smooth_weight(r, inner, cutoff)[1], (up - down) / 2e-6, atol=1e-8)
    assert smooth_weight(np.array([1.0]), inner, cutoff)[0][0] == 1.0
    assert not smooth_weight(np.array([4.0, 5.0]), inner, cutoff)[0].any()


def test_blocks_hold_every_pair_once() -> None:
    descriptor = smooth_model(0).descriptor
    many = [candidate(5, seed=k, scale=2.6 + 0.4 * k) for k in range(6)]
    pairs = find_pairs(Batch.pack(many), CUTOFF, descriptor.numbers)
    where = pack(pairs, descriptor)
    atoms = np.concatenate([block.atoms.numpy() for block in where.blocks])
    assert sorted(atoms) == list(range(30))
    held = sum(int((shell.s != 0).sum()) for block in where.blocks for shell in block.shells)
    assert held == len(pairs)
    assert len(where.blocks) > 2


@pytest.mark.parametrize("information", ["full", "radial"])
def test_the_three_derivatives_of_the_local_frame_agree(
    information: Literal["full", "radial"],
) -> None:
    functions = LocalFrame(
        elements=ELEMENTS, cutoff=CUTOFF, neighbours=(9, 6), information=information
    )
    descriptor, rng = LocalFrameDescriptor(functions), stream(5, "frame")
    several = [candidate(5), candidate(1), candidate(2)]
    batch = Batch.pack(several)
    pairs = descriptor.pairs(batch)
    D, frames = descriptor.values_and_moments(pairs)
    g, steps = rng.normal(size=D.shape), rng.normal(size=batch.positions.shape)
    strains = rng.normal(size=(3, 3, 3))
    strains = strains + np.swapaxes(strains, 1, 2)
    dD = descriptor.jvp(pairs, steps, strains, frames)
    gradient, strain = descriptor.vjp(pairs, g, frames)
    total = (gradient * steps).sum() + (strain * strains).sum()
    assert (g * dD).sum() == pytest.approx(total, rel=1e-11)
    both, _ = descriptor.vjp(pairs, np.stack([g, 2 * g]))
    np.testing.assert_allclose(both[1], 2 * gradient, atol=1e-12)
    for k, jacobian in enumerate(descriptor.jacobian(pairs)):
        mine = slice(batch.offsets[k], batch.offsets[k + 1])
        voigt = strains[k][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] * [1, 1, 1, 2, 2, 2]
        direction = np.concatenate([steps[mine].ravel(), voigt])
        np.testing.assert_allclose(jacobian @ direction, dD[mine], atol=1e-10)


def test_the_local_frame_by_hand() -> None:
    """Nearest along x, the next in the xy plane: the coordinates are those of the axes."""
    positions = np.array([[0.0, 0, 0], [1.5, 0, 0], [0.3, 1.6, 0], [0.5, -0.7, 2.0]])
    cluster = Candidate(
        name="four", numbers=np.array([22, 8, 8, 8]), positions=positions, cell=np.eye(3) * 20
    )
    functions = LocalFrame(elements=ELEMENTS, cutoff=CUTOFF, neighbours=(4, 1))
    descriptor = LocalFrameDescriptor(functions)
    D = descriptor.values(descriptor.pairs(Batch.pack([cluster])))[0].reshape(5, 4)
    r = np.linalg.norm(positions[1:], axis=1)
    np.testing.assert_allclose(D[:3, 0], 1 / r)
    np.testing.assert_allclose(D[:3, 1:], positions[1:] / r[:, None] ** 2, atol=1e-15)
    assert not D[3:].any()


def test_atoms_with_few_or_collinear_neighbours_have_what_can_be_said() -> None:
    functions = LocalFrame(elements=("Si",), cutoff=CUTOFF, neighbours=(4,))
    descriptor = LocalFrameDescriptor(functions)

    def said(*positions: list[float]) -> FloatArray:
        atoms = Candidate(
            name="few", numbers=np.full(len(positions), 14),
            positions=np.array(positions), cell=np.eye(3) * 20,
        )  # fmt: skip
        pairs = descriptor.pairs(Batch.pack([atoms]))
        assert np.isfinite(descriptor.jacobian(pairs)[0]).all()
        return descriptor.values(pairs)[0].reshape(4, 4)

    assert not said([0, 0, 0]).any()
    np.testing.assert_allclose(said([0, 0, 0], [0, 0, 2.0])[0], [0.5, 0.5, 0, 0])
    line = said([0, 0, 0], [0, 0, 2.0], [0, 0, -2.5])
    np.testing.assert_allclose(line[:2], [[0.5, 0.5, 0, 0], [0.4, -0.4, 0, 0]], atol=1e-15)
    # the nearest is on the line of the other: the third spans the frame
    bent = said([0, 0, 0], [0, 0, 2.0], [0, 0, -2.5], [0, 2.6, 0.1])
    assert bent[2, 2] > 0.3
    assert bent[2, 3] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"elements": ("Xx",)}, {"elements": ()}, {"cutoff": 0.0}, {"cutoff": float("nan")},
        {"neighbours": (0,)}, {"neighbours": (3, 3)}, {"information": "all"},
    ],
)  # fmt: skip
def test_a_local_frame_of_nonsense_is_refused(wrong: dict) -> None:
    right = {"elements": ("Si",), "cutoff": 5.0, "neighbours": (4,)}
    with pytest.raises(InputError, match="local frame"):
        LocalFrame(**(right | wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        {"elements": ("Si", "Si")}, {"cutoff": 0.0}, {"inner": 5.0}, {"inner": -1.0},
        {"embedding": ()}, {"embedding": (0,)}, {"axis": 0}, {"axis": 9},
    ],
)  # fmt: skip
def test_a_smooth_descriptor_of_nonsense_is_refused(wrong: dict) -> None:
    right = {"elements": ("Si",), "cutoff": 5.0, "inner": 1.0, "embedding": (8,), "axis": 4}
    with pytest.raises(InputError, match="smooth descriptor"):
        DeepSmooth(**(right | wrong))
