"""Few rows in place of many: H with about the same HᵀH, by a Cholesky factor with pivots.

Of some hundred residuals of like structures most say what others have said. The factor of the
gram matrix HHᵀ that takes the largest remaining row next, and ends where none is left above a
tolerance (H. Harbrecht, M. Peters, R. Schneider, Applied Numerical Mathematics 62, 428, 2012),
tells which rows do not, and what all the others are in these. The same serves a matrix that is
there already.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aga.potential.jit import vectorised
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["compressed", "condensed"]

STRIP = 256
"""Rows of the gram matrix that are multiplied at a time; only what is below the diagonal."""


def compressed(rows: Tensor, tolerance: float) -> Tensor:
    """Give rows F (r, P), r ≤ R, with FᵀF ≈ HᵀH; float64.

    Parameters
    ----------
    rows
        H (R, P), finite.
    tolerance
        Squared length below which what is left of a row counts as nothing.
    """
    # the errors of single precision are below what is left out, and half the time is in this
    gram = _gram(rows.float()).double().numpy()
    factor, order = _pivoted(gram, tolerance, len(gram))
    first, lower = torch.from_numpy(order), torch.from_numpy(factor)
    if not len(first):
        return torch.zeros(0, rows.shape[1], dtype=torch.float64)
    # H = A B with B = L⁻¹ (rows taken), about orthonormal, and A = QR: HᵀH = (RB)ᵀ(RB)
    basis = torch.linalg.solve_triangular(lower[first], rows[first].double(), upper=False)
    triangle: Tensor = torch.linalg.qr(lower, mode="r").R
    few: Tensor = triangle @ basis
    return few


def condensed(matrix: Tensor, tolerance: float, most: int) -> Tensor | None:
    """Give rows F (r, P) with FᵀF ≈ G; None where ``most`` of them do not suffice.

    Parameters
    ----------
    matrix
        G (P, P), positive semi-definite, float64.
    tolerance
        Diagonal of what is left that counts as nothing.
    """
    factor, order = _pivoted(matrix.numpy(), tolerance, most)
    return None if len(order) == most else torch.from_numpy(factor).T.contiguous()


def _gram(rows: Tensor) -> Tensor:
    """Give HHᵀ, lower triangle alone, in the precision of the rows."""
    gram = torch.zeros(len(rows), len(rows), dtype=rows.dtype)
    for begin in range(0, len(rows), STRIP):
        end = min(begin + STRIP, len(rows))
        torch.mm(rows[begin:end], rows[:end].T, out=gram[begin:end, :end])
    return gram


def _pivoted(gram: FloatArray, tolerance: float, most: int) -> tuple[FloatArray, IntArray]:
    """Factorise a positive semi-definite matrix, largest remaining diagonal first.

    Parameters
    ----------
    gram
        G (R, R), of which the lower triangle is read.
    tolerance
        Remaining diagonal at which it ends.
    most
        Columns at which it ends at the latest.

    Returns
    -------
    factor, order
        A (R, r) with G ≈ A Aᵀ, in the order of the rows of G; and which (r,) of them were taken
        one after the other: in that order A is lower triangular.
    """
    factor, order = np.zeros((len(gram), most)), np.zeros(most, dtype=np.int64)
    rank = int(_factorise(gram, tolerance, factor, order))
    return factor[:, :rank], order[:rank]


@vectorised
def _factorise(gram: FloatArray, tolerance: float, factor: FloatArray, order: IntArray) -> int:
    count, most = factor.shape
    left = np.empty(count)
    for i in range(count):
        left[i] = gram[i, i]
    for k in range(most):
        p = int(np.argmax(left))
        if not left[p] > tolerance:  # nor for a NaN
            return k
        order[k], root = p, np.sqrt(left[p])
        mine = factor[p, :k]
        for i in range(count):
            if left[i] < 0.0:  # taken, or gone by rounding
                continue
            theirs, total = factor[i, :k], 0.0
            for j in range(k):
                total += theirs[j] * mine[j]
            known = gram[i, p] if i > p else gram[p, i]
            factor[i, k] = (known - total) / root
            left[i] -= factor[i, k] ** 2
        factor[p, k], left[p] = root, -1.0
    return int(most)
