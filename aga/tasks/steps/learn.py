"""The steps that fit the members, and put them into service."""

from __future__ import annotations

import json
import shutil
from typing import Any

import aga
from aga.potential.device.choice import Device, Precision
from aga.potential.kinds import AnyCommittee, AnyModel, load_model, make_committee
from aga.store.repository import Repository
from aga.structure.protocols import Frame
from aga.tasks.context import StepContext
from aga.training.fit import FitResult, Workshop, fit_member
from aga.training.members import Crew, train_on_ranks
from aga.training.recipe import Recipe
from aga.training.scoring.retention import old_unseen, retention
from aga.training.state import remove_checkpoint

__all__ = ["commit_members", "committee_of", "load_committee", "train_member"]


def train_member(context: StepContext) -> dict[str, Any]:
    """Fit one member of the next committee."""
    repository, search_id, args = context.repository, context.search_id, context.step.args
    member, dataset = int(context.step.key.removeprefix("m")), int(args["dataset"])
    frames, recipe = (
        repository.dataset_frames(search_id, dataset),
        Recipe.of_search(context.settings),
    )
    previous, retained = None, None
    if args["previous"] is not None and recipe.training.start == "previous":
        card = repository.get_committee(search_id, int(args["previous"]))
        previous = load_model(repository.get_blob(card["members"][member]))
        recipe = recipe.continued()
    outcome = _fit(context, frames, recipe, member, previous)
    if previous is not None:
        parent = repository.get_dataset(search_id, dataset)["parent"]
        old = set() if parent is None else set(repository.dataset_names(search_id, parent))
        unseen = old_unseen(frames, old, recipe, member)
        retained = retention(unseen, [previous], [outcome.model])
    _tell(context, outcome, member)
    repository.record_weights(search_id, context.step.iteration, member, outcome.focal)
    record = {"history": outcome.history, "focal_weights": outcome.weights}
    return {
        "blob": repository.put_blob(outcome.model.to_bytes()),
        "record": repository.put_blob(json.dumps(record).encode()),
        "member": member,
        "metrics": outcome.metrics,
        "retained": retained,
        "quarantined": outcome.quarantined,
    }


def _fit(
    context: StepContext,
    frames: list[Frame],
    recipe: Recipe,
    member: int,
    previous: AnyModel | None,
) -> FitResult:
    """Train here, or on MPI ranks where the machine settings say so.

    All attempts share what they have reached: equal trainings have equal checkpoints, and files
    are replaced whole.
    """
    machine = context.settings.machine
    name = f"{context.step.iteration:03d}-{context.step.key}"
    folder = machine.run_dir / context.search_id / "training"
    if machine.training_ranks > 1:
        crew = Crew(ranks=machine.training_ranks, mpi_command=machine.mpi_command)
        outcome = train_on_ranks(frames, recipe, member, previous, folder / name, crew)
        shutil.rmtree(folder / name, ignore_errors=True)
        return outcome
    checkpoint = folder / f"{name}.checkpoint"
    workshop = Workshop(checkpoint=checkpoint)
    outcome = fit_member(frames, recipe, member=member, previous=previous, workshop=workshop)
    remove_checkpoint(checkpoint)
    return outcome


def _tell(context: StepContext, outcome: FitResult, member: int) -> None:
    """Log what did not go as it should."""
    repository, search_id = context.repository, context.search_id
    if outcome.diverged is not None:
        message = f"the training of member {member} diverged: {outcome.diverged}; its previous "
        repository.log(search_id, "training_diverged", message + "weights stay", member=member)
    for name, why in outcome.quarantined.items():
        message = f"{name} was left out of the training of member {member}: {why}"
        repository.log(search_id, "quarantined", message, frame=name, member=member)


def commit_members(context: StepContext) -> int:
    """Put the trained members into service as a committee; give its version.

    Where nothing was trained, the committee in service stays.
    """
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    trained = repository.list_steps(search_id, kind="train", iteration=iteration)
    if not trained:
        return int(context.step.args["committee"])
    results = sorted((step.result or {} for step in trained), key=lambda r: int(r["member"]))
    card = {
        "dataset": int(trained[0].args["dataset"]),
        "members": [r["blob"] for r in results],
        "metrics": [r["metrics"] for r in results],
        "retained": [r.get("retained") for r in results],
        "records": [r.get("record") for r in results],
        "settings_digest": context.settings.digest(),
        "seed": context.settings.search.seed,
        "code_version": aga.__version__,
    }
    repository.commit_committee(search_id, iteration, card)
    return iteration


def committee_of(context: StepContext, version: int) -> AnyCommittee:
    """Load a committee of the step's search, computed as its settings say for this machine."""
    machine = context.settings.machine
    return load_committee(
        context.repository,
        context.search_id,
        version,
        device=machine.device,
        precision=machine.precision,
        threads=machine.threads,
    )


def load_committee(
    repository: Repository,
    search_id: str,
    version: int,
    *,
    device: Device = "cpu",
    precision: Precision = "float64",
    threads: int = 1,
) -> AnyCommittee:
    """Load a committee from the store, to be computed on a device or by some threads."""
    card = repository.get_committee(search_id, version)
    members = [load_model(repository.get_blob(digest)) for digest in card["members"]]
    version_name = f"v{version:03d}"
    return make_committee(
        members, version_name, device=device, precision=precision, threads=threads
    )
