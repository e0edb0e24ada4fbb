"""The Deep Potential descriptor of the local frame: neighbours in the atom's own coordinates.

Zhang, Han, Wang, Car, E, Phys. Rev. Lett. 120, 143001 (2018). It has no parameters that are
trained, so it can stand wherever symmetry functions stand.

It is **not continuous**, by construction: the frame jumps where other neighbours become the two
nearest, columns change places where two neighbours come to the same distance, and a neighbour
that crosses the cutoff, or falls out of the fixed number, vanishes at once. Between those events
the derivatives are exact. In a perfect crystal several neighbours are equally near; the order of
the pair list then decides, which is a convention and not a symmetry. The smooth descriptor
(:mod:`aga.potential.deep.smooth`) has none of these defects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from ase.data import atomic_numbers

from aga.errors import InputError
from aga.potential.batch import Batch
from aga.potential.deep.axes import Frames, build_frames
from aga.potential.deep.pairs import gather_back
from aga.potential.neighbours import Pairs, find_pairs
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Information", "LocalFrame", "LocalFrameDescriptor"]

Information = Literal["full", "radial"]
"""Of each neighbour {1/R, x'/R², y'/R², z'/R²} or 1/R alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFrame:
    """Which neighbours describe an atom, and what is said of each.

    Parameters
    ----------
    elements
        Element symbols; neighbours are listed element by element in this order.
    cutoff
        Å.
    neighbours
        How many of each element, the nearest first; columns of absent ones are 0.
    information
        What is said of each.

    Raises
    ------
    aga.errors.InputError
        No or unknown elements, a cutoff that isn't positive, or no neighbours.
    """

    elements: tuple[str, ...]
    cutoff: float
    neighbours: tuple[int, ...]
    information: Information = "full"

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        object.__setattr__(self, "neighbours", tuple(int(n) for n in self.neighbours))
        unknown = [el for el in self.elements if el not in atomic_numbers]
        if unknown or not self.elements or len(set(self.elements)) != len(self.elements):
            raise InputError(f"local frame: {', '.join(self.elements)} are no list of elements")
        if not 0.0 < self.cutoff < np.inf:
            raise InputError(f"local frame: the cutoff is {self.cutoff} Å, it must be above 0")
        if len(self.neighbours) != len(self.elements) or min(self.neighbours) < 1:
            raise InputError("local frame: each element needs a number of neighbours above 0")
        if self.information not in ("full", "radial"):
            raise InputError(f"local frame: {self.information!r} is neither full nor radial")

    @property
    def width(self) -> int:
        """Columns of one neighbour."""
        return 4 if self.information == "full" else 1

    @property
    def size(self) -> int:
        """Number of columns, D."""
        return self.width * sum(self.neighbours)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements."""
        return tuple(int(atomic_numbers[el]) for el in self.elements)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "neighbours": list(self.neighbours),
            "information": self.information,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            elements=tuple(data["elements"]),
            cutoff=float(data["cutoff"]),
            neighbours=tuple(data["neighbours"]),
            information=data["information"],
        )


class LocalFrameDescriptor:
    """D_ij = {1/R, x'/R², y'/R², z'/R²} of the nearest neighbours, with exact derivatives.

    The frame of atom i: e₁ along its nearest neighbour a; e₂ the part across e₁ of b, the
    nearest that is not collinear with a; e₃ = e₁ × e₂. Where all neighbours are on one line y'
    and z' are 0; without neighbours everything is. Signs and shapes are those of
    :class:`aga.potential.symmetry.descriptor.Descriptor`.

    Parameters
    ----------
    functions
        Neighbours and cutoff.
    """

    def __init__(self, functions: LocalFrame) -> None:
        self.functions = functions

    @property
    def size(self) -> int:
        """Number of columns, D."""
        return self.functions.size

    def pairs(self, batch: Batch) -> Pairs:
        """List the neighbours within the cutoff; errors as of :func:`find_pairs`."""
        return find_pairs(batch, self.functions.cutoff, self.functions.numbers)

    def values(self, pairs: Pairs) -> FloatArray:
        """Give D (N, size) in 1/Å."""
        return self.values_and_moments(pairs)[0]

    def values_and_moments(self, pairs: Pairs) -> tuple[FloatArray, Frames]:
        """Give D (N, size), and the frames, which spare the derivatives half their work."""
        frames = build_frames(pairs, self.functions.neighbours)
        values = np.zeros((len(pairs.starts), self.size // self._width, self._width))
        said = np.column_stack(
            [1.0 / frames.r, frames.seen * frames.local / frames.r[:, None] ** 2]
        )
        values[frames.atom, frames.slot] = said[:, : self._width]
        return values.reshape(len(values), self.size), frames

    def vjp(
        self, pairs: Pairs, adjoints: FloatArray, moments: Frames | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Pull ∂E/∂D (N, D) or (M, N, D) back to positions and strain, as symmetry functions do."""
        frames = build_frames(pairs, self.functions.neighbours) if moments is None else moments
        atoms, width = len(pairs.starts), self._width
        stack = np.asarray(adjoints, dtype=np.float64).reshape(-1, atoms, self.size // width, width)
        g = stack[:, frames.atom, frames.slot]
        h = np.zeros((*g.shape[:2], 3))
        h[..., : width - 1] = g[..., 1:] * (frames.seen / frames.r[:, None] ** 2)[:, : width - 1]
        x, axes = frames.local, frames.axes
        pull = -g[..., 0] / frames.r**3 - 2.0 * (h * x).sum(-1) / frames.r**2
        forces = np.zeros((len(stack), len(pairs), 3))
        forces[:, frames.pair] = pull[..., None] * frames.vectors + np.einsum(
            "msk,skx->msx", h, axes[frames.atom]
        )
        # what turning the frame costs: α turns e₁ towards e₂, β e₁ towards e₃, ω e₂ towards e₃
        turns = [(0, 1), (0, 2), (1, 2)]
        alpha, beta, omega = (
            _sum(frames.atom, h[..., p] * x[:, q] - h[..., q] * x[:, p], atoms) for p, q in turns
        )
        held = frames.turn_a > 0
        along2 = (alpha * frames.turn_a)[..., None] * axes[:, 1]
        along3 = (beta * frames.turn_a - omega * frames.lean)[..., None] * axes[:, 2]
        forces[:, frames.a[held]] += (along2 + along3)[:, held]
        held = frames.turn_b > 0
        forces[:, frames.b[held]] += ((omega * frames.turn_b)[..., None] * axes[:, 2])[:, held]
        gradient, strain = gather_back(pairs, forces)
        return (gradient[0], strain[0]) if adjoints.ndim == 2 else (gradient, strain)

    def jvp(
        self,
        pairs: Pairs,
        displacements: FloatArray,
        strains: FloatArray | None = None,
        moments: Frames | None = None,
    ) -> FloatArray:
        """Give dD (N, size) for displacements (N, 3) in Å and strains (B, 3, 3)."""
        frames = build_frames(pairs, self.functions.neighbours) if moments is None else moments
        first = pairs.first
        steps = displacements[pairs.second] - displacements[first]
        if strains is not None:
            steps = steps + np.einsum("pab,pb->pa", strains[pairs.owners[first]], pairs.vectors)
        derivative = _derivative(frames)
        turned = np.stack([steps[frames.pair], *_frame_steps(frames, steps)], axis=1)
        d = np.einsum("scvx,svx->sc", derivative, turned)
        dD = np.zeros((len(pairs.starts), self.size // self._width, self._width))
        dD[frames.atom, frames.slot] = d[:, : self._width]
        return dD.reshape(len(dD), self.size)

    def jacobian(self, pairs: Pairs, moments: Frames | None = None) -> list[FloatArray]:
        """Give dD/d(R, ε), dense, for each structure, in the form that symmetry functions have."""
        frames = build_frames(pairs, self.functions.neighbours) if moments is None else moments
        derivative, first = _derivative(frames)[:, : self._width], pairs.first
        bounds = np.searchsorted(pairs.owners, np.arange(pairs.structures + 1))
        owner = pairs.owners[frames.atom]
        sources = (frames.pair, frames.a[frames.atom], frames.b[frames.atom])
        result = []
        for index in range(pairs.structures):
            start, n = bounds[index], bounds[index + 1] - bounds[index]
            mine = np.flatnonzero(owner == index)
            out = np.zeros((n, self.size // self._width, self._width, 3 * n + 6))
            rows = (frames.atom[mine] - start, frames.slot[mine])
            for number, source in enumerate(sources):
                place, block = source[mine], derivative[mine, :, number]
                _add_positions(out, rows, block, pairs.second[place] - start, 1.0)
                _add_positions(out, rows, block, first[place] - start, -1.0)
                w = block[..., :, None] * pairs.vectors[place][:, None, None, :]
                w = 0.5 * (w + np.swapaxes(w, -1, -2))
                out[rows[0], rows[1], :, -6:] += w[..., [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            result.append(out.reshape(n, self.size, 3 * n + 6))
        return result

    @property
    def _width(self) -> int:
        return self.functions.width


def _sum(atom: IntArray, values: FloatArray, atoms: int) -> FloatArray:
    return np.array([np.bincount(atom, weights=row, minlength=atoms) for row in values])


def _derivative(frames: Frames) -> FloatArray:
    """Give (S, 4, 3, 3) the derivative of 1/R and x'/R² by the neighbour's own vector, A and B."""
    x, r, axes = frames.local, frames.r[:, None], frames.axes[frames.atom]
    d = np.zeros((len(r), 4, 3, 3))
    d[:, 0, 0] = -frames.vectors / r**3
    bend = 2.0 * x[:, :, None] * frames.vectors[:, None, :] / r[:, :, None] ** 4
    d[:, 1:, 0] = axes / r[:, :, None] ** 2 - bend
    turn_a, turn_b, lean = (
        t[frames.atom, None] for t in (frames.turn_a, frames.turn_b, frames.lean)
    )
    alpha, beta, omega_a = turn_a * axes[:, 1], turn_a * axes[:, 2], -lean * axes[:, 2]
    omega_b = turn_b * axes[:, 2]
    x1, x2, x3 = (x[:, [k]] / r**2 for k in range(3))
    d[:, 1, 1] = x2 * alpha + x3 * beta
    d[:, 2, 1] = -x1 * alpha + x3 * omega_a
    d[:, 3, 1] = -x1 * beta - x2 * omega_a
    d[:, 2, 2] = x3 * omega_b
    d[:, 3, 2] = -x2 * omega_b
    d[:, 1:] *= frames.seen[:, :, None, None]
    return d


def _frame_steps(frames: Frames, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give for each chosen neighbour the steps of the two that span its frame."""
    return steps[frames.a[frames.atom]], steps[frames.b[frames.atom]]


def _add_positions(
    out: FloatArray,
    rows: tuple[IntArray, IntArray],
    block: FloatArray,
    atoms: IntArray,
    sign: float,
) -> None:
    """Add (s, width, 3) derivatives by a vector to the columns of the atom at its end."""
    columns = 3 * atoms[:, None] + np.arange(3)
    at = (rows[0][:, None], rows[1][:, None], slice(None), columns)
    # rows are distinct and so are the columns of one row: plain addition loses nothing
    out[at] += sign * np.swapaxes(block, 1, 2)
