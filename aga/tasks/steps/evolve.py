"""The step that breeds a generation on the committee."""

from __future__ import annotations

from typing import Any

from aga.potential.relax.ranked import RankedRelaxer
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.structure.protocols import Relaxer
from aga.tasks.context import StepContext
from aga.tasks.steps.generation import breed_on
from aga.tasks.steps.learn import load_committee

__all__ = ["breed_generation", "relaxer_of"]


def breed_generation(context: StepContext) -> dict[str, Any]:
    """Breed one generation on the committee in service and store its population."""
    return breed_on(context, relaxer_of)


def relaxer_of(context: StepContext, version: int) -> Relaxer:
    """Build the relaxer on a committee of the store: in this process, or on MPI ranks."""
    machine = context.settings.machine
    if machine.relax_ranks > 1:
        card = context.repository.get_committee(context.search_id, version)
        members = [context.repository.get_blob(digest) for digest in card["members"]]
        return RankedRelaxer(members, context.settings.search, machine, context.run_dir())
    committee = load_committee(
        context.repository,
        context.search_id,
        version,
        device=machine.device,
        precision=machine.precision,
        threads=machine.threads,
    )
    return BatchedRelaxer.from_settings(committee, context.settings.search)
