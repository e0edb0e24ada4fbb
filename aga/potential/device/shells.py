"""Neighbours of many atoms laid out as padded tensors, and the functions of one distance.

A *shell* holds n atoms with E × W places each: the neighbours of one element in a row, rows
filled up with neighbours at the cutoff, which every function ignores. All sums over neighbours
are then batched matrix products, without atomic additions, so equal input gives equal bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from aga.potential.device.pairs import DevicePairs
from aga.potential.device.tables import ClassTables

__all__ = ["Shell", "cut", "gaussians", "make_shell"]


class Shell(NamedTuple):
    """n atoms with their neighbours, in the dtype of the work per pair."""

    atoms: Tensor
    """(n,) places of the atoms in the batch."""
    place: Tensor
    """(n, E, W) the pair at each place; the number of pairs where there is none."""
    unit: Tensor
    """(n, E, 3, W) direction to each neighbour; 0 where there is none."""
    r: Tensor
    """(n, E, W) distance in Å; the cutoff where there is none."""
    basis: Tensor
    """(n, E, F, W) g(r) of each channel."""
    slope: Tensor
    """(n, E, F, W) dg/dr."""


def make_shell(
    tables: ClassTables, pairs: DevicePairs, atoms: Tensor, width: int, dtype: torch.dtype
) -> Shell:
    """Lay out the neighbours of some atoms, at most ``width`` of one element around each."""
    starts = pairs.starts[atoms]
    counts = starts[:, 1:] - starts[:, :-1]
    rank = torch.arange(width, device=atoms.device)
    place = torch.where(
        rank < counts.unsqueeze(-1), starts[:, :-1].unsqueeze(-1) + rank, len(pairs)
    )
    # One vector more than there are pairs: the idle places read it.
    vectors = pairs.padded[place].to(dtype).transpose(-1, -2)
    idle = (place == len(pairs)).unsqueeze(-2)
    r = torch.linalg.vector_norm(vectors, dim=-2, keepdim=True)
    r = torch.where(idle, tables.cutoff, r)
    basis, slope = gaussians(tables, tables.parameters, r)
    return Shell(atoms, place, vectors / r, r.squeeze(-2), basis, slope)


def gaussians(tables: ClassTables, parameters: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Give g(r) = exp(−η (r − R_s)²) f_c(r) and dg/dr.

    Parameters
    ----------
    tables
        For the cutoff function.
    parameters
        (3, …, F, 1) η, R_s and cutoff.
    r
        (…, 1, W) distances.
    """
    eta, shift, cutoff = parameters
    # Most sets have one cutoff: then f_c is computed once for all channels.
    value, fall = cut(tables, r, cutoff) if tables.mixed else cut(tables, r, tables.cutoff)
    away = r - shift
    lean = -eta * away
    g = torch.exp(lean * away)
    return g * value, g * torch.addcmul(fall, lean, value, value=2.0)


def cut(tables: ClassTables, r: Tensor, cutoff: Tensor | float) -> tuple[Tensor, Tensor]:
    """Give f_c(r) and its slope, both exactly 0 from the cutoff on."""
    share = 1.0 / (1.0 - tables.inner)
    y = (1.0 - (r / cutoff - tables.inner) * share).clamp(0.0, 1.0)
    match tables.cutoff_function:  # in y = 1 − x nothing cancels near the cutoff
        case "cosine":
            value = torch.sin(0.5 * math.pi * y).square()
            slope = 0.5 * math.pi * torch.sin(math.pi * y)
        case "tanh3":
            t = torch.tanh(y)
            value, slope = t**3, 3.0 * t * t * (1.0 - t * t)
        case "polynomial3":
            value, slope = y * y * (3.0 - 2.0 * y), 6.0 * y * (1.0 - y)
        case "polynomial5":
            value = y**3 * (10.0 - y * (15.0 - 6.0 * y))
            slope = 30.0 * (y * (1.0 - y)) ** 2
        case "polynomial7":
            value = y**4 * (35.0 - y * (84.0 - y * (70.0 - 20.0 * y)))
            slope = 140.0 * (y * (1.0 - y)) ** 3
    if tables.inner:
        slope = torch.where(y < 1.0, slope, 0.0)
    return value, -slope * (share / cutoff)
