"""One member of a committee with the smooth Deep Potential descriptor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Self, get_args

import numpy as np
import torch

from aga.errors import ModelError
from aga.potential import files
from aga.potential.deep.network import ElementNetworks, fold_input, fold_output
from aga.potential.deep.smooth import DeepSmooth
from aga.potential.guard import Repulsion
from aga.potential.network import Activation, Weights, shapes
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["KIND", "DeepModel", "DeepStandard", "element_networks", "network_names"]

KIND = "deep_smooth"
"""What such a model is called in settings and model files."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeepStandard:
    """How the inputs of the networks are brought to order one, and what their outputs mean.

    ``s_mean`` and ``s_scale`` (E, E) in 1/Å of s(r), by central and neighbour element;
    ``gain`` (E, 2) in Å, of the first and of the other columns of T, and ``offset`` (E, M₁) of
    the first; ``mean`` and ``scale`` (E, D) of the descriptor of each element;
    ``reference_energies`` (E,) eV per atom; ``energy_scale`` eV.
    """

    s_mean: FloatArray
    s_scale: FloatArray
    gain: FloatArray
    offset: FloatArray
    mean: FloatArray
    scale: FloatArray
    reference_energies: FloatArray
    energy_scale: float

    def arrays(self) -> dict[str, FloatArray]:
        """Give every array by name."""
        return {
            "s_mean": self.s_mean,
            "s_scale": self.s_scale,
            "gain": self.gain,
            "offset": self.offset,
            "mean": self.mean,
            "scale": self.scale,
            "reference_energies": self.reference_energies,
        }


def network_names(elements: Sequence[str]) -> list[str]:
    """Give the networks in order: for each centre its embeddings ``Si-O``, its fitting ``Si``."""
    return [
        name for centre in elements for name in [*(f"{centre}-{el}" for el in elements), centre]
    ]


def element_networks(networks: Sequence[Weights], standard: DeepStandard) -> list[ElementNetworks]:
    """Fold the standardisation into networks of one member, given in the order of the names."""
    elements = len(standard.s_mean)
    result = []
    for centre in range(elements):
        mine = networks[centre * (elements + 1) : (centre + 1) * (elements + 1)]
        embedding = tuple(
            fold_input(weights, standard.s_mean[centre, n], standard.s_scale[centre, n])
            for n, weights in enumerate(mine[:-1])
        )
        fitting = fold_input(mine[-1], standard.mean[centre], standard.scale[centre])
        shift = float(standard.reference_energies[centre])
        fitting = fold_output(fitting, standard.energy_scale, shift)
        gain = torch.from_numpy(standard.gain[centre][[0, 1, 1, 1]]).reshape(1, 1, 1, 4)
        offset = torch.zeros(1, 1, standard.offset.shape[1], 4, dtype=torch.float64)
        offset[..., 0] = torch.from_numpy(standard.offset[centre])
        result.append(ElementNetworks(embedding, fitting, gain, offset))
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeepModel:
    """A trained potential with the smooth Deep Potential descriptor.

    E = Σ_i [e_Z + s·NN_Z((D_i − mean_Z) / scale_Z)] + repulsion, with D made by the embedding
    networks (see :mod:`aga.potential.deep.smooth`).

    Parameters
    ----------
    descriptor
        Elements, radii and shape of the descriptor.
    hidden, activation
        Hidden layers of every fitting network; embedding networks are tanh throughout.
    weights
        Networks (M = 1) by the names of :func:`network_names`.
    standard
        Standardisation, reference energies and energy scale.
    repulsion
        What was subtracted in training and is added in prediction, or None.
    facts
        Plain JSON values about the training.

    Raises
    ------
    aga.errors.ModelError
        An element without a network, shapes that do not fit, or a number that isn't finite.
    """

    descriptor: DeepSmooth
    hidden: tuple[int, ...]
    activation: Activation
    weights: Mapping[str, Weights]
    standard: DeepStandard
    repulsion: Repulsion | None
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        elements, size = self.descriptor.elements, self.descriptor.size
        count = len(elements)
        for name in network_names(elements):
            if name not in self.weights:
                raise ModelError(f"the model has no network for {name}", element=name)
        if self.activation not in get_args(Activation):
            raise ModelError(f"the model's activation {self.activation!r} is not known")
        wanted: dict[str, tuple[int, ...]] = {
            "s_mean": (count, count),
            "s_scale": (count, count),
            "gain": (count, 2),
            "offset": (count, self.descriptor.embedding[-1]),
            "mean": (count, size),
            "scale": (count, size),
            "reference_energies": (count,),
        }
        for centre, neighbour in product(elements, repeat=2):
            wanted |= files.layer_shapes(f"{centre}-{neighbour}", self.descriptor.layers)
        for centre in elements:
            wanted |= files.layer_shapes(centre, shapes(size, self.hidden))
        files.check_arrays(self.arrays(), wanted, "descriptor and layers")
        standard = self.standard
        scales = (standard.s_scale, standard.gain, standard.scale)
        positive = all((scale > 0).all() for scale in scales)
        if not (0 < standard.energy_scale < np.inf and positive):
            raise ModelError("the model's scales must be above 0")

    @property
    def networks(self) -> list[Weights]:
        """The networks in the order of their names."""
        return [self.weights[name] for name in network_names(self.descriptor.elements)]

    @property
    def traits(self) -> tuple[object, ...]:
        """What must be the same for all members of a committee."""
        return self.descriptor, self.hidden, self.activation, self.repulsion

    def arrays(self) -> dict[str, FloatArray]:
        """Give every array by the name it is stored under; matrices are (n_in, n_out)."""
        arrays = self.standard.arrays()
        for name, weights in self.weights.items():
            arrays |= files.layer_arrays(name, weights)
        return arrays

    def check_numbers(self, numbers: IntArray, name: str) -> None:
        """Refuse a structure with an element that has no network.

        Raises
        ------
        aga.errors.ModelError
            Names the structure and the element.
        """
        files.check_numbers(self.descriptor.elements, numbers, name)

    def to_bytes(self) -> bytes:
        """Give the model as a safetensors file; equal models give equal bytes."""
        content = {
            "kind": KIND,
            "descriptor": self.descriptor.to_dict(),
            "hidden": list(self.hidden),
            "activation": self.activation,
            "energy_scale": self.standard.energy_scale,
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
            version, of another kind, or without one of its networks.
        """
        return cls.from_content(*files.read_model(data))

    @classmethod
    def from_content(cls, content: dict[str, Any], arrays: Mapping[str, FloatArray]) -> Self:
        """Build the model from the parts of its file; errors as of :meth:`from_bytes`."""
        with files.reading():
            build = files.choose({KIND: DeepSmooth.from_dict}, content["kind"])
            descriptor = build(content["descriptor"])
            hidden = tuple(int(n) for n in content["hidden"])
            counts = {True: len(descriptor.layers), False: len(hidden) + 1}
            return cls(
                descriptor=descriptor,
                hidden=hidden,
                activation=content["activation"],
                weights={
                    name: files.layers(arrays, name, counts["-" in name])
                    for name in network_names(descriptor.elements)
                },
                standard=DeepStandard(
                    s_mean=arrays["s_mean"],
                    s_scale=arrays["s_scale"],
                    gain=arrays["gain"],
                    offset=arrays["offset"],
                    mean=arrays["mean"],
                    scale=arrays["scale"],
                    reference_energies=arrays["reference_energies"],
                    energy_scale=float(content["energy_scale"]),
                ),
                repulsion=files.repulsion_from(content["repulsion"]),
                facts=content["facts"],
            )
