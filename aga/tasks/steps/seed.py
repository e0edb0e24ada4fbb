"""The step that begins a search: its first structures."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from aga.config import SearchSettings
from aga.errors import InputError, StructureError
from aga.search.initial import begin
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame
from aga.structure.seeds import fitted
from aga.tasks.context import StepContext
from aga.training.data.formats import read_files

__all__ = ["check_earlier", "earlier_structures", "seed"]


def seed(context: StepContext) -> dict[str, Any]:
    """Make the initial structures; take over the user's own labelled frames."""
    repository, search_id = context.repository, context.search_id
    settings = context.settings.search
    beginning = begin(settings, earlier_structures(repository, settings))
    repository.put_candidates(search_id, 0, beginning.candidates)
    data = _own_data(context)
    repository.put_frames(search_id, 0, data)
    return {
        "label": [c.name for c in beginning.candidates],
        "data": [f.name for f in data],
        "failed": dict(beginning.failed),
    }


def check_earlier(repository: Repository, settings: SearchSettings) -> None:
    """See at the start of a search whether the earlier searches that it names are of use.

    Raises
    ------
    aga.errors.InputError
        See :func:`earlier_structures`; or their structures leave no reference calls to what is
        bred. Those of files are counted by :mod:`aga.search.feasible` already.
    """
    if not settings.seed_searches:
        return
    earlier = earlier_structures(repository, settings)
    first, allowed = len(begin(settings, earlier).candidates), settings.budget.reference_calls
    if first >= allowed:
        raise InputError(
            f"search.budget.reference_calls: the search begins with {first} structures, those of "
            f"{', '.join(settings.seed_searches)} among them, so that the {allowed} calls allowed "
            "are spent before anything is bred",
            remedy=f"allow at least {first + settings.acquisition.picks_per_iteration}, or lower "
            "search.population_size, the number taken from each of search.seed_searches",
        )


def earlier_structures(repository: Repository, settings: SearchSettings) -> list[Candidate]:
    """Take the best structures of the earlier searches that the settings name.

    Of each its results, best first, then what else it has labelled in the order of enthalpy: as
    many as the population holds. Single ones that have no cell of an allowed size, or atoms too
    close, are left out. Their lineage is ``search``, its stream names where they are. Another
    pressure or reference method there is no matter: here they are labelled anew.

    Raises
    ------
    aga.errors.InputError
        The database has no search of this name, or one none of whose structures belongs here.
    """
    found: list[Candidate] = []
    for index, text in enumerate(settings.seed_searches):
        name = str(repository.get_search(text)["_id"])
        own, reason = _fitting(_best(repository, name, settings.population_size), name, settings)
        if not own:
            raise InputError(
                f"search.seed_searches[{index}]: no structure of {name} can join: "
                f"{reason or 'it has labelled none yet'}",
                remedy="name a search of the same formula that has got results, or leave it out",
                search=name,
            )
        found += own
    return found


def _best(repository: Repository, name: str, number: int) -> list[Candidate]:
    results = repository.find_structures(name, {"stage": "result"})
    results = sorted(results, key=itemgetter("rank"))  # few, and an index knows them all
    order = [("reference.enthalpy_per_atom", 1)]
    labelled = repository.find_structures(name, {"stage": "labelled"}, sort=order, limit=number)
    return [Candidate.from_dict(document) for document in [*results, *labelled][:number]]


def _fitting(
    stored: Sequence[Candidate], search: str, settings: SearchSettings
) -> tuple[list[Candidate], str]:
    """Bring structures into cells of this search; give those that fit and why the last did not."""
    found, reason = [], ""
    for one in stored:
        lineage = Lineage(operator="search", stream=f"{search}/{one.name}")
        try:
            found.append(fitted(one.renamed(one.name, lineage), settings))
        except StructureError as error:
            reason = error.message
    return found, reason


def _own_data(context: StepContext) -> list[Frame]:
    elements = sorted(context.settings.search.atom_counts())
    return read_files(context.settings.training.data, elements)
