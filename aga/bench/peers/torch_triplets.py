"""The same potential in plain torch: loops over triplets as array operations, forces by autograd.

What one writes with a tensor library and no kernels of one's own. Two variants of the angular
functions:

``formula``
    As Behler's equation reads: every function of every triplet, by broadcasting over the
    parameters.
``factored``
    The cheapest that was found: exp and (1 + λ cos θ)^ζ once for each distinct η and (λ, ζ),
    integer powers by squaring, the functions as their products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from ase.data import atomic_numbers, covalent_radii
from matscipy.neighbours import neighbour_list
from torch import Tensor

from aga.bench.peers.torch_terms import as_formula, factored
from aga.errors import InputError
from aga.potential.batch import Evaluation
from aga.potential.guard import Repulsion
from aga.potential.model import Model
from aga.potential.network import Weights
from aga.potential.symmetry.functions import Angular, FunctionSet
from aga.structure.candidate import Candidate

__all__ = ["TorchTriplets", "Variant"]

Variant = Literal["formula", "factored"]

CHUNK = 16_384
"""Triplets at a time: larger arrays would cost the peer twice the time in page faults."""

_COULOMB = 14.399645478425668  # eV Å
_BOHR = 0.529177210903
_SHARE = (0.18175, 0.50986, 0.28022, 0.02817)
_DECAY = (3.19980, 0.94229, 0.40290, 0.20162)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
    """Pairs of one structure, differentiable.

    ``first``, ``second`` (P,), ``D`` (P, 3) in Å, ``square``, ``r`` and ``cut`` (P,);
    ``species`` (n,) of the atoms.
    """

    species: Tensor
    first: Tensor
    second: Tensor
    D: Tensor
    square: Tensor
    r: Tensor
    cut: Tensor


class TorchTriplets:
    """Energy, forces and stress of one model.

    Parameters
    ----------
    model
        Cosine cutoff of all functions at the cutoff of the set; no functions for one central
        element alone.
    variant
        How the angular functions are written.

    Raises
    ------
    aga.errors.InputError
        Functions that this peer does not know.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    def __init__(self, model: Model, variant: Variant = "formula") -> None:
        functions = model.functions
        if not isinstance(functions, FunctionSet):
            raise InputError("the plain torch peer knows symmetry functions alone")
        own = [f for f in functions.every if f.cutoff is not None or f.centre is not None]
        if own or functions.cutoff_function != "cosine" or functions.inner:
            raise InputError("the plain torch peer knows the cosine cutoff of the whole set alone")
        self.model, self.functions, self.variant = model, functions, variant
        self._columns = _columns(functions)

    def evaluate(self, candidates: Sequence[Candidate]) -> Evaluation:
        """Give energies and derivatives, one structure after the other; spreads are zero."""
        found = [self._one(candidate) for candidate in candidates]
        energies, gradients, strains = zip(*found, strict=True)
        return Evaluation(
            energies=np.array(energies),
            energy_spread=np.zeros(len(found)),
            gradient=np.concatenate(gradients),
            strain=np.array(strains),
        )

    def _one(self, candidate: Candidate) -> tuple[float, np.ndarray, np.ndarray]:
        positions = torch.from_numpy(np.array(candidate.positions)).requires_grad_()
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        energy = self.energy(candidate, positions, strain)
        gradient, virial = torch.autograd.grad(energy, (positions, strain))
        return float(energy.detach()), gradient.numpy(), virial.numpy()

    def energy(
        self,
        candidate: Candidate,
        positions: Tensor,
        strain: Tensor,
        weights: Mapping[str, Weights] | None = None,
    ) -> Tensor:
        """Give the energy in eV, differentiable with respect to everything.

        Parameters
        ----------
        candidate
            Elements and cell.
        positions, strain
            (n, 3) in Å and (3, 3).
        weights
            Networks by element instead of the model's.
        """
        geometry = _geometry(candidate, self.functions, positions, strain)
        return self._energy(geometry, self.model.weights if weights is None else weights)

    def descriptor(self, geometry: _Geometry) -> Tensor:
        """Give G (n, D) in the order of the set."""
        functions, n = self.functions, len(geometry.species)
        blocks = [_radial(geometry, functions, s) for s in range(len(functions.elements))]
        blocks += _angular(geometry, functions, self.variant)
        return torch.cat([b for b in blocks if b.numel() or not n], 1)[:, self._columns]

    def _energy(self, geometry: _Geometry, weights: Mapping[str, Weights]) -> Tensor:
        model, G = self.model, self.descriptor(geometry)
        total = torch.zeros((), dtype=torch.float64)
        for element, symbol in enumerate(model.functions.elements):
            atoms = geometry.species == element
            z = (G[atoms] - torch.from_numpy(model.mean[element])) / torch.from_numpy(
                model.scale[element]
            )
            layers = weights[symbol]
            for matrix, bias in layers[:-1]:
                z = _ACTIVATIONS[model.activation](z @ matrix[0] + bias[0])
            matrix, bias = layers[-1]
            atomic = model.energy_scale * (z @ matrix[0] + bias[0])
            total = total + (atomic + float(model.reference_energies[element])).sum()
        if model.repulsion is not None:
            total = total + _repulsion(geometry, model.repulsion)
        return total


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "softplus": torch.nn.functional.softplus,
    "silu": torch.nn.functional.silu,
}


def _geometry(
    candidate: Candidate, functions: FunctionSet, positions: Tensor, strain: Tensor
) -> _Geometry:
    i, j, S = neighbour_list("ijS", candidate.to_ase(), functions.cutoff)
    first, second = torch.from_numpy(i.astype(np.int64)), torch.from_numpy(j.astype(np.int64))
    D = positions[second] - positions[first] + torch.from_numpy(S @ candidate.cell)
    D = D + D @ (0.5 * (strain + strain.T))
    square = (D * D).sum(1)
    r = square.sqrt()
    numbers = torch.tensor(functions.numbers)
    species = (torch.from_numpy(np.array(candidate.numbers))[:, None] == numbers).long().argmax(1)
    return _Geometry(
        species=species,
        first=first,
        second=second,
        D=D,
        square=square,
        r=r,
        cut=0.5 * (torch.cos(torch.pi / functions.cutoff * r) + 1.0),
    )


def _radial(geometry: _Geometry, functions: FunctionSet, element: int) -> Tensor:
    """Give the radial functions (n, ·) of the neighbours of one element."""
    chosen = [f for f in functions.radial if f.element == functions.elements[element]]
    eta = torch.tensor([f.eta for f in chosen], dtype=torch.float64)
    shift = torch.tensor([f.shift for f in chosen], dtype=torch.float64)
    p = torch.nonzero(geometry.species[geometry.second] == element)[:, 0]
    x = geometry.r[p, None] - shift
    terms = torch.exp(-eta * x * x) * geometry.cut[p, None]
    return _summed(geometry, p, terms)


def _summed(geometry: _Geometry, pairs: Tensor, terms: Tensor) -> Tensor:
    """Add terms (T, F) of pairs, or of triplets by their first pair, at the central atoms."""
    room = torch.zeros(len(geometry.species), terms.shape[1], dtype=torch.float64)
    return room.index_add(0, geometry.first[pairs], terms)


def _angular(geometry: _Geometry, functions: FunctionSet, variant: Variant) -> list[Tensor]:
    blocks = []
    p, q = _triplets(geometry.first)
    s, t = geometry.species[geometry.second[p]], geometry.species[geometry.second[q]]
    low, high = torch.minimum(s, t), torch.maximum(s, t)
    for (a, b, _), chosen in _groups(functions).items():
        mine = (low == a) & (high == b)
        total = torch.zeros(len(geometry.species), len(chosen), dtype=torch.float64)
        for piece in zip(torch.split(p[mine], CHUNK), torch.split(q[mine], CHUNK), strict=True):
            terms, kept = _terms(geometry, piece, chosen, (variant, functions.cutoff))
            total = total + _summed(geometry, kept, terms)
        blocks.append(total)
    return blocks


def _triplets(first: Tensor) -> tuple[Tensor, Tensor]:
    """Give two pairs of each triplet, from pairs that are sorted by their central atom."""
    number = torch.arange(len(first))
    ends = torch.searchsorted(first, first, right=True)
    later = ends - number - 1
    p = torch.repeat_interleave(number, later)
    begin = torch.cumsum(later, 0) - later
    return p, p + 1 + torch.arange(len(p)) - begin[p]


def _groups(functions: FunctionSet) -> dict[tuple[int, int, bool], list[Angular]]:
    """Give the angular functions by pair of elements and form."""
    groups: dict[tuple[int, int, bool], list[Angular]] = {}
    for f in functions.angular:
        a, b = sorted(functions.elements.index(symbol) for symbol in f.elements)
        groups.setdefault((a, b, f.narrow), []).append(f)
    return groups


def _columns(functions: FunctionSet) -> list[int]:
    """Give the place of each function of the set among the blocks."""
    place = {id(f): number for number, f in enumerate(functions.every)}
    radial = [f for el in functions.elements for f in functions.radial if f.element == el]
    angular = [f for chosen in _groups(functions).values() for f in chosen]
    order = [place[id(f)] for f in [*radial, *angular]]
    return [order.index(number) for number in range(len(order))]


def _terms(
    geometry: _Geometry,
    pairs: tuple[Tensor, Tensor],
    functions: Sequence[Angular],
    how: tuple[Variant, float],
) -> tuple[Tensor, Tensor]:
    """Give the terms (T, F) of functions of one form, and the first pair (T,) of each triplet."""
    (p, q), (variant, cutoff) = pairs, how
    narrow = functions[0].narrow
    if narrow:  # most of the work is spared where the third side is too long
        with torch.no_grad():
            third = geometry.D[q] - geometry.D[p]
            near = (third * third).sum(1) < cutoff * cutoff
        p, q = p[near], q[near]
    cosine = (geometry.D[p] * geometry.D[q]).sum(1) / (geometry.r[p] * geometry.r[q])
    distances, cut = [geometry.r[p], geometry.r[q]], geometry.cut[p] * geometry.cut[q]
    if narrow:
        third = geometry.D[q] - geometry.D[p]
        distances.append((third * third).sum(1).sqrt())
        cut = cut * 0.5 * (torch.cos(torch.pi / cutoff * distances[-1]) + 1.0)
    write = as_formula if variant == "formula" else factored
    return write(cosine, distances, cut, functions), p


def _repulsion(geometry: _Geometry, repulsion: Repulsion) -> Tensor:
    """Give the screened repulsion of the nuclei in eV (Ziegler, Biersack, Littmark, 1985)."""
    Z = torch.tensor([atomic_numbers[el] for el in repulsion.elements], dtype=torch.float64)
    radii = torch.tensor([covalent_radii[int(z)] for z in Z], dtype=torch.float64)
    a, b = geometry.species[geometry.first], geometry.species[geometry.second]
    bond = radii[a] + radii[b]
    near = geometry.r < repulsion.outer * bond
    a, b, bond, r = a[near], b[near], bond[near], geometry.r[near]
    length = 0.8854 * _BOHR / (Z[a] ** 0.23 + Z[b] ** 0.23)
    screen = sum(s * torch.exp(-d * r / length) for s, d in zip(_SHARE, _DECAY, strict=True))
    x = (r / bond - repulsion.inner) / (repulsion.outer - repulsion.inner)
    x = x.clamp(min=0.0)
    switch = 1.0 - x**3 * (10.0 - x * (15.0 - 6.0 * x))
    return 0.5 * (_COULOMB * Z[a] * Z[b] / r * screen * switch).sum()
