"""One member of a committee, and the bytes it is stored as.

The bytes are a safetensors file (https://github.com/huggingface/safetensors): float64 arrays by
name, and one JSON text in its ``__metadata__`` with the schema version, a SHA-256 of the content
and everything that isn't an array.  No code is stored and none is run on reading; equal models
give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_args

import numpy as np
import torch
from ase.data import chemical_symbols
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aga.errors import AgaError, ModelError
from aga.potential.functions import FunctionSet
from aga.potential.guard import Repulsion
from aga.potential.network import Activation, Weights, shapes
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["SCHEMA", "Model"]

SCHEMA = 2
"""Version of the stored form; readers refuse a newer one."""

_KEY = "aga"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A trained high-dimensional neural network potential.

    E = Σ_i [e_Z + s·NN_Z((G_i − mean_Z) / scale_Z)] + repulsion, with Z the element of atom i
    (Behler and Parrinello, Phys. Rev. Lett. 98, 146401, 2007).

    Parameters
    ----------
    functions
        Symmetry functions; their elements, in order, are the elements of the arrays below.
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

    functions: FunctionSet
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
        for name, array in self.arrays().items():
            if not np.isfinite(array).all():
                raise ModelError(f"the model's {name} is not finite", array=name)
        wanted: dict[str, tuple[int, ...]] = {
            "mean": (elements, size),
            "scale": (elements, size),
            "reference_energies": (elements,),
        }
        for symbol in self.functions.elements:
            for number, (n_in, n_out) in enumerate(shapes(size, self.hidden)):
                wanted[f"{symbol}.{number}.matrix"] = (n_in, n_out)
                wanted[f"{symbol}.{number}.bias"] = (n_out,)
        found = {name: array.shape for name, array in self.arrays().items()}
        if found != wanted:
            raise ModelError("the model's arrays do not fit its functions and layers")
        if not (
            self.energy_scale > 0 and np.isfinite(self.energy_scale) and (self.scale > 0).all()
        ):
            raise ModelError("the model's scales must be above 0")

    def arrays(self) -> dict[str, FloatArray]:
        """Give every array by the name it is stored under; matrices are (n_in, n_out)."""
        arrays = {
            "mean": self.mean,
            "scale": self.scale,
            "reference_energies": self.reference_energies,
        }
        for symbol, layers in self.weights.items():
            for number, (matrix, bias) in enumerate(layers):
                arrays[f"{symbol}.{number}.matrix"] = matrix[0].numpy()
                arrays[f"{symbol}.{number}.bias"] = bias[0].numpy()
        return arrays

    def check_numbers(self, numbers: IntArray, name: str) -> None:
        """Refuse a structure with an element that has no network.

        Raises
        ------
        aga.errors.ModelError
            Names the structure and the element.
        """
        for number in sorted(set(numbers.tolist()) - set(self.functions.numbers)):
            symbol = chemical_symbols[number]
            known = ", ".join(self.functions.elements)
            raise ModelError(
                f"{name}: the potential has no network for {symbol}, only for {known}",
                remedy=f"train a potential on structures with {symbol}",
                structure=name,
                element=symbol,
            )

    def to_bytes(self) -> bytes:
        """Give the model as a safetensors file; equal models give equal bytes."""
        arrays = {
            name: np.ascontiguousarray(a, dtype=np.float64) for name, a in self.arrays().items()
        }
        content = {
            "functions": self.functions.to_dict(),
            "hidden": list(self.hidden),
            "activation": self.activation,
            "energy_scale": self.energy_scale,
            "repulsion": None if self.repulsion is None else self.repulsion.to_dict(),
            "facts": self.facts,
        }
        header = {"schema": SCHEMA, "sha256": _checksum(arrays, content), "content": content}
        # One metadata entry only: safetensors stores several in no particular order.
        return bytes(save(arrays, metadata={_KEY: _json(header)}))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read :meth:`to_bytes`; every bit of every number comes back.

        Raises
        ------
        aga.errors.ModelError
            Not such a file, truncated, changed since it was written, written by a newer
            version, or without a network for one of its elements.
        """
        header, arrays = _read(data)
        content = header["content"]
        try:
            functions = FunctionSet.from_dict(content["functions"])
            hidden = tuple(int(n) for n in content["hidden"])
            return cls(
                functions=functions,
                hidden=hidden,
                activation=content["activation"],
                weights=_layers(arrays, functions.elements, len(hidden) + 1),
                mean=arrays["mean"],
                scale=arrays["scale"],
                reference_energies=arrays["reference_energies"],
                energy_scale=float(content["energy_scale"]),
                repulsion=_repulsion(content["repulsion"]),
                facts=content["facts"],
            )
        except ModelError:
            raise
        except (AgaError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"the model file lacks something or holds nonsense: {error}"
            ) from error


def _repulsion(stored: dict[str, Any] | None) -> Repulsion | None:
    return None if stored is None else Repulsion.from_dict(stored)


def _layers(
    arrays: dict[str, FloatArray], elements: tuple[str, ...], count: int
) -> dict[str, Weights]:
    weights = {}
    for symbol in elements:
        names = [f"{symbol}.{number}" for number in range(count)]
        if not all(f"{name}.{part}" in arrays for name in names for part in ("matrix", "bias")):
            raise ModelError(f"the model file has no network for {symbol}", element=symbol)
        weights[symbol] = tuple(
            (_tensor(arrays[f"{name}.matrix"]), _tensor(arrays[f"{name}.bias"])) for name in names
        )
    return weights


def _tensor(array: FloatArray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64)).unsqueeze(0)


def _json(value: Any) -> str:  # noqa: ANN401 - JSON values
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(arrays: dict[str, FloatArray], content: dict[str, Any]) -> str:
    digest = hashlib.sha256(_json(content).encode())
    for name in sorted(arrays):
        digest.update(f"{name}:{arrays[name].shape}:".encode())
        digest.update(arrays[name].astype("<f8").tobytes())
    return digest.hexdigest()


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Take the file apart and verify version and checksum."""
    remedy = "fetch or train the model again"
    try:
        arrays = load(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
        schema, checksum, content = header["schema"], header["sha256"], header["content"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"this is no model file, or a truncated one ({error})", remedy=remedy
        ) from error
    if schema != SCHEMA:
        newer = not isinstance(schema, int) or schema > SCHEMA
        raise ModelError(
            f"the model file has schema {schema}; this version reads {SCHEMA}",
            remedy="upgrade aga" if newer else "train the model again",
            schema=schema,
        )
    if any(array.dtype != np.float64 for array in arrays.values()):
        raise ModelError("the model file holds numbers that are not float64", remedy=remedy)
    if _checksum(arrays, content) != checksum:
        raise ModelError("the model file is damaged: its checksum is wrong", remedy=remedy)
    return header, arrays
