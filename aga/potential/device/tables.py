"""A symmetry-function set laid out as tensors, for the batched implementation on a device.

The central elements that have the same functions form a *class* and are computed together. A
*channel* is one g(R) = exp(−η (R − R_s)²) f_c(R). Everything a class computes per atom stands in
one row of *raw* values: radial sums, then the angular functions that come from moments (wide, ζ a
small integer), then the others (from triplets); the descriptor takes its columns from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, factorial
from typing import NamedTuple

import torch
from torch import Tensor

from aga.potential.symmetry.functions import Angular, CutoffFunction, FunctionSet, Radial
from aga.potential.symmetry.plan import by_moments

__all__ = ["ClassTables", "Moments", "TripletGroup", "make_tables"]

Channel = tuple[float, float, float]
"""η, R_s, cutoff."""


class Moments(NamedTuple):
    """The angular functions from moments; a *group* is one pair of elements with one channel."""

    channels: slice
    """Which channels of the class they use (H of them)."""
    degree: int
    """Largest ζ."""
    first: Tensor
    """(Q,) place of each group's first element and channel among the E·H."""
    second: Tensor
    """(Q,) of its second."""
    same: Tensor
    """(Q, 1) 1 where the two elements are one, else 0; float64."""
    coefficients: Tensor
    """(Q, degree + 1, L) 2^{1−ζ} C(ζ, p) λ^p of each function of each group; float64."""
    partner: Tensor
    """(E, E, H) the group of two elements and a channel; Q where there is none."""
    weights: Tensor
    """(K,) multinomial coefficient p!/(a! b! c!) of each monomial; float64."""
    degrees: Tensor
    """(K,) degree p of each monomial."""
    upper: Tensor
    """(3, K') place of each monomial below the largest degree, times x, y or z."""
    exponents: Tensor
    """(3, K') exponent of that axis in the product; float64."""


class TripletGroup(NamedTuple):
    """Angular functions that need the loop over triplets: one pair of elements, narrow or wide.

    Its raw values are all combinations of its C channels with its L angular parts.
    """

    elements: tuple[int, int]
    narrow: bool
    channels: Tensor
    """(C,) among the channels of the class."""
    parameters: Tensor
    """(3, C, 1) η, R_s and cutoff of each channel."""
    lambda_: Tensor
    """(L, 1)."""
    zeta: tuple[float, ...]
    """Of each angular part."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassTables:
    """What is computed for the atoms of some central elements.

    Parameters
    ----------
    species
        Places of the central elements that have these functions.
    cutoff
        Å, the largest radius.
    cutoff_function, inner
        See :class:`aga.potential.symmetry.functions.FunctionSet`.
    mixed
        Whether the channels have different cutoffs.
    parameters
        (3, E, F, 1) η, R_s and cutoff of every channel, by element of the neighbour: first
        ``radial`` ones of that element's own (idle where it has fewer), then those of the angular
        functions, the same for all elements.
    radial
        Number of radial channels.
    moments
        The angular functions that come from moments, or None.
    triplets
        Those that need the loop over triplets.
    source
        (D,) place of each column of the descriptor in the raw values; one past their end where
        these elements have fewer functions.
    column
        (raw,) the column that each raw value goes to; D where none.
    """

    species: tuple[int, ...]
    cutoff: float
    cutoff_function: CutoffFunction
    inner: float
    mixed: bool
    parameters: Tensor
    radial: int
    moments: Moments | None
    triplets: tuple[TripletGroup, ...]
    source: Tensor
    column: Tensor


def make_tables(
    functions: FunctionSet, device: torch.device, dtype: torch.dtype
) -> tuple[ClassTables, ...]:
    """Lay out a function set: one table for each class of central elements.

    ``dtype`` is that of the parameters of what is computed per pair and per triplet.
    """
    classes: dict[tuple[Radial | Angular, ...], list[int]] = {}
    for s, symbol in enumerate(functions.elements):
        own = tuple(f._replace(centre=None) for f in functions.of(symbol))
        classes.setdefault(own, []).append(s)
    return tuple(
        _Layout(functions, own, tuple(species), device, dtype).tables()
        for own, species in classes.items()
    )


class _Layout:
    """Collects the raw values of one class, and where each goes."""

    def __init__(
        self,
        functions: FunctionSet,
        own: tuple[Radial | Angular, ...],
        species: tuple[int, ...],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.set = functions
        self.species = species
        self.device = device
        self.dtype = dtype
        self.place = {symbol: s for s, symbol in enumerate(functions.elements)}
        numbered = list(enumerate(own))
        self.radial = [(n, f) for n, f in numbered if isinstance(f, Radial)]
        angular = [(n, f) for n, f in numbered if isinstance(f, Angular)]
        self.wide = [(n, f) for n, f in angular if by_moments(f)]
        self.rest = [(n, f) for n, f in angular if not by_moments(f)]
        self.column: list[int] = []

    def tables(self) -> ClassTables:
        """Lay out the class."""
        per_element, R = self._radial()
        wide = sorted({self._channel(f) for _, f in self.wide})
        rest = sorted({self._channel(f) for _, f in self.rest})
        rows = [own + wide + rest for own in per_element]
        moments = self._moments(wide, slice(R, R + len(wide))) if wide else None
        triplets = self._triplets(rest, R + len(wide))
        size = self.set.size
        source = [len(self.column)] * size
        for place, n in enumerate(self.column):
            if n < size:
                source[n] = place
        return ClassTables(
            species=self.species,
            cutoff=float(self.set.cutoff),
            cutoff_function=self.set.cutoff_function,
            inner=self.set.inner,
            mixed=len({cutoff for row in rows for _, _, cutoff in row}) > 1,
            parameters=self._real(rows).permute(2, 0, 1).unsqueeze(-1).contiguous(),
            radial=R,
            moments=moments,
            triplets=triplets,
            source=self._places(source),
            column=self._places(self.column),
        )

    def _real(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=self.dtype, device=self.device)

    def _places(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.device)

    def _channel(self, f: Radial | Angular) -> Channel:
        return (f.eta, f.shift, self.set.cutoff_of(f))

    def _radial(self) -> tuple[list[list[Channel]], int]:
        of = [[(n, f) for n, f in self.radial if f.element == el] for el in self.place]
        R = max(len(functions) for functions in of)
        idle = (0.0, 0.0, self.set.cutoff)
        for functions in of:
            self.column += [n for n, _ in functions] + [self.set.size] * (R - len(functions))
        return [
            [self._channel(f) for _, f in functions] + [idle] * (R - len(functions))
            for functions in of
        ], R

    def _moments(self, wide: list[Channel], channels: slice) -> Moments:
        E, H = len(self.place), len(wide)
        members: dict[tuple[int, int, int], list[tuple[int, Angular]]] = {}
        for n, f in self.wide:
            s, t = sorted(self.place[symbol] for symbol in f.elements)
            members.setdefault((s, t, wide.index(self._channel(f))), []).append((n, f))
        degree = max(int(f.zeta) for _, f in self.wide)
        keys = list(members)
        L = max(len(functions) for functions in members.values())
        coefficients = torch.zeros(len(keys), degree + 1, L, dtype=torch.float64)
        partner = torch.full((E, E, H), len(keys))
        for q, (s, t, h) in enumerate(keys):
            partner[s, t, h] = partner[t, s, h] = q
            for place, (_, f) in enumerate(members[s, t, h]):
                zeta = int(f.zeta)
                for p in range(zeta + 1):
                    coefficients[q, p, place] = 2.0 ** (1 - zeta) * comb(zeta, p) * f.lambda_**p
            self.column += [n for n, _ in members[s, t, h]]
            self.column += [self.set.size] * (L - len(members[s, t, h]))
        weights, degrees, upper, exponents = _monomials(degree)
        return Moments(
            channels=channels,
            degree=degree,
            first=self._places([s * H + h for s, _, h in keys]),
            second=self._places([t * H + h for _, t, h in keys]),
            same=self._double([[float(s == t)] for s, t, _ in keys]),
            coefficients=coefficients.to(self.device),
            partner=partner.to(self.device),
            weights=self._double(weights),
            degrees=self._places(degrees),
            upper=self._places(upper),
            exponents=self._double(exponents),
        )

    def _double(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self.device)

    def _triplets(self, rest: list[Channel], offset: int) -> tuple[TripletGroup, ...]:
        members: dict[tuple[int, int, bool], list[tuple[int, Angular]]] = {}
        for n, f in self.rest:
            s, t = sorted(self.place[symbol] for symbol in f.elements)
            members.setdefault((s, t, f.narrow), []).append((n, f))
        return tuple(self._group(key, own, rest, offset) for key, own in members.items())

    def _group(
        self,
        key: tuple[int, int, bool],
        own: list[tuple[int, Angular]],
        rest: list[Channel],
        offset: int,
    ) -> TripletGroup:
        channels = sorted({rest.index(self._channel(f)) for _, f in own})
        parts: list[tuple[float, float]] = []
        cells: dict[tuple[int, int], int] = {}
        for n, f in own:
            c, part = channels.index(rest.index(self._channel(f))), (f.lambda_, float(f.zeta))
            free = [k for k, old in enumerate(parts) if old == part and (c, k) not in cells]
            cells[c, free[0] if free else len(parts)] = n
            parts += [] if free else [part]
        for c in range(len(channels)):
            self.column += [cells.get((c, k), self.set.size) for k in range(len(parts))]
        parameters = self._real([rest[c] for c in channels])
        return TripletGroup(
            elements=(key[0], key[1]),
            narrow=key[2],
            channels=self._places([offset + c for c in channels]),
            parameters=parameters.T.unsqueeze(-1).contiguous(),
            lambda_=self._real([[lam] for lam, _ in parts]),
            zeta=tuple(zeta for _, zeta in parts),
        )


def _monomials(
    degree: int,
) -> tuple[list[float], list[int], list[list[int]], list[list[int]]]:
    """List x^a y^b z^c by degree, a falling first, then b: weights, degrees, upper, exponents."""
    powers = [
        (a, b, p - a - b)
        for p in range(degree + 1)
        for a in range(p, -1, -1)
        for b in range(p - a, -1, -1)
    ]
    place = {abc: k for k, abc in enumerate(powers)}
    weights = [
        factorial(a + b + c) / (factorial(a) * factorial(b) * factorial(c)) for a, b, c in powers
    ]
    products = [
        [(a + (x == 0), b + (x == 1), c + (x == 2)) for a, b, c in powers if a + b + c < degree]
        for x in range(3)
    ]
    upper = [[place[abc] for abc in row] for row in products]
    exponents = [[abc[x] for abc in row] for x, row in enumerate(products)]
    return weights, [sum(abc) for abc in powers], upper, exponents
