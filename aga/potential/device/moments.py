"""Wide angular functions from moments of the neighbour density, on a device.

The same mathematics as the kernels on the processor: with w_j = g(R_ij) and the monomials
m_k(u) = x^a y^b z^c of the directions, A_k = Σ_j w_j m_k(u_j) for each element and channel, and
S_p = Σ_k p!/(a!b!c!) A^s_k A^t_k over the monomials of degree p (½(… − Σ_j w_j²) for one element).
The moments are batched matrix products in the dtype of the work per pair; everything after them
is per atom and float64, since the terms alternate in sign for λ = −1.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from aga.potential.device.shells import Shell
from aga.potential.device.tables import Moments

__all__ = ["Density", "density", "moment_values", "pull_moments"]


class Density(NamedTuple):
    """What the derivatives need again; n atoms, E elements, H channels, K monomials."""

    w: Tensor
    """(n, E, H, W)."""
    m: Tensor
    """(n, E, K, W) monomials of the directions."""
    A: Tensor
    """(n, E, H, K) moments, float64."""
    square: Tensor
    """(n, E, H) Σ_j w_j², float64."""


def density(tables: Moments, shell: Shell) -> Density:
    """Expand the neighbours of each element in monomials of their directions."""
    w = shell.basis[:, :, tables.channels]
    m = _monomials(shell.unit, tables.degree, len(tables.weights))
    n, E, H, W = w.shape
    A = torch.bmm(w.reshape(n * E, H, W), m.reshape(n * E, -1, W).transpose(1, 2))
    return Density(w, m, A.reshape(n, E, H, -1).double(), w.square().sum(-1).double())


def _monomials(unit: Tensor, degree: int, size: int) -> Tensor:
    """Give x^a y^b z^c of the directions, degree by degree.

    With a falling first, then b, the monomials of degree p are x times all of degree p − 1,
    y times those without x (the last p of them), and z times the last.
    """
    n, E, _, W = unit.shape
    m = unit.new_empty(n, E, size, W)
    m[:, :, 0] = 1.0
    x, y, z = (unit[:, :, axis : axis + 1] for axis in range(3))
    a, b = 0, 1
    for p in range(1, degree + 1):
        c = b + p * (p + 1) // 2
        torch.mul(m[:, :, a:b], x, out=m[:, :, b:c])
        torch.mul(m[:, :, b - p : b], y, out=m[:, :, c : c + p])
        torch.mul(m[:, :, b - 1 : b], z, out=m[:, :, c + p : c + p + 1])
        a, b = b, c + p + 1
    return m


def moment_values(tables: Moments, found: Density) -> Tensor:
    """Give the raw values (n, Q·L): all functions of all groups."""
    n, _, _, K = found.A.shape
    A, square = found.A.reshape(n, -1, K), found.square.reshape(n, -1)
    products = A[:, tables.first] * A[:, tables.second] * tables.weights
    S = torch.stack(
        [products[..., a:b].sum(-1) for a, b in _bounds(tables.degree)], dim=-1
    )  # (n, Q, degree + 1)
    S = (1.0 - 0.5 * tables.same) * S
    S = S - 0.5 * tables.same * square[:, tables.first].unsqueeze(-1)
    return torch.einsum("nqp,qpl->nql", S, tables.coefficients).reshape(n, -1)


def _bounds(degree: int) -> list[tuple[int, int]]:
    starts = [p * (p + 1) * (p + 2) // 6 for p in range(degree + 2)]
    return list(pairwise(starts))


def pull_moments(
    tables: Moments, found: Density, shell: Shell, raw: Tensor
) -> tuple[Tensor, Tensor]:
    """Pull the adjoints of the raw values (n, Q·L) back to the pairs.

    Returns
    -------
    tuple of Tensor
        (n, E, 3, W) with respect to the direction, as if its components were independent, and
        (n, E, W) with respect to the distance.
    """
    n, E, H, K = found.A.shape
    dtype = found.w.dtype
    dS = torch.einsum(
        "nql,qpl->nqp", raw.reshape(n, *tables.coefficients.shape[::2]), tables.coefficients
    )
    dS = torch.nn.functional.pad(dS, (0, 0, 0, 1))[:, tables.partner]  # (n, E, E, H, degree + 1)
    bar = (dS[..., tables.degrees] * found.A.unsqueeze(1)).sum(2) * tables.weights
    own = dS.diagonal(dim1=1, dim2=2).sum(2).permute(0, 2, 1)  # (n, E, H)
    up = bar[..., tables.upper] * tables.exponents  # (n, E, H, 3, K')
    m = found.m.reshape(n * E, K, -1)
    low = m[:, : up.shape[-1]]
    dw = torch.bmm(bar.to(dtype).reshape(n * E, H, K), m).reshape(found.w.shape)
    dw = dw - own.to(dtype).unsqueeze(-1) * found.w
    du = torch.bmm(up.to(dtype).reshape(n * E, 3 * H, -1), low).reshape(n, E, H, 3, -1)
    slope = shell.slope[:, :, tables.channels]
    return (du * found.w.unsqueeze(3)).sum(2), (dw * slope).sum(2)
