"""One member of a committee whose descriptor has no trained parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_args

import numpy as np

from aga.errors import ModelError
from aga.potential import files
from aga.potential.descriptors import FUNCTIONS, Functions, kind_of
from aga.potential.guard import Repulsion
from aga.potential.network import Activation, Weights, shapes
from aga.potential.symmetry.functions import FunctionSet
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Model"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A trained high-dimensional neural network potential.

    E = Σ_i [e_Z + s·NN_Z((G_i − mean_Z) / scale_Z)] + repulsion, with Z the element of atom i
    (Behler and Parrinello, Phys. Rev. Lett. 98, 146401, 2007).

    Parameters
    ----------
    functions
        Symmetry functions, or the local frame in their place; their elements, in order, are
        the elements of the arrays below.
    hidden, activation
        Hidden layers of every network.
    weights
        One network (M = 1) per element, by symbol.
    mean, scale
        (E, D) standardisation of the descriptor of each element.
    reference_energies
        (E,) eV per atom.
    energy_scale
        s, in eV.
    repulsion
        What was subtracted in training and is added in prediction, or None.
    facts
        Plain JSON values about the training.

    Raises
    ------
    aga.errors.ModelError
        An element without a network, shapes that do not fit, or a number that isn't finite.
    """

    functions: Functions
    hidden: tuple[int, ...]
    activation: Activation
    weights: Mapping[str, Weights]
    mean: FloatArray
    scale: FloatArray
    reference_energies: FloatArray
    energy_scale: float
    repulsion: Repulsion | None
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        elements, size = len(self.functions.elements), self.functions.size
        for symbol in self.functions.elements:
            if symbol not in self.weights:
                raise ModelError(f"the model has no network for {symbol}", element=symbol)
        if self.activation not in get_args(Activation):
            raise ModelError(f"the model's activation {self.activation!r} is not known")
        wanted: dict[str, tuple[int, ...]] = {
            "mean": (elements, size),
            "scale": (elements, size),
            "reference_energies": (elements,),
        }
        for symbol in self.functions.elements:
            wanted |= files.layer_shapes(symbol, shapes(size, self.hidden))
        files.check_arrays(self.arrays(), wanted, "functions and layers")
        if not (
            self.energy_scale > 0 and np.isfinite(self.energy_scale) and (self.scale > 0).all()
        ):
            raise ModelError("the model's scales must be above 0")

    @property
    def symmetry_functions(self) -> FunctionSet:
        """The functions, for code that knows no others.

        Raises
        ------
        aga.errors.ModelError
            The model has another descriptor.
        """
        if isinstance(self.functions, FunctionSet):
            return self.functions
        raise ModelError(
            f"the model's descriptor is {kind_of(self.functions)}; symmetry functions are needed",
            remedy="train with potential.descriptor: symmetry_functions",
        )

    @property
    def traits(self) -> tuple[object, ...]:
        """What must be the same for all members of a committee."""
        return self.functions, self.hidden, self.activation, self.repulsion

    def arrays(self) -> dict[str, FloatArray]:
        """Give every array by the name it is stored under; matrices are (n_in, n_out)."""
        arrays = {
            "mean": self.mean,
            "scale": self.scale,
            "reference_energies": self.reference_energies,
        }
        for symbol, weights in self.weights.items():
            arrays |= files.layer_arrays(symbol, weights)
        return arrays

    def check_numbers(self, numbers: IntArray, name: str) -> None:
        """Refuse a structure with an element that has no network.

        Raises
        ------
        aga.errors.ModelError
            Names the structure and the element.
        """
        files.check_numbers(self.functions.elements, numbers, name)

    def to_bytes(self) -> bytes:
        """Give the model as a safetensors file; equal models give equal bytes."""
        content = {
            "kind": kind_of(self.functions),
            "functions": self.functions.to_dict(),
            "hidden": list(self.hidden),
            "activation": self.activation,
            "energy_scale": self.energy_scale,
            "repulsion": None if self.repulsion is None else self.repulsion.to_dict(),
            "facts": self.facts,
        }
        return files.write_model(content, self.arrays())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read :meth:`to_bytes`; every bit of every number comes back.

        Raises
        ------
        aga.errors.ModelError
            Not such a file, truncated, changed since it was written, written by a newer
            version, of another kind, or without a network for one of its elements.
        """
        return cls.from_content(*files.read_model(data))

    @classmethod
    def from_content(cls, content: dict[str, Any], arrays: Mapping[str, FloatArray]) -> Self:
        """Build the model from the parts of its file; errors as of :meth:`from_bytes`."""
        with files.reading():
            functions = files.choose(FUNCTIONS, content["kind"])(content["functions"])
            hidden = tuple(int(n) for n in content["hidden"])
            return cls(
                functions=functions,
                hidden=hidden,
                activation=content["activation"],
                weights={
                    symbol: files.layers(arrays, symbol, len(hidden) + 1)
                    for symbol in functions.elements
                },
                mean=arrays["mean"],
                scale=arrays["scale"],
                reference_energies=arrays["reference_energies"],
                energy_scale=float(content["energy_scale"]),
                repulsion=files.repulsion_from(content["repulsion"]),
                facts=content["facts"],
            )
