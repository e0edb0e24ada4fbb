"""Triplet kernels against a plain triplet sum, published values and finite differences."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ase.data import atomic_numbers

from aga.potential.batch import Batch, stress_from_strain
from aga.potential.neighbours import Pairs, find_pairs
from aga.potential.symmetry import triplet_tangents, triplets
from aga.potential.symmetry.functions import Angular, FunctionSet, Radial
from aga.potential.symmetry.plan import by_moments
from aga.potential.symmetry.presets import preset
from aga.potential.symmetry.triplet_plan import TripletPlan, make_triplet_plan
from aga.structure.candidate import Candidate, FloatArray, IntArray

ANATASE = np.array([[3.785, 0.0, 0.0], [0.0, 3.785, 0.0], [1.8925, 1.8925, 4.757]])
TRICLINIC = np.array([[3.1, 0.0, 0.0], [1.4, 2.9, 0.0], [-0.8, 1.1, 3.7]])
CUTOFFS = ("cosine", "tanh3", "polynomial3", "polynomial5", "polynomial7")


def candidate(cell: FloatArray, numbers: list[int], seed: int = 0) -> Candidate:
    """Atoms at random, at least 1 Å apart."""
    rng = np.random.default_rng(seed)
    inverse = np.linalg.inv(cell)
    points: list[FloatArray] = []
    while len(points) < len(numbers):
        new = rng.random(3) @ cell
        gaps = [(d - np.round(d @ inverse) @ cell) for d in (new - p for p in points)]
        if all(np.linalg.norm(gap) > 1.0 for gap in gaps):
            points.append(new)
    return Candidate(name=f"r{seed}", numbers=np.array(numbers), positions=points, cell=cell)


STRUCTURES = {
    "one atom": candidate(TRICLINIC, [22]),
    "triclinic, smaller than the cutoff": candidate(TRICLINIC, [8, 22, 8]),
    "anatase cell": candidate(ANATASE, [22, 22, 8, 8, 8, 8], 1),
    "one element only": candidate(ANATASE, [8, 8, 8], 2),
    "molecule": Candidate(
        name="m",
        numbers=np.array([8, 22, 8]),
        positions=np.array([[0.0, 0.1, 0.2], [1.7, 0.3, 0.0], [1.2, 1.9, 0.6]]),
        cell=30.0 * np.eye(3),
    ),
}
PAIRS = (("Ti", "Ti"), ("O", "Ti"), ("O", "O"))
MIXED = FunctionSet(
    elements=("O", "Ti"),
    cutoff=4.5,
    radial=(Radial("Ti", 2.0, 1.5),),
    angular=(
        *(
            Angular(pair, eta, zeta, lam, narrow=True)
            for zeta in (4, 1, 2.7, 16)
            for eta in (0.05, 0.9)
            for pair in PAIRS
            for lam in (1.0, -1.0, 0.5)
        ),
        *(Angular(pair, 0.1, 1.5, lam) for pair in PAIRS for lam in (-1.0, 1.0)),
        Angular(("O", "Ti"), 0.1, 2.0, 1.0),  # by moments: no column of the kernels
        *(Angular(("Ti", "O"), 0.3, zeta, -1.0, shift=1.2) for zeta in (1.0, 16.0, 1.5)),
        *(Angular(("O", "O"), 0.3, zeta, -1.0, shift=1.2, narrow=True) for zeta in (1.0, 2.7)),
        Angular(("O", "O"), 0.0, 3.0, 1.0, narrow=True, cutoff=3.0),
        Angular(("O", "Ti"), 0.05, 3.0, 0.0, narrow=True, cutoff=3.7, centre="O"),
        Angular(("O", "O"), 0.05, 3.0, 1.0, shift=-0.5, narrow=True, cutoff=3.7, centre="Ti"),
    ),
)

STEEP = FunctionSet(
    elements=("O", "Ti"),
    cutoff=6.5,
    angular=tuple(
        Angular(pair, eta, zeta, lam, shift=shift, narrow=True)
        for pair in PAIRS
        for eta in (0.0, 0.5, 4.0, 20.0)
        for shift in (0.0, 1.5, 3.0)
        for zeta, lam in ((1.0, 1.0), (4.0, -1.0), (40.0, 1.0), (33.3, -1.0))
    ),
)
"""Many weights, so more than one record per neighbour; exponents of hundreds."""


class Triplets(NamedTuple):
    """A batch with its pairs and the plan and atoms of each central element."""

    batch: Batch
    pairs: Pairs
    plans: list[tuple[TripletPlan, IntArray]]
    size: int

    @classmethod
    def of(cls, functions: FunctionSet, *structures: Candidate) -> "Triplets":
        batch = Batch.pack(structures)
        pairs = find_pairs(batch, functions.cutoff, functions.numbers)
        plans = []
        for s, symbol in enumerate(functions.elements):
            plan = make_triplet_plan(functions, symbol)
            assert plan is not None
            plans.append((plan, np.flatnonzero(pairs.species == s)))
        return cls(batch, pairs, plans, functions.size)

    def values(self) -> FloatArray:
        G = np.zeros((len(self.batch.numbers), self.size))
        for plan, atoms in self.plans:
            triplets.values(plan, self.pairs.arrays, atoms, G)
        return G

    def vjp(self, adjoints: FloatArray) -> tuple[FloatArray, FloatArray]:
        gradient = np.zeros((len(adjoints), len(self.batch.numbers), 3))
        strain = np.zeros((len(adjoints), len(self.batch), 3, 3))
        for plan, atoms in self.plans:
            triplets.vjp(plan, self.pairs.arrays, atoms, adjoints, gradient, strain)
        return gradient, 0.5 * (strain + np.swapaxes(strain, -1, -2))

    def jvp(self, dR: FloatArray, strains: FloatArray) -> FloatArray:
        first = self.pairs.first
        steps = dR[self.pairs.second] - dR[first]
        bent = strains[self.batch.owners[first]]
        steps += np.einsum("pab,pb->pa", bent, self.pairs.vectors)
        dG = np.zeros((len(self.batch.numbers), self.size))
        for plan, atoms in self.plans:
            triplet_tangents.jvp(plan, self.pairs.arrays, atoms, steps, dG)
        return dG


def cut(functions: FunctionSet, x: FloatArray) -> FloatArray:
    """The cutoff function as printed, of r/r_c."""
    s = np.clip((x - functions.inner) / (1.0 - functions.inner), 0.0, 1.0)
    forms = {
        "cosine": 0.5 * (np.cos(np.pi * s) + 1.0),
        "tanh3": np.tanh(1.0 - s) ** 3,
        "polynomial3": 1.0 - 3.0 * s**2 + 2.0 * s**3,
        "polynomial5": 1.0 - 10.0 * s**3 + 15.0 * s**4 - 6.0 * s**5,
        "polynomial7": 1.0 - 35.0 * s**4 + 84.0 * s**5 - 70.0 * s**6 + 20.0 * s**7,
    }
    result: FloatArray = forms[functions.cutoff_function]
    return result


def triplet_sum(functions: FunctionSet, structure: Candidate) -> FloatArray:
    """Behler (2011), term by term over all images in a box that is large enough; else zero."""
    reach = range(-5, 6)
    images = np.array([[a, b, c] for a in reach for b in reach for c in reach]) @ structure.cell
    G = np.zeros((len(structure), functions.size))
    for i, centre in enumerate(structure.positions):
        vectors = (structure.positions[None] - centre + images[:, None]).reshape(-1, 3)
        numbers = np.tile(structure.numbers, len(images))
        r = np.linalg.norm(vectors, axis=1)
        near = (r > 1e-8) & (r < functions.cutoff)
        vectors, numbers, r = vectors[near], numbers[near], r[near]
        cosine = np.clip((vectors @ vectors.T) / np.outer(r, r), -1.0, 1.0)
        between = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
        symbol = next(s for s in functions.elements if atomic_numbers[s] == structure.numbers[i])
        once = np.triu(np.ones((len(r), len(r)), dtype=bool), 1)
        for n, f in enumerate(functions.of(symbol)):
            if not isinstance(f, Angular) or by_moments(f):
                continue
            weight = _weight(functions, f, r)
            products = np.outer(weight, weight)
            if f.narrow:
                products = products * _weight(functions, f, between)
            a, b = (numbers == atomic_numbers[element] for element in f.elements)
            wanted = once & (np.outer(a, b) | np.outer(b, a))
            terms = (1.0 + f.lambda_ * cosine[wanted]) ** f.zeta * products[wanted]
            G[i, n] = 2.0 ** (1 - f.zeta) * terms.sum()
    return G


def _weight(functions: FunctionSet, f: Angular, r: FloatArray) -> FloatArray:
    gauss: FloatArray = np.exp(-f.eta * (r - f.shift) ** 2)
    return gauss * cut(functions, r / functions.cutoff_of(f))


def test_moments_are_for_wide_functions_of_small_integer_zeta() -> None:
    pair = ("O", "Ti")
    assert by_moments(Angular(pair, 0.1, 8.0, 1.0, shift=0.3))
    assert not by_moments(Angular(pair, 0.1, 9.0, 1.0))
    assert not by_moments(Angular(pair, 0.1, 1.5, 1.0))
    assert not by_moments(Angular(pair, 0.1, 1.0, 1.0, narrow=True))
    assert make_triplet_plan(preset("tio2", ["O", "Ti"]), "O") is None


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize(
    "functions",
    [
        MIXED,
        STEEP,
        *(replace(MIXED, cutoff_function=name) for name in CUTOFFS[1:]),
        replace(MIXED, inner=0.4),
        replace(MIXED, inner=0.15, cutoff_function="polynomial5"),
    ],
    ids=lambda f: f"{f.cutoff_function}-{f.inner}-{len(f.angular)}",
)
def test_kernels_give_the_triplet_sum(name: str, functions: FunctionSet) -> None:
    structure = STRUCTURES[name]
    expected = triplet_sum(functions, structure)
    G = Triplets.of(functions, structure).values()
    np.testing.assert_allclose(G, expected, rtol=1e-11, atol=1e-13)
    assert np.abs(expected).max() > 5e-4


def test_values_do_not_depend_on_the_batch() -> None:
    structures = list(STRUCTURES.values())
    together = Triplets.of(MIXED, *structures).values()
    alone = np.concatenate([Triplets.of(MIXED, s).values() for s in structures])
    np.testing.assert_array_equal(together, alone)


def directions(batch: Batch, seed: int = 5) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    strains = rng.normal(size=(len(batch), 3, 3)) * 0.3
    return rng.normal(size=batch.positions.shape), strains + np.swapaxes(strains, 1, 2)


def moved(structures: list[Candidate], dR: FloatArray, strains: FloatArray) -> list[Candidate]:
    result, start = [], 0
    for structure, strain in zip(structures, strains, strict=True):
        end = start + len(structure)
        F = (np.eye(3) + strain).T
        result.append(
            structure.moved((structure.positions + dR[start:end]) @ F, structure.cell @ F)
        )
        start = end
    return result


@pytest.mark.parametrize("cutoff_function", CUTOFFS)
@pytest.mark.parametrize("inner", [0.0, 0.3])
def test_jvp_is_the_central_difference(cutoff_function: Any, inner: float) -> None:
    if cutoff_function == "tanh3":
        inner = 0.0
    functions = replace(MIXED, cutoff_function=cutoff_function, inner=inner)
    structures = list(STRUCTURES.values())
    triplet = Triplets.of(functions, *structures)
    dR, strains = directions(triplet.batch)
    h = 1e-5
    up = Triplets.of(functions, *moved(structures, h * dR, h * strains)).values()
    down = Triplets.of(functions, *moved(structures, -h * dR, -h * strains)).values()
    dG = triplet.jvp(dR, strains)
    # ζ = 1.5: the third derivative by θ diverges where cos θ = ∓1, as in cells of one atom.
    np.testing.assert_allclose(dG, (up - down) / (2 * h), rtol=1e-6, atol=3e-5)
    assert np.abs(dG).max() > 0.4


@pytest.mark.parametrize("cutoff_function", CUTOFFS)
@pytest.mark.parametrize("mixed", [MIXED, STEEP], ids=["mixed", "steep"])
def test_vjp_is_the_transpose_of_jvp_for_every_member(
    mixed: FunctionSet, cutoff_function: Any
) -> None:
    functions = replace(mixed, cutoff_function=cutoff_function)
    triplet = Triplets.of(functions, *STRUCTURES.values())
    shape = (3, len(triplet.batch.numbers), triplet.size)
    adjoints = np.random.default_rng(1).normal(size=shape)
    gradient, strain = triplet.vjp(adjoints)
    dR, strains = directions(triplet.batch)
    dG = triplet.jvp(dR, strains)
    for m in range(3):
        left = (adjoints[m] * dG).sum()
        right = (gradient[m] * dR).sum() + (strain[m] * strains).sum()
        assert left == pytest.approx(right, rel=1e-11)
        single = triplet.vjp(adjoints[m : m + 1])
        np.testing.assert_array_equal(gradient[m], single[0][0])
        np.testing.assert_array_equal(strain[m], single[1][0])


def test_forces_and_stress_are_finite_differences_of_the_energy() -> None:
    structure = STRUCTURES["triclinic, smaller than the cutoff"]
    triplet = Triplets.of(MIXED, structure)
    g = np.random.default_rng(3).normal(size=(len(structure), triplet.size))
    gradient, strain = triplet.vjp(g[None])
    h = 1e-5
    for n in range(3 * len(structure) + 9):
        dR, bend = np.zeros((len(structure), 3)), np.zeros((1, 3, 3))
        if n < dR.size:
            dR.flat[n], expected = h, gradient[0].flat[n]
        else:
            bend.flat[n - dR.size], expected = h, strain[0, 0].flat[n - dR.size]
        up = Triplets.of(MIXED, *moved([structure], dR, bend)).values()
        down = Triplets.of(MIXED, *moved([structure], -dR, -bend)).values()
        assert (g * (up - down)).sum() / (2 * h) == pytest.approx(expected, rel=1e-6, abs=1e-4)


def test_the_jacobian_is_the_same_map() -> None:
    triplet = Triplets.of(MIXED, *STRUCTURES.values())
    batch = triplet.batch
    g = np.random.default_rng(2).normal(size=(len(batch.numbers), triplet.size))
    gradient, strain = triplet.vjp(g[None])
    stress = stress_from_strain(strain[0], batch.volumes) * batch.volumes[:, None]
    for b in range(len(batch)):
        begin, end = batch.offsets[b], batch.offsets[b + 1]
        n = end - begin
        J = np.zeros((n, triplet.size, 3 * n + 6))
        for plan, atoms in triplet.plans:
            own = atoms[(atoms >= begin) & (atoms < end)]
            triplet_tangents.jacobian(plan, triplet.pairs.arrays, own, begin, J)
        contracted = np.einsum("nd,ndx->x", g[begin:end], J)
        np.testing.assert_allclose(contracted[:-6], gradient[0, begin:end].ravel(), atol=1e-9)
        np.testing.assert_allclose(contracted[-6:], stress[b], atol=1e-9)
        assert np.abs(contracted).max() > 0.01


@pytest.mark.parametrize("zeta", [1.0, 1.5, 2.7, 16.0])
@pytest.mark.parametrize("lambda_", [-1.0, 1.0])
def test_atoms_on_a_line_have_finite_derivatives(zeta: float, lambda_: float) -> None:
    functions = FunctionSet(
        elements=("Si",),
        cutoff=5.0,
        angular=tuple(
            Angular(("Si", "Si"), 0.01, zeta, lambda_, narrow=narrow) for narrow in (True, False)
        ),
    )
    if zeta == 1.0:
        functions = replace(functions, angular=functions.angular[:1])
    line = (
        np.array([[0.1, 0.0, 0.0], [2.1, 0.0, 0.0], [4.6, 0.0, 0.0]])
        @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    )
    structure = Candidate(name="x", numbers=np.full(3, 14), positions=line, cell=30 * np.eye(3))
    triplet = Triplets.of(functions, structure)
    gradient, strain = triplet.vjp(np.ones((1, 3, triplet.size)))
    assert np.isfinite(triplet.values()).all()
    assert np.isfinite(gradient).all()
    assert np.isfinite(strain).all()
    np.testing.assert_allclose(triplet.values(), triplet_sum(functions, structure), atol=1e-13)


def test_values_and_slopes_vanish_at_the_cutoff_between_two_neighbours() -> None:
    functions = FunctionSet(
        elements=("Si",), cutoff=5.0, angular=(Angular(("Si", "Si"), 0.001, 2, -1.0, narrow=True),)
    )

    def between(distance: float) -> tuple[float, float]:
        half = 0.5 * distance
        corner = [0.0, np.sqrt(3.0**2 - half**2), 0.0]
        points = np.array([[-half, 0.0, 0.0], [half, 0.0, 0.0], corner])
        structure = Candidate(
            name="x", numbers=np.full(3, 14), positions=points, cell=30 * np.eye(3)
        )
        triplet = Triplets.of(functions, structure)
        dR = np.zeros((3, 3))
        dR[1, 0] = 1.0
        return triplet.values()[2, 0], triplet.jvp(dR, np.zeros((1, 3, 3)))[2, 0]

    assert between(4.5)[0] > 1e-3
    value, slope = between(5.0 - 1e-5)
    assert 0.0 < value < 1e-9
    assert abs(slope) < 2e-5
    assert between(5.0 + 1e-9) == (0.0, 0.0)


def reference(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def reference_functions(centre: str, listed: list[dict[str, Any]]) -> tuple[FunctionSet, list[int]]:
    """Give the angular functions of one element, and their places in the file's order."""
    own = [(n, f) for n, f in enumerate(listed) if f["type"] == "G4"]
    angular = tuple(
        Angular((f["neighbors"][0], f["neighbors"][1]), f["eta"], f["zeta"], f["lam"], narrow=True)
        for _, f in own
    )
    elements = tuple(sorted({symbol for f in listed for symbol in (*f["neighbors"], centre)}))
    functions = FunctionSet(elements=elements, cutoff=listed[0]["r_c"], angular=angular)
    return functions, [n for n, _ in own]


@pytest.mark.shared_data
def test_published_reference_vectors(shared_data: Path) -> None:
    """Values and own-position derivatives of all six structures.

    All six cells have a side below the cutoff, so every atom meets its own images. The file's
    derivatives hold those images fixed while the atom moves; so are they compared. True
    derivatives, images moving along, are checked by finite differences above. For ζ = 1 the
    file's derivatives in structure1961 are off by up to 1.2e-10 (differences in 80-bit numbers
    agree with the kernels to 3e-15), whence the bound there.
    """
    data = reference(shared_data / "acsf_reference" / "n2p2_TiO2_G4_cos.json.gz")
    assert len(data["structures"]) == 6
    for centre, listed in data["symmetry_functions"].items():
        functions, columns = reference_functions(centre, listed)
        for entry in data["structures"]:
            structure = Candidate(
                name=entry["id"],
                numbers=np.array([atomic_numbers[s] for s in entry["symbols"]]),
                positions=np.array(entry["positions"]),
                cell=np.array(entry["cell"]),
            )
            own = [i for i, s in enumerate(entry["symbols"]) if s == centre]
            triplet = Triplets.of(functions, structure)
            assert np.any(triplet.pairs.first == triplet.pairs.second)
            expected = np.array([entry["G"][i] for i in own])[:, columns]
            np.testing.assert_allclose(triplet.values()[own], expected, rtol=1e-11, atol=1e-14)
            expected = np.array([entry["dG_own"][i] for i in own])[:, columns]
            slopes = images_fixed(triplet)[own]
            atol = 2e-10 if entry["id"] == "structure1961" else 1e-12
            np.testing.assert_allclose(slopes, expected, rtol=1e-9, atol=atol)


def images_fixed(triplet: Triplets) -> FloatArray:
    """∂G_i/∂r_i with every neighbour of i held fixed, its own images too, (N, D, 3)."""
    slopes = np.zeros((len(triplet.batch.numbers), triplet.size, 3))
    for axis in range(3):
        steps = np.zeros((len(triplet.pairs), 3))
        steps[:, axis] = -1.0
        dG = np.zeros(slopes.shape[:2])
        for plan, atoms in triplet.plans:
            triplet_tangents.jvp(plan, triplet.pairs.arrays, atoms, steps, dG)
        slopes[:, :, axis] = dG
    return slopes
