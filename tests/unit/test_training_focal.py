"""Focal weights: their formula, γ = 0, their cap, and that they are no part of the gradient."""

import pytest
import torch

from aga.training.focal import focal_weights, settled_weights


def test_formula() -> None:
    losses = torch.tensor([1.0, 4.0, 7.0], dtype=torch.float64)
    weights = focal_weights(losses, 0.5, 20.0)
    expected = [(3 * x / 12.0) ** 0.5 for x in (1.0, 4.0, 7.0)]
    assert weights.tolist() == pytest.approx(expected, rel=1e-15)


def test_gamma_zero_is_ordinary_training() -> None:
    losses = torch.tensor([0.0, 1e-9, 5.0, 1e9], dtype=torch.float64)
    assert focal_weights(losses, 0.0, 0.5).tolist() == [1.0] * 4


def test_the_cap_holds() -> None:
    losses = torch.tensor([1e-6] * 99 + [1.0], dtype=torch.float64)
    assert focal_weights(losses, 2.0, 20.0).max() == 20.0
    assert focal_weights(losses, 2.0, 1e9).max() == pytest.approx(1e4, rel=1e-2)


def test_no_loss_anywhere_gives_equal_weights() -> None:
    assert focal_weights(torch.zeros(3, dtype=torch.float64), 1.0, 20.0).tolist() == [1.0] * 3


def test_weights_are_constants_in_the_gradient() -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    losses = x**2
    weights = focal_weights(losses, 1.0, 20.0)
    assert not weights.requires_grad
    (weights * losses).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx((weights * 2 * x).tolist())


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 3.0])
def test_weights_of_solved_problems_settle(gamma: float) -> None:
    """The mean of numbers is their weighted fit; with weights loss^γ of its residuals it goes to
    the minimum of Σ|x − m|^(2 + 2γ), instead of swinging."""
    x = torch.tensor([0.0, 0.1, 0.3, 0.35, 2.0], dtype=torch.float64)
    weights, means = torch.ones_like(x), []
    for _ in range(60):
        mean = (weights * x).sum() / weights.sum()
        means.append(float(mean))
        weights = settled_weights(weights, (x - mean) ** 2, gamma, 1e9)
    at = torch.linspace(0, 2, 200_001, dtype=torch.float64)
    lowest = at[((x[:, None] - at) ** 2).pow(1 + gamma).sum(0).argmin()]
    assert means[-1] == pytest.approx(float(lowest), abs=1e-3)
    assert means[-1] == pytest.approx(means[-2], abs=1e-6)


def test_what_was_left_out_takes_the_weight_of_the_formula() -> None:
    losses = torch.tensor([1.0, 3.0], dtype=torch.float64)
    weights = settled_weights(torch.tensor([0.0, 1.0], dtype=torch.float64), losses, 1.0, 20.0)
    assert weights[0] == pytest.approx(0.5)
    assert weights[1] == pytest.approx(1.5 ** (1 / 3))
