"""Where the candidates of a dry run come from: a search, or a file of structures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aga.cli.common import open_handle, read_structures
from aga.cli.members import Place, open_committee

if TYPE_CHECKING:
    from ase import Atoms

    from aga.structure.candidate import Candidate, FloatArray
    from aga.structure.protocols import Prediction
    from aga.training.selecting.replay import Iteration
    from aga.training.selecting.selection import CandidateTable

__all__ = ["Judged", "Own", "of_file", "of_search", "read_candidates"]


class Judged(NamedTuple):
    """Candidates with predictions and labels (eV/atom, by name), and where they are from.

    ``upper`` (eV/atom) and ``window`` (eV/atom) are the bounds of the search, None of a file.
    """

    iterations: list[Iteration]
    labels: dict[str, float]
    search: str | None
    source: str
    upper: float | None = None
    window: float | None = None


class Own(NamedTuple):
    """Structures of a file, and the energies (eV/atom) of those that have a label, by name."""

    candidates: list[Candidate]
    labels: dict[str, float]


def of_search(place: Place, *, described: bool) -> Judged:
    """Take the candidates of a search, each as the committee of its time judged it.

    Raises
    ------
    aga.errors.DatabaseUnavailableError, aga.errors.InputError
        The database does not answer, there is no such search, or it has no candidates.
    """
    from aga.tasks.candidates import stored_candidates

    with open_handle(place.search, place.database, place.launchpad, place.site) as handle:
        found = stored_candidates(handle.repository, handle.id, described=described)
        rule = handle.repository.get_search(handle.id)["settings"]["search"]["acquisition"]
    return Judged(
        found.iterations,
        found.labels,
        handle.id,
        "candidates of a search, each by the committee of its time",
        float(rule["spread_max"]),
        float(rule["energy_window"]),
    )


def of_file(
    path: Path, known: Path | None, models: list[Path], *, device: str | None, described: bool
) -> Judged:
    """Let model files judge the structures of a file: all one iteration.

    Parameters
    ----------
    path
        The structures.
    known
        What the models were trained on, for the novelty.
    models
        One file for each member.
    device
        Where to compute.
    described
        Whether descriptors are wanted.

    Raises
    ------
    aga.errors.InputError
        No model, a file that can't be read, or models that do not fit the structures.
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    from aga.errors import InputError
    from aga.potential.atoms import predict_many
    from aga.training.selecting.replay import Iteration
    from aga.training.selecting.structure_descriptors import structure_descriptors

    if not models:
        raise InputError("--candidates needs a potential", remedy="add --model for each member")
    own = read_candidates(path)
    place = Place(search=None, database=None, launchpad=None, site=None)
    committee = open_committee(models, place, device=device)
    said = predict_many(committee, own.candidates)
    points = before = None
    if described:
        points = structure_descriptors(committee.models[0], own.candidates)
    if described and known is not None:
        before = structure_descriptors(committee.models[0], read_candidates(known).candidates)
    table = _table(own.candidates, said, points)
    return Judged(
        [Iteration(number=0, candidates=table, known=before)], own.labels, None, path.name
    )


def _table(
    candidates: list[Candidate], said: list[Prediction], points: FloatArray | None
) -> CandidateTable:
    import numpy as np

    from aga.training.selecting.selection import CandidateTable

    energy = np.array([p.energy / len(c) for c, p in zip(candidates, said, strict=True)])
    return CandidateTable(
        names=tuple(c.name for c in candidates),
        energy=energy,
        enthalpy=energy,
        energy_spread=np.array([p.energy_spread for p in said]),
        force_spread=np.array([p.force_spread for p in said]),
        descriptors=points,
    )


def read_candidates(path: Path) -> Own:
    """Read structures of any periodicity, labelled or not, in any format ASE reads.

    They keep the names that they have in the file (``name``, ``id``) where these differ; else
    they are called ``<stem>-<index>``.

    Raises
    ------
    aga.errors.InputError
        The file can't be read or holds no structure.
    aga.errors.DataError
        An energy that is not finite; names file and frame, which counts from 0.
    aga.errors.StructureError
        A structure that nothing can be computed for.
    """
    from aga.potential.atoms import enclosed

    images = read_structures(path)
    names = _names(images, path.name.split(".")[0])
    energies = [_energy(image, path, number) for number, image in enumerate(images)]
    labels = {
        name: energy / len(image)
        for name, image, energy in zip(names, images, energies, strict=True)
        if energy is not None
    }
    return Own([enclosed(*one) for one in zip(images, names, strict=True)], labels)


def _names(images: list[Atoms], stem: str) -> list[str]:
    own = [image.info.get("name") or image.info.get("id") for image in images]
    if all(own) and len({str(name) for name in own}) == len(own):
        return [str(name) for name in own]
    return [f"{stem}-{number:05d}" for number in range(len(images))]


def _energy(image: Atoms, path: Path, number: int) -> float | None:
    """Give the energy of a labelled structure in eV, None where it has none."""
    from aga.errors import DataError

    results = {} if image.calc is None else image.calc.results
    energy = results.get("energy", results.get("free_energy"))
    if energy is None:
        return None
    if not math.isfinite(energy):
        raise DataError(
            f"{path}, frame {number}: the energy is {energy}",
            remedy="correct it, or take the energy away to leave the structure without a label",
            file=str(path),
            frame=number,
        )
    return float(energy)
