"""The terms of angular functions in plain torch: as the equation reads, and factored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aga.potential.symmetry.functions import Angular

__all__ = ["as_formula", "factored"]


def as_formula(
    cosine: Tensor, distances: Sequence[Tensor], cut: Tensor, functions: Sequence[Angular]
) -> Tensor:
    """Give the terms (T, F) by broadcasting over the parameters, as the equation reads.

    ``cosine`` and ``cut`` (T,) of each triplet; its two or three ``distances`` (T,) in Å.
    """
    eta, shift, zeta, lam = (
        torch.tensor([getattr(f, name) for f in functions], dtype=torch.float64)
        for name in ("eta", "shift", "zeta", "lambda_")
    )
    shifted = bool((shift != 0).any())
    squares = [((r[:, None] - shift) if shifted else r[:, None]).square() for r in distances]
    exponent = squares[0] + squares[1]
    if len(squares) > 2:
        exponent = exponent + squares[2]
    angular = 2.0 ** (1.0 - zeta) * (1.0 + lam * cosine[:, None]) ** zeta
    return angular * torch.exp(-eta * exponent) * cut[:, None]


def factored(
    cosine: Tensor, distances: Sequence[Tensor], cut: Tensor, functions: Sequence[Angular]
) -> Tensor:
    """Give the same terms from as few exponentials and powers as there are distinct ones."""
    exponents: dict[float, Tensor] = {}
    gauss: dict[tuple[float, float], Tensor] = {}
    angular: dict[tuple[float, float], Tensor] = {}
    terms = []
    for f in functions:
        if f.shift not in exponents:
            squares = [((r - f.shift) if f.shift else r).square() for r in distances]
            exponents[f.shift] = torch.stack(squares).sum(0)
        if (f.eta, f.shift) not in gauss:
            gauss[f.eta, f.shift] = torch.exp(-f.eta * exponents[f.shift]) * cut
        if (f.lambda_, f.zeta) not in angular:
            power = _power(1.0 + f.lambda_ * cosine, f.zeta)
            angular[f.lambda_, f.zeta] = 2.0 ** (1.0 - f.zeta) * power
        terms.append(gauss[f.eta, f.shift] * angular[f.lambda_, f.zeta])
    return torch.stack(terms, 1)


def _power(base: Tensor, exponent: float) -> Tensor:
    """Raise to a power, powers of two by squaring."""
    if exponent in {1, 2, 4, 8, 16}:
        while exponent > 1:
            base, exponent = base.square(), exponent / 2
        return base
    return base**exponent
