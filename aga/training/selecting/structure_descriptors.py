"""Descriptors of whole structures, and how far structures are from each other in their space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.spatial.distance import cdist

from aga.errors import ModelError
from aga.potential.batch import Batch
from aga.potential.descriptors import FixedDescriptor, make_descriptor
from aga.potential.kinds import AnyModel
from aga.potential.model import Model
from aga.structure.candidate import Candidate, FloatArray, IntArray

__all__ = ["farthest_points", "nearest_distances", "novelties", "spacing", "structure_descriptors"]

_CHUNK = 4096
"""Atoms described together, and rows of a table of distances; more would only take memory."""


def structure_descriptors(model: AnyModel, candidates: Sequence[Candidate]) -> FloatArray:
    """Describe structures by the average of their atoms' environments.

    For each element the mean over its atoms of the standardised symmetry functions
    (G_i − mean_Z)/scale_Z, weighted by the element's share n_Z/n of the atoms, and these one
    after the other: the same for a cell and its supercells, zeros for an element that is absent.

    Parameters
    ----------
    model
        Its functions, and the mean and scale that it was trained with.
    candidates
        B structures.

    Returns
    -------
    (B, E·D) array
        E elements of the model, in its order, with D functions each.

    Raises
    ------
    aga.errors.ModelError
        A structure has an element that the model lacks, or the model's descriptor has trained
        parameters inside and is another one for each member.
    aga.errors.StructureError
        Nothing can be computed for a structure.

    References
    ----------
    S. De, A. P. Bartók, G. Csányi, M. Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016), on
    descriptors averaged over the environments of a structure.
    """
    if not isinstance(model, Model):
        raise ModelError(
            "each member of a smooth Deep Potential describes structures in its own way: there "
            "is no distance between them",
            remedy="use the spread of energies or forces, or train with "
            "potential.descriptor: symmetry_functions",
        )
    for candidate in candidates:
        model.check_numbers(candidate.numbers, candidate.name)
    descriptor = make_descriptor(model.functions)
    none = np.zeros((0, len(model.functions.elements) * descriptor.size))
    parts = [_averaged(model, descriptor, part) for part in _parts(candidates)]
    return np.concatenate([none, *parts])


def _parts(candidates: Sequence[Candidate]) -> list[Sequence[Candidate]]:
    """Give the candidates in groups of about :data:`_CHUNK` atoms."""
    chunk = np.cumsum([len(c) for c in candidates]) // _CHUNK
    edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1), len(candidates)]
    parts = (candidates[a:b] for a, b in pairwise(edges))
    return [part for part in parts if part]


def _averaged(
    model: Model, descriptor: FixedDescriptor, candidates: Sequence[Candidate]
) -> FloatArray:
    batch = Batch.pack(candidates)
    pairs = descriptor.pairs(batch)
    species = pairs.species
    x = (descriptor.values(pairs) - model.mean[species]) / model.scale[species]
    sums = np.zeros((len(batch), len(model.functions.elements), descriptor.size))
    np.add.at(sums, (batch.owners, species), x)
    return sums.reshape(len(batch), -1) / batch.counts[:, None]


def spacing(known: FloatArray) -> float:
    """Give the unit of distance: the standard deviation of the known structures.

    That is the root mean square distance of the known (K, D) descriptors from their mean: one
    number for all columns, since dividing each column by its own would blow up those in which
    the known structures hardly differ. 1 where fewer than two of them differ.
    """
    deviation = float(np.sqrt(np.var(known, axis=0).sum())) if len(known) else 0.0
    return deviation if deviation > 0 else 1.0


def nearest_distances(points: FloatArray, known: FloatArray) -> FloatArray:
    """Give (N,) distances of points (N, D) to the nearest of (K, D); infinite where K = 0."""
    if not len(known):
        return np.full(len(points), np.inf)
    rows = [
        cdist(points[start : start + _CHUNK], known).min(axis=1)
        for start in range(0, len(points), _CHUNK)
    ]
    return np.concatenate([np.zeros(0), *rows])


def novelties(points: FloatArray, known: FloatArray) -> FloatArray:
    """Give (N,) distances to the nearest known structure, in standard deviations of the known.

    Parameters
    ----------
    points, known
        Descriptors (N, D) and (K, D) of :func:`structure_descriptors`; infinite where K = 0.
    """
    return nearest_distances(points, known) / spacing(known)


def farthest_points(
    points: FloatArray, nearest: FloatArray, number: int
) -> tuple[IntArray, FloatArray]:
    """Choose points one by one, each as far as can be from all before: greedy k-center.

    The largest distance of any point to its nearest chosen one is at most twice what the best
    choice of as many points could reach. Ties go to the first point. Cost O(N·number).

    Parameters
    ----------
    points
        (N, D).
    nearest
        (N,) distance of each point to what is there already; infinite where there is nothing.
    number
        How many; at most N are given.

    Returns
    -------
    order, distances
        (number,) places of the points as they are chosen, all different, and the distance of
        each to the nearest one before it, which never increases.

    References
    ----------
    T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985); for choosing structures: G. Imbalzano
    et al., J. Chem. Phys. 148, 241730 (2018) (farthest-point sampling).
    """
    left = np.array(nearest, dtype=np.float64)
    count = min(number, len(points))
    order, distances = np.zeros(count, np.int64), np.zeros(count)
    for place in range(count):
        chosen = int(np.argmax(left))
        order[place], distances[place] = chosen, left[chosen]
        left = np.minimum(left, np.linalg.norm(points - points[chosen], axis=1))
        left[order[: place + 1]] = -1.0
    return order, distances
