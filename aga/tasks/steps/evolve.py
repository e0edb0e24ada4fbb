"""The step that breeds a generation on the committee."""

from __future__ import annotations

from functools import cache
from typing import Any

from aga.potential.kinds import AnyCommittee
from aga.potential.relax.ranked import RankedRelaxer
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.structure.protocols import Committee, Relaxer
from aga.tasks.context import StepContext
from aga.tasks.steps.generation import breed_on
from aga.tasks.steps.learn import committee_of

__all__ = ["breed_generation"]


def breed_generation(context: StepContext) -> dict[str, Any]:
    """Breed one generation on the committee in service and store its population.

    Relaxation runs in this process or on MPI ranks; soft modes, which are few, in this process.
    """
    machine, search = context.settings.machine, context.settings.search

    @cache
    def loaded(version: int) -> AnyCommittee:
        return committee_of(context, version)

    def relaxer_of(context: StepContext, version: int) -> Relaxer:
        if machine.relax_ranks > 1:
            card = context.repository.get_committee(context.search_id, version)
            members = [context.repository.get_blob(digest) for digest in card["members"]]
            return RankedRelaxer(members, search, machine, context.run_dir())
        return BatchedRelaxer.from_settings(loaded(version), search)

    def forces_of(context: StepContext, version: int) -> Committee | None:  # noqa: ARG001 - one signature
        return loaded(version) if search.operators.soft_mode > 0 else None

    return breed_on(context, relaxer_of, forces_of)
