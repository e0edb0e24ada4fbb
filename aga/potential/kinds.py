"""The kinds of models there are: what a file holds, and which committee its members form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aga.errors import ModelError
from aga.potential import files
from aga.potential.committee import NetworkCommittee
from aga.potential.deep.committee import DeepCommittee
from aga.potential.deep.model import KIND, DeepModel
from aga.potential.descriptors import FUNCTIONS
from aga.potential.device.choice import Device, Precision, choose_device
from aga.potential.device.committee import SMALL, DeviceCommittee
from aga.potential.model import Model
from aga.potential.symmetry.functions import FunctionSet
from aga.structure.candidate import FloatArray

__all__ = ["AnyCommittee", "AnyModel", "load_model", "make_committee"]

AnyModel = Model | DeepModel
"""A member of a committee; has ``to_bytes``, ``check_numbers``, ``facts`` and ``repulsion``."""

AnyCommittee = NetworkCommittee | DeepCommittee
"""Has ``evaluate``, ``predict``, ``member_energies``, ``models``, ``version`` and a length."""

_KINDS: dict[str, Callable[[dict[str, Any], Mapping[str, FloatArray]], AnyModel]] = {
    **dict.fromkeys(FUNCTIONS, Model.from_content),
    KIND: DeepModel.from_content,
}


def load_model(data: bytes) -> AnyModel:
    """Read a model file of any kind.

    Raises
    ------
    aga.errors.ModelError
        Not such a file, truncated, changed since it was written, written by a newer version,
        of an unknown kind, or without one of its networks.
    """
    content, arrays = files.read_model(data)
    return files.choose(_KINDS, content.get("kind"))(content, arrays)


def make_committee(
    models: Sequence[AnyModel],
    version: str = "",
    *,
    device: Device = "cpu",
    precision: Precision = "float64",
    threads: int = 1,
) -> AnyCommittee:
    """Form a committee of models of one kind.

    Parameters
    ----------
    models
        The members.
    version
        Name of the committee, for provenance.
    device
        Where to compute. Only symmetry functions are computed on a GPU; with ``auto`` other
        models and small batches stay on the processor.
    precision
        Of the work per pair and triplet on a GPU; the processor's is always double.
    threads
        Cores that work on a batch of symmetry functions that is not on a GPU.

    Raises
    ------
    aga.errors.ModelError
        No member, members that do not fit together, or a GPU is wanted for models that cannot
        be computed there.
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    plain = [model for model in models if isinstance(model, Model)]
    deep = [model for model in models if isinstance(model, DeepModel)]
    if plain and deep:
        raise ModelError("the members of a committee must be of one kind")
    chosen = choose_device(device)
    able = bool(plain) and isinstance(plain[0].functions, FunctionSet)
    if chosen.type != "cpu" and able:
        return DeviceCommittee(
            plain,
            version,
            device=chosen,
            precision=precision,
            smallest=SMALL if device == "auto" else 0,
            threads=threads,
        )
    if device == "cuda" and models:
        raise ModelError(
            "only models with symmetry functions can be computed on a GPU",
            remedy="use device auto or cpu",
        )
    if deep:
        return DeepCommittee(deep, version)
    return NetworkCommittee(plain, version, threads=threads)
