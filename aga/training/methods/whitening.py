"""Coordinates in which the loss is about round: W with WᵀGW = 1 for a regularised curvature G."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from aga.training.curvature import Block

__all__ = ["Whitening"]

MOST_DAMPING = 1e30


class _Root(Protocol):
    """W of one block."""

    @property
    def size(self) -> int:
        """Number of parameters."""
        ...

    def back(self, phi: Tensor) -> Tensor:
        """Give W φ."""
        ...

    def pull(self, gradient: Tensor) -> Tensor:
        """Give Wᵀ g."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """W of all blocks: θ = θ₀ + W φ."""

    roots: tuple[_Root, ...]

    @classmethod
    def of(cls, blocks: list[Block], ridge: float, damping: float) -> Self:
        """Factorise; ``ridge`` is added to the diagonal, and ``damping`` times its mean."""
        return cls(tuple(_root(block, ridge, damping) for block in blocks))

    def back(self, phi: Tensor) -> Tensor:
        """Give W φ."""
        parts = torch.split(phi, [root.size for root in self.roots])
        return torch.cat([root.back(part) for root, part in zip(self.roots, parts, strict=True)])

    def pull(self, gradient: Tensor) -> Tensor:
        """Give Wᵀ g, the gradient by φ."""
        parts = torch.split(gradient, [root.size for root in self.roots])
        return torch.cat([root.pull(part) for root, part in zip(self.roots, parts, strict=True)])


def _root(block: Block, ridge: float, damping: float) -> _Root:
    if block.rows is not None:
        low = _LowRank.of(block.rows, ridge, damping)
        if low is not None:
            return low
    return _Triangular.of(block.dense(), ridge, damping)


@dataclass(frozen=True, slots=True, eq=False)
class _Triangular:
    """W = L⁻ᵀ with the Cholesky factor L of the block."""

    factor: Tensor

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.factor)

    @classmethod
    def of(cls, block: Tensor, ridge: float, damping: float) -> Self:
        """Factorise; more is added where rounding has left a block without a factor."""
        mean = float(block.diagonal().mean())
        extra = damping * (mean if mean > 0 else 1.0)
        while extra < MOST_DAMPING:
            regular = block.clone()
            regular.diagonal().add_(ridge + extra)
            factor, failed = torch.linalg.cholesky_ex(regular)
            if not int(failed) and bool(torch.isfinite(factor).all()):
                return cls(factor)
            extra *= 100.0
        return cls(torch.eye(len(block), dtype=block.dtype))

    def back(self, phi: Tensor) -> Tensor:
        """Give L⁻ᵀ φ."""
        return _solved(self.factor.T, phi, upper=True)

    def pull(self, gradient: Tensor) -> Tensor:
        """Give L⁻¹ g."""
        return _solved(self.factor, gradient, upper=False)


def _solved(factor: Tensor, right: Tensor, *, upper: bool) -> Tensor:
    solved: Tensor = torch.linalg.solve_triangular(factor, right.unsqueeze(1), upper=upper)
    return solved[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class _LowRank:
    """W = λ^−½ (1 + V diag(c) Vᵀ) for G = λ + V diag(s²) Vᵀ, with c = (1 + s²/λ)^−½ − 1.

    The symmetric root differs from the triangular one by a rotation, to which L-BFGS is blind,
    and costs O(RP) instead of O(P²) for R rows.
    """

    axes: Tensor
    """V, (P, r)."""
    stretch: Tensor
    """c, (r,)."""
    scale: float
    """λ^−½."""

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.axes)

    @classmethod
    def of(cls, rows: Tensor, ridge: float, damping: float) -> Self | None:
        """Take H (R, P) of G = HᵀH + λ; None where that is no positive matrix."""
        gram = rows @ rows.T
        mean = float(gram.diagonal().sum()) / rows.shape[1]
        shift = ridge + damping * (mean if mean > 0 else 1.0)
        if not 0 < shift < MOST_DAMPING:
            return None
        values, vectors = torch.linalg.eigh(gram)
        counts = values > NEGLIGIBLE * shift
        values, vectors = values[counts], vectors[:, counts]
        axes = rows.T @ (vectors / values.sqrt())
        return cls(axes, (1.0 + values / shift).rsqrt() - 1.0, shift**-0.5)

    def _apply(self, vector: Tensor) -> Tensor:
        return self.scale * (vector + self.axes @ (self.stretch * (self.axes.T @ vector)))

    def back(self, phi: Tensor) -> Tensor:
        """Give W φ."""
        return self._apply(phi)

    def pull(self, gradient: Tensor) -> Tensor:
        """Give W g; W is symmetric."""
        return self._apply(gradient)


NEGLIGIBLE = 1e-3
"""Curvatures in λ below which a direction is as round as it needs to be."""
