"""Angular functions that need the loop over triplets, on a device: narrow, or ζ not for moments.

Only triplets that count are listed (each once; for narrow functions R_jk below the cutoff). With
X_c = g_c(R_ij) g_c(R_ik) [g_c(R_jk)] of each channel and Y_l = 2^{1−ζ} (1 + λ cos θ)^ζ of each
angular part, all functions of a group are one matrix product over the triplets of an atom, and
so are the adjoints. What comes back to a triplet is spread over the matrix of its two neighbours
and summed there: every entry is written once, so no atomic additions are needed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from aga.potential.device.shells import Shell, gaussians
from aga.potential.device.tables import ClassTables, TripletGroup

__all__ = ["Triplets", "list_triplets", "pull_triplets", "triplet_values"]


class Triplets(NamedTuple):
    """Triplets of n atoms for one group, at most T of each; U and V places of the neighbours."""

    cosine: Tensor
    """(n, U, V) cos θ of every two neighbours."""
    place: Tensor
    """(n, T) place in the matrix of neighbours; U·V where there is none."""
    X: Tensor
    """(n, C, T); 0 where there is none."""
    slopes: tuple[Tensor, ...]
    """(n, C, T) derivative of X with respect to R_ij, R_ik and, if narrow, R_jk."""
    Y: Tensor
    """(n, L, T)."""
    turn: Tensor
    """(n, L, T) derivative with respect to cos θ."""
    third: Tensor | None
    """(n, T) R_jk, if narrow."""


def list_triplets(tables: ClassTables, group: TripletGroup, shell: Shell) -> Triplets | None:
    """List a group's triplets with their channels and angular parts; None where there is none."""
    s, t = group.elements
    cosine = shell.unit[:, s].transpose(1, 2) @ shell.unit[:, t]
    place = _places(tables, group, shell, cosine)
    if place.shape[1] == 0:
        return None
    V = cosine.shape[2]
    live = place < cosine[0].numel()
    known = torch.where(live, place, 0)
    j, k = known // V, known % V
    cos = cosine.flatten(1).gather(1, known)
    gj, dj = _at(shell.basis, group, s, j), _at(shell.slope, group, s, j)
    gk, dk = _at(shell.basis, group, t, k), _at(shell.slope, group, t, k)
    gj, dj = gj * live.unsqueeze(1), dj * live.unsqueeze(1)
    Y, turn = _angles(group, cos)
    if not group.narrow:
        return Triplets(cosine, place, gj * gk, (dj * gk, gj * dk), Y, turn, None)
    vectors = [
        (shell.unit[:, e] * shell.r[:, e].unsqueeze(1)).gather(2, _along(side, 3))
        for e, side in ((s, j), (t, k))
    ]
    third = torch.linalg.vector_norm(vectors[0] - vectors[1], dim=1)
    third = torch.where(live, third, tables.cutoff)
    g, d = gaussians(tables, group.parameters, third.unsqueeze(1))
    slopes = (dj * gk * g, gj * dk * g, gj * gk * d)
    return Triplets(cosine, place, gj * gk * g, slopes, Y, turn, third)


def _along(place: Tensor, rows: int) -> Tensor:
    return place.unsqueeze(1).expand(-1, rows, -1)


def _at(values: Tensor, group: TripletGroup, element: int, place: Tensor) -> Tensor:
    """Give the group's channels (n, C, T) of the neighbours at some places."""
    return values[:, element, group.channels].gather(2, _along(place, len(group.channels)))


def _angles(group: TripletGroup, cos: Tensor) -> tuple[Tensor, Tensor]:
    """Give 2^{1−ζ} (1 + λ cos θ)^ζ and its derivative, (n, L, T)."""
    base = (1.0 + group.lambda_ * cos.unsqueeze(1)).clamp(min=0.0)  # rounding may pass −1
    Y, dY = torch.empty_like(base), torch.empty_like(base)
    for place, zeta in enumerate(group.zeta):
        part = base[:, place]
        power = 2.0 ** (1.0 - zeta) * part ** (zeta - 1.0)
        Y[:, place] = power * part
        dY[:, place] = zeta * group.lambda_[place] * power
    return Y, dY


def _places(tables: ClassTables, group: TripletGroup, shell: Shell, cosine: Tensor) -> Tensor:
    """List the triplets that count: (n, T) places in the (U, V) matrix, by rising place."""
    s, t = group.elements
    rs, rt = shell.r[:, s].unsqueeze(2), shell.r[:, t].unsqueeze(1)
    counts = (rs < tables.cutoff) & (rt < tables.cutoff)
    if group.narrow:  # a hair more than needed: the cutoff function decides, not the rounding
        square = rs * rs + rt * rt - 2.0 * rs * rt * cosine
        counts = counts & (square < 1.0001 * tables.cutoff**2)
    if s == t:
        counts = counts.triu(1)
    flat = counts.flatten(1)
    numbers = flat.sum(1)
    atom, place = flat.nonzero(as_tuple=True)
    ends = torch.cumsum(numbers, dim=0)
    rank = torch.arange(len(atom), device=atom.device) - (ends - numbers)[atom]
    most = int(numbers.max()) if len(numbers) else 0
    places = torch.full((len(flat), most), flat.shape[1], device=atom.device)
    places[atom, rank] = place
    return places


def triplet_values(found: Triplets) -> Tensor:
    """Give the raw values (n, C·L), float64."""
    return (found.X @ found.Y.transpose(1, 2)).flatten(1).double()


def pull_triplets(
    group: TripletGroup, found: Triplets, shell: Shell, raw: Tensor, out: Tensor
) -> None:
    """Add the adjoint of the vectors to the neighbours to ``out`` (n, E, 3, W).

    ``raw`` (n, C·L) is the adjoint of the raw values.
    """
    s, t = group.elements
    g = raw.to(found.X.dtype).reshape(len(raw), found.X.shape[1], -1)
    dX = g @ found.Y
    dcos = ((g.transpose(1, 2) @ found.X) * found.turn).sum(1)
    dr = [(dX * slope).sum(1) for slope in found.slopes]
    us, ut = shell.unit[:, s], shell.unit[:, t]
    rs, rt = shell.r[:, s].unsqueeze(1), shell.r[:, t].unsqueeze(1)
    C = _spread(found, dcos)
    turn = C * found.cosine
    fs = us * _spread(found, dr[0]).sum(2).unsqueeze(1)
    fs = fs + (ut @ C.transpose(1, 2) - us * turn.sum(2).unsqueeze(1)) / rs
    ft = ut * _spread(found, dr[1]).sum(1).unsqueeze(1)
    ft = ft + (us @ C - ut * turn.sum(1).unsqueeze(1)) / rt
    if found.third is not None:
        D = _spread(found, dr[2] / found.third)
        vs, vt = us * rs, ut * rt
        fs = fs + vs * D.sum(2).unsqueeze(1) - vt @ D.transpose(1, 2)
        ft = ft + vt * D.sum(1).unsqueeze(1) - vs @ D
    out[:, s] += fs
    out[:, t] += ft


def _spread(found: Triplets, values: Tensor) -> Tensor:
    """Write values of the triplets into the matrix of neighbours (n, U, V)."""
    n, U, V = found.cosine.shape
    matrix = values.new_zeros(n, U * V + 1)
    matrix.scatter_(1, found.place, values)  # idle ones all fall on the last place
    return matrix[:, :-1].reshape(n, U, V)
