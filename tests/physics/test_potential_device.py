"""Symmetry functions on a device: against the plain sum with autograd, and the processor's."""

import math
from itertools import pairwise, product
from typing import get_args

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers
from torch import Tensor

from aga.potential.batch import Batch
from aga.potential.device import descriptor as torch_descriptor
from aga.potential.device.choice import Precision, choose_device
from aga.potential.device.descriptor import TorchDescriptor
from aga.potential.device.pairs import to_device
from aga.potential.symmetry.descriptor import Descriptor
from aga.potential.symmetry.functions import Angular, CutoffFunction, FunctionSet, Radial
from aga.potential.symmetry.presets import preset
from aga.rng import stream
from aga.structure.candidate import Candidate, FloatArray

CPU = torch.device("cpu")
TRICLINIC = np.array([[3.1, 0.0, 0.0], [1.4, 2.9, 0.0], [-0.8, 1.1, 3.7]])
PAIRS = (("Ti", "Ti"), ("O", "Ti"), ("O", "O"))


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


def every_kind(cutoff_function: CutoffFunction = "cosine", inner: float = 0.0) -> FunctionSet:
    """Radial, wide and narrow functions, ζ integer or not, shifts, own cutoffs and centres."""
    kinds = (
        Angular(("O", "O"), 0.05, 2, 1.0),
        Angular(("O", "O"), 0.05, 2, -1.0),
        Angular(("O", "O"), 0.05, 7, -1.0, 0.5, cutoff=3.4),
        Angular(("O", "O"), 0.02, 2.5, -1.0, 0.3),
        Angular(("O", "O"), 0.02, 20, -1.0),  # too many moments
        Angular(("O", "O"), 0.05, 1, 1.0, narrow=True),
        Angular(("O", "O"), 0.03, 4, -1.0, 0.8, narrow=True, cutoff=3.5, centre="O"),
        Angular(("O", "O"), 0.05, 1.3, 0.5, narrow=True, centre="Ti"),
        Angular(("O", "O"), 0.05, 1, 1.0, narrow=True),  # twice the same
    )
    return FunctionSet(
        elements=("O", "Ti"),
        cutoff=3.9,
        cutoff_function=cutoff_function,
        inner=inner,
        radial=(
            Radial("Ti", 2.0, 1.5),
            Radial("O", 0.3, 0.0, 3.2),
            Radial("O", 0.3, 0.0, 3.2),
            Radial("Ti", 1.0, 2.0, 3.7, "O"),
        ),
        angular=tuple(kind._replace(elements=pair) for kind, pair in product(kinds, PAIRS)),
    )


def cut(functions: FunctionSet, r: Tensor, cutoff: float) -> Tensor:
    x = ((r / cutoff - functions.inner) / (1 - functions.inner)).clamp(0.0, 1.0)
    value = {
        "cosine": 0.5 * (torch.cos(math.pi * x) + 1),
        "tanh3": torch.tanh(1 - x) ** 3,
        "polynomial3": 1 - 3 * x**2 + 2 * x**3,
        "polynomial5": 1 - 10 * x**3 + 15 * x**4 - 6 * x**5,
        "polynomial7": 1 - 35 * x**4 + 84 * x**5 - 70 * x**6 + 20 * x**7,
    }[functions.cutoff_function]
    return torch.where(r < cutoff, value, 0.0)


def triplet_sum(functions: FunctionSet, numbers: FloatArray, R: Tensor, cell: Tensor) -> Tensor:
    """Behler (2011), term by term over all images in a box that is large enough."""
    reach = range(-5, 6) if len(numbers) < 4 else range(-4, 5)
    shifts = torch.tensor(list(product(reach, reach, reach)), dtype=torch.float64) @ cell
    symbols = {atomic_numbers[symbol]: symbol for symbol in functions.elements}
    rows = []
    for i, number in enumerate(numbers):
        v = (R[None] - R[i] + shifts[:, None]).reshape(-1, 3)
        z = torch.from_numpy(np.tile(numbers, len(shifts)))
        square = (v**2).sum(1)
        near = (square > 1e-10) & (square < functions.cutoff**2)
        v, z = v[near], z[near]
        r = v.norm(dim=1)
        j, k = torch.triu_indices(len(r), len(r), 1)
        cosine, third = (v[j] * v[k]).sum(1) / (r[j] * r[k]), (v[j] - v[k]).norm(dim=1)
        row = [R.new_zeros(())] * functions.size
        for n, f in enumerate(functions.of(symbols[int(number)])):
            row[n] = term(functions, f, z, (r, r[j], r[k], third), (j, k, cosine))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def term(
    functions: FunctionSet,
    f: Radial | Angular,
    z: Tensor,
    distances: tuple[Tensor, ...],
    angles: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    rc = functions.cutoff_of(f)
    r, rj, rk, third = (
        torch.exp(-f.eta * (d - f.shift) ** 2) * cut(functions, d, rc) for d in distances
    )
    if isinstance(f, Radial):
        return (r * (z == atomic_numbers[f.element])).sum()
    j, k, cosine = angles
    a, b = (atomic_numbers[symbol] for symbol in f.elements)
    wanted = ((z[j] == a) & (z[k] == b)) | ((z[j] == b) & (z[k] == a))
    part = (1 + f.lambda_ * cosine).clamp(min=0.0) ** f.zeta * 2 ** (1 - f.zeta) * rj * rk
    return (part * (third if f.narrow else 1.0) * wanted).sum()


def close(found: Tensor, expected: Tensor | FloatArray, bound: float) -> None:
    """Relative to the largest number."""
    expected = torch.as_tensor(expected)
    assert float((found - expected).abs().max()) <= bound * float(expected.abs().max())


BOUNDS: list[tuple[Precision, float]] = [("float64", 1e-12), ("float32", 1e-5)]


@pytest.mark.parametrize(
    "functions",
    [
        every_kind(),
        every_kind("polynomial7", 0.1),
        FunctionSet(elements=("O", "Ti"), cutoff=3.9, radial=(Radial("O", 0.1),)),
    ],
    ids=lambda f: f"{f.size} {f.cutoff_function}",
)
def test_values_and_derivatives_are_those_of_the_plain_sum(functions: FunctionSet) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (2, len(BATCH.numbers), functions.size)
    adjoints = torch.randn(shape, dtype=torch.float64, generator=generator)
    values, gradients, strains = plain(functions, adjoints)
    for precision, bound in BOUNDS:
        descriptor = TorchDescriptor(functions, CPU, precision)
        pairs = descriptor.pairs(BATCH)
        close(descriptor.values(pairs), values, bound)
        pulled = descriptor.vjp(pairs, adjoints)
        close(pulled.gradient, gradients, bound)
        shares = np.add.reduceat(pulled.strain.numpy(), BATCH.offsets[:-1], axis=1)
        close(torch.from_numpy(shares), strains, bound)


def plain(functions: FunctionSet, adjoints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """G (N, D), and by autograd ∂/∂R (A, N, 3) and ∂/∂ε (A, B, 3, 3) of the adjoints times G."""
    values, gradients, strains = [], [], []
    for structure, (a, b) in zip(STRUCTURES, pairwise(BATCH.offsets), strict=True):
        R = torch.tensor(structure.positions.copy(), requires_grad=True)
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        F = (torch.eye(3, dtype=torch.float64) + strain).T
        cell = torch.tensor(structure.cell.copy()) @ F
        G = triplet_sum(functions, structure.numbers, R @ F, cell)
        values.append(G.detach())
        slopes = [
            torch.autograd.grad((g * G).sum(), (R, strain), retain_graph=True)
            for g in adjoints[:, a:b]
        ]
        gradients.append(torch.stack([dR for dR, _ in slopes]))
        strains.append(torch.stack([dE for _, dE in slopes]))
    return torch.cat(values), torch.cat(gradients, dim=1), torch.stack(strains, dim=1)


def test_many_chunks_give_the_same_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = TorchDescriptor(every_kind(), CPU)
    pairs = descriptor.pairs(BATCH)
    G = descriptor.values(pairs)
    adjoints = torch.ones(1, *G.shape, dtype=torch.float64)
    whole = descriptor.vjp(pairs, adjoints)
    monkeypatch.setattr(torch_descriptor, "_memory", lambda *_: 0.0)
    close(descriptor.values(pairs), G, 1e-14)
    parts = descriptor.vjp(pairs, adjoints)
    close(parts.gradient, whole.gradient, 1e-13)
    close(parts.strain, whole.strain, 1e-13)


def test_single_precision_keeps_the_difference_of_large_moments() -> None:
    """Neighbours in nearly one direction: (1 − cos θ)⁴ is what the moments leave, nearly 0."""
    functions = FunctionSet(
        elements=("Si",),
        cutoff=6.0,
        angular=tuple(
            Angular(("Si", "Si"), 0.01, zeta, lam) for zeta in (4, 8) for lam in (-1.0, 1.0)
        ),
    )
    positions = np.array([[0.0, 0, 0], [2.0, 0.1, 0], [4.0, 0, 0.1]])
    structure = Candidate(
        name="row", numbers=np.full(3, 14), positions=positions, cell=30.0 * np.eye(3)
    )
    batch = Batch.pack([structure])
    exact, single = (
        TorchDescriptor(functions, CPU, precision) for precision in ("float64", "float32")
    )
    double = exact.values(exact.pairs(batch))
    error = (single.values(single.pairs(batch)) - double).abs()
    whole = float(double[0, 1])  # a function of full size
    assert float(double[0, [0, 2]].max()) < 1e-6 * whole  # what is left of the difference
    assert float(error.max()) < 3e-6 * whole


@pytest.mark.cuda
@pytest.mark.parametrize(("precision", "bound"), BOUNDS)
def test_a_gpu_gives_what_the_processor_gives(precision: Precision, bound: float) -> None:
    gpu = choose_device("cuda")
    for functions in (preset("tio2", ["O", "Ti"]), every_kind()):
        here, there = (TorchDescriptor(functions, device, precision) for device in (CPU, gpu))
        exact = TorchDescriptor(functions, CPU)
        mine, its = here.pairs(BATCH), there.pairs(BATCH)
        close(there.values(its).cpu(), exact.values(mine), bound)
        adjoints = torch.ones(1, len(BATCH.numbers), functions.size, dtype=torch.float64)
        first, again = (there.vjp(its, adjoints.to(gpu)) for _ in range(2))
        close(first.gradient.cpu(), exact.vjp(mine, adjoints).gradient, 10 * bound)
        close(first.strain.cpu(), exact.vjp(mine, adjoints).strain, 10 * bound)
        assert torch.equal(first.gradient, again.gradient)  # no sum in random order
        assert torch.equal(first.strain, again.strain)


@pytest.mark.parametrize(
    "functions",
    [
        preset("tio2", ["O", "Ti"]),
        *(every_kind(name) for name in get_args(CutoffFunction)),
        every_kind("polynomial5", 0.3),
    ],
    ids=lambda f: f"{f.size} {f.cutoff_function} {f.inner}",
)
def test_the_processors_kernels_say_the_same(functions: FunctionSet) -> None:
    own = Descriptor(functions)
    descriptor = TorchDescriptor(functions, CPU)
    pairs = own.pairs(BATCH)
    G, moments = own.values_and_moments(pairs)
    close(descriptor.values(to_device(pairs, CPU)), G, 1e-12)
    adjoints = stream(0, "adjoints").normal(size=(3, *G.shape))
    gradient, strain = own.vjp(pairs, adjoints, moments)
    pulled = descriptor.vjp(to_device(pairs, CPU), torch.from_numpy(adjoints))
    close(pulled.gradient, gradient, 1e-11)
    shares = np.add.reduceat(pulled.strain.numpy(), BATCH.offsets[:-1], axis=1)
    close(torch.from_numpy(0.5 * (shares + shares.swapaxes(-1, -2))), strain, 1e-11)
