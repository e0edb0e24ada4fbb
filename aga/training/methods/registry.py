"""The methods by the names they have in settings."""

from __future__ import annotations

from collections.abc import Callable

from aga.config.training import TrainingSettings
from aga.training.methods.base import Method
from aga.training.methods.first_order import OPTIMIZERS, FirstOrder
from aga.training.methods.quasi_newton import LBFGS, Newton

__all__ = ["make_method"]

_SECOND: dict[str, Callable[..., Method]] = {"newton": Newton, "lbfgs": LBFGS}


def make_method(name: str, settings: TrainingSettings) -> Method:
    """Give the method of a name with the parameters of the settings.

    Raises
    ------
    aga.errors.InputError
        A parameter that the method doesn't have, or a value that it refuses.
    """
    options = settings.optimizer_options
    if name in OPTIMIZERS:
        return FirstOrder(name, options, settings.learning_rate, settings.batch_size)
    return _SECOND[name](options)
