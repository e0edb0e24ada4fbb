"""The candidates of a search with what the committees of their time said of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from aga.errors import NotFoundError
from aga.potential.kinds import load_model
from aga.store.documents import Document
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Frame
from aga.training.selecting.replay import Iteration
from aga.training.selecting.selection import CandidateTable
from aga.training.selecting.structure_descriptors import structure_descriptors
from aga.units import ev_per_a3_from_gpa

__all__ = ["StoredCandidates", "stored_candidates"]

SAID = ("energy_per_atom", "enthalpy_per_atom", "energy_spread", "force_spread")
"""What must be known of a candidate, under ``committee``."""


class StoredCandidates(NamedTuple):
    """Candidates by iteration, and the energies (eV/atom) of those that have a label, by name."""

    iterations: list[Iteration]
    labels: dict[str, float]


def stored_candidates(
    repository: Repository, search_id: str, *, described: bool = False
) -> StoredCandidates:
    """Collect the relaxed candidates of a search, with their predictions and labels.

    The predictions are those that the search stored when it relaxed a candidate: by the
    committee in service at that time, at the geometry that the label, if there is one, is of.
    A survivor that was relaxed anew on a newer committee is a candidate of its own.

    Parameters
    ----------
    repository, search_id
        Where the search is.
    described
        Whether descriptors of the candidates, and of the frames that the committee of their
        iteration was trained on, are wanted; its first member describes them.

    Raises
    ------
    aga.errors.NotFoundError
        No such search, or no candidate has been relaxed in it.
    aga.errors.ModelError
        Descriptors are wanted of a model that has none in common.
    """
    # Only what is needed: searches of earlier versions have other settings elsewhere.
    gpa = float(repository.get_search(search_id)["settings"]["search"]["pressure"])
    query = {"search_id": search_id} | {f"committee.{key}": {"$ne": None} for key in SAID}
    documents = repository.find("structures", query, [("iteration", 1), ("_id", 1)])
    if not documents:
        raise NotFoundError(
            f"search {search_id} has no candidate yet that was relaxed on a committee",
            remedy="wait for its first generation, or name a file with --candidates",
            search=search_id,
        )
    frames = {frame.name: frame for frame in repository.frames(search_id)}
    pressure = ev_per_a3_from_gpa(gpa)
    iterations = []
    for number, group in groupby(documents, lambda doc: int(doc["iteration"])):
        judged = list(group)
        card = _card(repository, search_id, judged)
        names = repository.dataset_names(search_id, int(card["dataset"]))
        taught = [frames[name] for name in names]
        own = known = None
        if described:
            model = load_model(repository.get_blob(card["members"][0]))
            own = structure_descriptors(model, [Candidate.from_dict(doc) for doc in judged])
            known = structure_descriptors(model, [frame.candidate for frame in taught])
        lowest = _lowest(judged, [_enthalpy(frame, pressure) for frame in taught])
        iterations.append(
            Iteration(number=number, candidates=_table(judged, own), known=known, lowest=lowest)
        )
    judged_names = (doc["name"] for doc in documents)
    labels = {name: frames[name].energy_per_atom for name in judged_names if name in frames}
    return StoredCandidates(iterations, labels)


def _card(repository: Repository, search_id: str, judged: Sequence[Document]) -> Document:
    """Give the committee of an iteration; the newest where it came into service midway."""
    version = max(int(doc["committee"]["version"]) for doc in judged)
    return repository.get_committee(search_id, version)


def _enthalpy(frame: Frame, pressure: float) -> float:
    """Give E + pV in eV/atom at a pressure in eV/Å³."""
    candidate = frame.candidate
    return (frame.energy + pressure * candidate.volume) / len(candidate)


def _lowest(judged: Sequence[Document], labelled: Sequence[float]) -> float:
    """Give where the energy window of a search begins: at the lowest trusted prediction or label.

    A relaxation that was stopped because the committee disagreed is no measure.
    """
    said = [doc["committee"] for doc in judged]
    trusted = [float(one["enthalpy_per_atom"]) for one in said if one["reason"] != "untrusted"]
    return min([*trusted, *labelled])


def _table(judged: Sequence[Document], descriptors: FloatArray | None) -> CandidateTable:
    columns = {key: np.array([doc["committee"][key] for doc in judged], float) for key in SAID}
    return CandidateTable(
        names=tuple(doc["name"] for doc in judged),
        energy=columns["energy_per_atom"],
        enthalpy=columns["enthalpy_per_atom"],
        energy_spread=columns["energy_spread"],
        force_spread=columns["force_spread"],
        descriptors=descriptors,
    )
