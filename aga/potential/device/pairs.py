"""Neighbours of packed structures found on a device: all periodic images of all pairs at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from aga.potential.batch import Batch
from aga.potential.neighbours import MIN_DISTANCE, Pairs, find_pairs
from aga.potential.soundness import image_ranges, refuse, species_of
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["DevicePairs", "find_device_pairs", "to_device"]

MAX_CANDIDATES = 20_000_000
"""Images of pairs looked at together (24 bytes of coordinates each)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DevicePairs:
    """Every atom with each of its neighbours, as :class:`aga.potential.neighbours.Pairs`.

    Parameters
    ----------
    cutoff
        Å.
    second
        (P,) the neighbour's atom index in the batch.
    padded
        (P + 1, 3) vectors from the central atom to the neighbour in Å, float64, and one zero.
    starts
        (N, E + 1) atom i has its neighbours of element s in ``starts[i, s]:starts[i, s + 1]``.
    species
        (N,) index of each atom's element, on the host.
    """

    cutoff: float
    second: Tensor
    padded: Tensor
    starts: Tensor
    species: IntArray

    def __len__(self) -> int:
        """Give the number of pairs, each counted from both sides."""
        return len(self.second)

    @property
    def vectors(self) -> Tensor:
        """(P, 3) from the central atom to the neighbour, in Å."""
        return self.padded[:-1]

    @property
    def first(self) -> Tensor:
        """(P,) the central atom of each pair."""
        counts = self.starts[:, -1] - self.starts[:, 0]
        return torch.repeat_interleave(counts, output_size=len(self))

    @cached_property
    def counts(self) -> IntArray:
        """(N, E) neighbours of each element around each atom, on the host."""
        counts: IntArray = np.diff(self.starts.cpu().numpy(), axis=1)
        return counts


def to_device(pairs: Pairs, device: torch.device) -> DevicePairs:
    """Move a neighbour list made on the host."""
    padded = np.concatenate([pairs.vectors, np.zeros((1, 3))])
    return DevicePairs(
        cutoff=pairs.cutoff,
        second=torch.from_numpy(pairs.second).to(device),
        padded=torch.from_numpy(padded).to(device),
        starts=torch.from_numpy(pairs.starts).to(device),
        species=pairs.species,
    )


def find_device_pairs(
    batch: Batch, cutoff: float, numbers: tuple[int, ...], device: torch.device
) -> DevicePairs:
    """List all pairs closer than the cutoff, as :func:`aga.potential.neighbours.find_pairs` does.

    Every image of every pair within reach is looked at, which for the cells of a structure
    search is quick on a device; where they would be too many (thousands of atoms in one cell)
    the list of the host is taken.

    Raises
    ------
    aga.errors.StructureError
        As :func:`aga.potential.neighbours.find_pairs`.
    """
    species = species_of(batch, numbers)
    # Fractional differences are wrapped to within ½, so this many images suffice on each side.
    reach = np.floor(image_ranges(batch, cutoff) + 0.5 + 1e-9).astype(np.int64)
    images = (2 * reach + 1).prod(axis=1)
    if (batch.counts**2 * images).sum() > MAX_CANDIDATES:
        return to_device(find_pairs(batch, cutoff, numbers), device)
    grid = _Grid.make(batch, species, reach, images, device)
    first, second, vectors = _near(grid, cutoff)
    r = torch.linalg.vector_norm(vectors, dim=1)
    if len(r) and float(r.min()) < MIN_DISTANCE:
        where = int(batch.owners[int(first[r.argmin()])])
        refuse(batch, where, f"two atoms stand on one point ({float(r.min()):.1e} Å apart)")
    elements, atoms = len(numbers), len(species)
    rows = first * elements + grid.species[second]
    ends = torch.cumsum(torch.bincount(rows, minlength=atoms * elements), dim=0)
    starts = torch.zeros(atoms, elements + 1, dtype=torch.int64, device=device)
    starts[:, 1:] = ends.reshape(atoms, elements)
    starts[1:, 0] = starts[:-1, -1]
    return DevicePairs(
        cutoff=float(cutoff),
        second=second,
        padded=torch.cat([vectors, vectors.new_zeros(1, 3)]),
        starts=starts,
        species=species,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grid:
    """Pairs of atoms of one structure (L of them) and lattice translations, on the device."""

    species: Tensor
    first: Tensor
    """(L,) central atom; rising."""
    second: Tensor
    """(L,) the other atom, by element within one central atom; may be the same."""
    gaps: Tensor
    """(L, 3) vector to its nearest image along the lattice vectors."""
    images: Tensor
    """(L,) number of translations to look at."""
    begins: Tensor
    """(L,) the first of them."""
    translations: Tensor
    """(I, 3) translations of all structures; the middle one of each is zero."""
    total: int
    """Images to look at, Σ ``images``."""

    @classmethod
    def make(
        cls,
        batch: Batch,
        species: IntArray,
        reach: IntArray,
        images: IntArray,
        device: torch.device,
    ) -> _Grid:
        counts, owners = batch.counts, batch.owners
        order = np.lexsort((species, owners))
        others = counts[owners]
        first = np.repeat(np.arange(len(owners)), others)
        within = np.arange(len(first)) - np.repeat(np.cumsum(others) - others, others)
        second = order[batch.offsets[owners[first]] + within]
        gaps = batch.positions[second] - batch.positions[first]
        cells = batch.cells[owners[first]]
        fractions = np.einsum("la,lab->lb", gaps, np.linalg.inv(batch.cells)[owners[first]])
        gaps -= np.einsum("la,lab->lb", np.round(fractions), cells)
        begins = np.cumsum(images) - images
        shifts = np.concatenate([_shifts(r) for r in reach] or [np.zeros((0, 3))])
        translations = np.einsum("ia,iab->ib", shifts, np.repeat(batch.cells, images, axis=0))
        arrays = (species, first, second, gaps, images[owners[first]], begins[owners[first]])
        moved = [torch.from_numpy(a).to(device) for a in (*arrays, translations)]
        return cls(
            species=moved[0],
            first=moved[1],
            second=moved[2],
            gaps=moved[3],
            images=moved[4],
            begins=moved[5],
            translations=moved[6],
            total=int(images[owners[first]].sum()),
        )


def _shifts(reach: IntArray) -> FloatArray:
    a, b, c = (np.arange(-n, n + 1) for n in reach)
    return np.stack(np.meshgrid(a, b, c, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float64)


def _near(grid: _Grid, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """Give central atom, neighbour and vector of every image within the cutoff."""
    pair = torch.repeat_interleave(grid.images, output_size=grid.total)
    ends = torch.cumsum(grid.images, dim=0)
    image = torch.arange(len(pair), device=pair.device) - (ends - grid.images)[pair]
    own = (grid.first == grid.second)[pair] & (2 * image + 1 == grid.images[pair])
    vectors = grid.gaps[pair] + grid.translations[grid.begins[pair] + image]
    near = (torch.linalg.vector_norm(vectors, dim=1) < cutoff) & ~own
    chosen = near.nonzero().squeeze(1)
    kept = pair[chosen]
    return grid.first[kept], grid.second[kept], vectors[chosen]
