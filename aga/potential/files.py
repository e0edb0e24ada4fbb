"""The bytes in which a model of any kind is stored.

A safetensors file (https://github.com/huggingface/safetensors): float64 arrays by name, and one
JSON text in its ``__metadata__`` with the schema version, a SHA-256 of the content and
everything that isn't an array; ``content["kind"]`` says what sort of model it is. No code is
stored and none is run on reading; equal models give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aga.errors import AgaError, ModelError
from aga.potential.guard import Repulsion
from aga.potential.network import Weights
from aga.structure.candidate import FloatArray, IntArray

__all__ = [
    "SCHEMA",
    "check_arrays",
    "check_numbers",
    "choose",
    "layer_arrays",
    "layer_shapes",
    "layers",
    "read_model",
    "reading",
    "repulsion_from",
    "write_model",
]

SCHEMA = 3
"""Version of the stored form; readers refuse a newer one."""

_KEY = "aga"

T = TypeVar("T")


def write_model(content: dict[str, Any], arrays: Mapping[str, FloatArray]) -> bytes:
    """Give the file of a model; equal content and arrays give equal bytes.

    Parameters
    ----------
    content
        Plain JSON values, with ``kind``.
    arrays
        Every number of the model, by name; stored as float64.
    """
    exact = {name: np.ascontiguousarray(a, dtype=np.float64) for name, a in arrays.items()}
    header = {"schema": SCHEMA, "sha256": _checksum(exact, content), "content": content}
    # One metadata entry only: safetensors stores several in no particular order.
    return bytes(save(exact, metadata={_KEY: _json(header)}))


def read_model(data: bytes) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Take a file apart, version and checksum verified: content and arrays.

    Raises
    ------
    aga.errors.ModelError
        Not such a file, truncated, changed since it was written, or of another version.
    """
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
    if not isinstance(content, dict) or _checksum(arrays, content) != checksum:
        raise ModelError("the model file is damaged: its checksum is wrong", remedy=remedy)
    return content, arrays


@contextmanager
def reading() -> Iterator[None]:
    """Turn what goes wrong while a model is built from a file into one error.

    Raises
    ------
    aga.errors.ModelError
        A key is missing or a value makes no sense.
    """
    try:
        yield
    except ModelError:
        raise
    except (AgaError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the model file lacks something or holds nonsense: {error}") from error


def check_arrays(
    arrays: Mapping[str, FloatArray], wanted: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Refuse arrays with other names or shapes than wanted, or numbers that are not finite.

    Raises
    ------
    aga.errors.ModelError
        Names the array, or ``what`` the arrays do not fit.
    """
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ModelError(f"the model's {name} is not finite", array=name)
    if {name: array.shape for name, array in arrays.items()} != dict(wanted):
        raise ModelError(f"the model's arrays do not fit its {what}")


def check_numbers(elements: tuple[str, ...], numbers: IntArray, name: str) -> None:
    """Refuse a structure with an element that has no network.

    Raises
    ------
    aga.errors.ModelError
        Names the structure and the element.
    """
    for number in sorted(set(numbers.tolist()) - {atomic_numbers[el] for el in elements}):
        symbol = chemical_symbols[number]
        raise ModelError(
            f"{name}: the potential has no network for {symbol}, only for {', '.join(elements)}",
            remedy=f"train a potential on structures with {symbol}",
            structure=name,
            element=symbol,
        )


def layer_arrays(name: str, weights: Weights) -> dict[str, FloatArray]:
    """Give the arrays of a network of one member by the names they are stored under."""
    arrays = {}
    for number, (matrix, bias) in enumerate(weights):
        arrays[f"{name}.{number}.matrix"] = matrix[0].numpy()
        arrays[f"{name}.{number}.bias"] = bias[0].numpy()
    return arrays


def layer_shapes(name: str, shapes: Sequence[tuple[int, int]]) -> dict[str, tuple[int, ...]]:
    """Give the shapes of :func:`layer_arrays`; ``shapes`` has (n_in, n_out) of each layer."""
    wanted: dict[str, tuple[int, ...]] = {}
    for number, (n_in, n_out) in enumerate(shapes):
        wanted[f"{name}.{number}.matrix"] = (n_in, n_out)
        wanted[f"{name}.{number}.bias"] = (n_out,)
    return wanted


def layers(arrays: Mapping[str, FloatArray], name: str, count: int) -> Weights:
    """Give a network of one member from its arrays, the inverse of :func:`layer_arrays`.

    Raises
    ------
    aga.errors.ModelError
        There is no such network.
    """
    names = [f"{name}.{number}" for number in range(count)]
    if not all(f"{n}.{part}" in arrays for n in names for part in ("matrix", "bias")):
        raise ModelError(f"the model file has no network for {name}", element=name)
    return tuple((_tensor(arrays[f"{n}.matrix"]), _tensor(arrays[f"{n}.bias"])) for n in names)


def repulsion_from(stored: dict[str, Any] | None) -> Repulsion | None:
    """Rebuild the repulsion of a model, or None."""
    return None if stored is None else Repulsion.from_dict(stored)


def choose(table: Mapping[str, Callable[..., T]], kind: object) -> Callable[..., T]:
    """Give the entry of a registry for a kind named in a file.

    Raises
    ------
    aga.errors.ModelError
        No entry has this name.
    """
    if not isinstance(kind, str) or kind not in table:
        raise ModelError(
            f"the model file holds a model of kind {kind!r}; "
            f"this version knows {', '.join(sorted(table))}",
            remedy="upgrade aga",
        )
    return table[kind]


def _tensor(array: FloatArray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64)).unsqueeze(0)


def _json(value: Any) -> str:  # noqa: ANN401 - JSON values
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(arrays: Mapping[str, FloatArray], content: dict[str, Any]) -> str:
    digest = hashlib.sha256(_json(content).encode())
    for name in sorted(arrays):
        digest.update(f"{name}:{arrays[name].shape}:".encode())
        digest.update(arrays[name].astype("<f8").tobytes())
    return digest.hexdigest()
