"""Coordinates in which a quadratic is round, from the matrix and from its few rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aga.training.curvature import Block
from aga.training.methods import whitening
from aga.training.methods.quasi_newton import minimise
from aga.training.methods.whitening import Whitening

RIDGE, DAMPING = 1e-4, 1e-3


def rows(few: int, parameters: int = 60) -> Tensor:
    generator = torch.Generator().manual_seed(few)
    spread = torch.logspace(0, -4, few, dtype=torch.float64)[:, None]
    return spread * torch.randn(few, parameters, dtype=torch.float64, generator=generator)


def regular(block: Block) -> Tensor:
    dense = block.dense()
    shift = RIDGE + DAMPING * float(dense.diagonal().mean())
    return dense + shift * torch.eye(len(dense), dtype=torch.float64)


def matrix_of(white: Whitening, size: int) -> Tensor:
    return torch.stack([white.back(one) for one in torch.eye(size, dtype=torch.float64)], dim=1)


@pytest.mark.parametrize("kind", ["matrix", "rows"])
def test_the_curvature_is_one_in_the_new_coordinates(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whitening, "NEGLIGIBLE", 0.0)
    few = Block(rows=rows(20))
    block = few if kind == "rows" else Block(matrix=few.dense())
    white = Whitening.of([block], RIDGE, DAMPING)
    root = matrix_of(white, 60)
    round_ = root.T @ regular(few) @ root
    torch.testing.assert_close(round_, torch.eye(60, dtype=torch.float64), rtol=0, atol=1e-7)
    gradient = torch.linspace(-1, 1, 60, dtype=torch.float64)
    torch.testing.assert_close(white.pull(gradient), root.T @ gradient)


def test_what_is_left_out_as_negligible_changes_little() -> None:
    block = Block(rows=rows(20))
    root = matrix_of(Whitening.of([block], RIDGE, DAMPING), 60)
    values = torch.linalg.eigvalsh(root.T @ regular(block) @ root)
    assert float((values - 1).abs().max()) < 5e-3


@pytest.mark.parametrize("kind", ["matrix", "rows"])
def test_many_rows_that_say_the_same_become_few(kind: str) -> None:
    generator = torch.Generator().manual_seed(1)
    mixed = torch.randn(200, 10, dtype=torch.float64, generator=generator) @ rows(10)
    block = Block(rows=mixed) if kind == "rows" else Block(matrix=mixed.T @ mixed)
    white = Whitening.of([block], RIDGE, DAMPING)
    assert len(white.roots[0].rows) <= 10
    root = matrix_of(white, 60)
    inverse = torch.linalg.inv(regular(block))
    assert float((root @ root.T - inverse).norm() / inverse.norm()) < 5e-2
    values = torch.linalg.eigvalsh(root.T @ regular(block) @ root)
    assert 0.7 < float(values.min()) < float(values.max()) < 1.4


def test_a_matrix_of_many_directions_keeps_its_triangle() -> None:
    full = torch.diag(torch.linspace(1.0, 2.0, 60, dtype=torch.float64))
    white = Whitening.of([Block(matrix=full)], RIDGE, DAMPING)
    root = matrix_of(white, 60)
    torch.testing.assert_close(root, torch.triu(root))
    torch.testing.assert_close(root @ root.T, torch.linalg.inv(regular(Block(matrix=full))))


@pytest.mark.parametrize("kind", ["matrix", "rows"])
def test_a_steep_valley_is_crossed_in_a_few_passes(kind: str) -> None:
    few = Block(rows=rows(20))
    block = few if kind == "rows" else Block(matrix=few.dense())
    valley, target = regular(few), torch.linspace(0.1, 1.3, 60, dtype=torch.float64)

    def left(white: Whitening) -> float:
        def slope(phi: Tensor) -> tuple[float, Tensor]:
            theta = white.back(phi) - target
            return float(0.5 * theta @ valley @ theta), white.pull(valley @ theta)

        start = torch.zeros(60, dtype=torch.float64)
        return slope(minimise(start, slope, 6, 50))[0] / slope(start)[0]

    plain = Whitening.of([Block(matrix=torch.zeros(60, 60, dtype=torch.float64))], 1.0, 0.0)
    assert left(Whitening.of([block], RIDGE, DAMPING)) < 1e-6
    assert left(plain) > 1e-4


def test_blocks_of_several_networks_and_of_nothing() -> None:
    blocks = [Block(rows=rows(5, 30)), Block(matrix=torch.zeros(10, 10, dtype=torch.float64))]
    white = Whitening.of(blocks, RIDGE, DAMPING)
    found = white.back(torch.ones(40, dtype=torch.float64))
    assert found.shape == (40,)
    assert torch.isfinite(found).all()
