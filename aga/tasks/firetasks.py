"""The Firetasks. Their dotted names are public: they stand in databases and workflow files."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from fireworks import FiretaskBase, FWAction, explicit_serialize

__all__ = [
    "TASKS",
    "AcquireTask",
    "AssessTask",
    "BreedTask",
    "CollectTask",
    "FinishTask",
    "LabelTask",
    "RefineTask",
    "SeedTask",
    "StartTask",
    "StepTask",
    "TrainTask",
]


class StepTask(FiretaskBase):  # type: ignore[misc] # FireWorks is untyped
    """Perform one step of a search: claim, compute, commit, plan what follows."""

    required_params: ClassVar[list[str]] = ["step_id"]
    optional_params: ClassVar[list[str]] = []

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:  # noqa: ARG002 - FireWorks' signature
        """Perform the step named by ``step_id``; the results are in the store."""
        from aga.tasks.perform import perform  # noqa: PLC0415 - keeps deserialising cheap

        return FWAction(stored_data=perform(self["step_id"], self.launchpad))


@explicit_serialize
class StartTask(FiretaskBase):  # type: ignore[misc] # FireWorks is untyped
    """Create the search that the settings describe, or go on with it."""

    required_params: ClassVar[list[str]] = ["settings"]
    optional_params: ClassVar[list[str]] = []

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:  # noqa: ARG002 - FireWorks' signature
        """Create the search in the store and plan its first step."""
        from aga.tasks.perform import start  # noqa: PLC0415 - keeps deserialising cheap

        return FWAction(stored_data={"search_id": start(self["settings"], self.launchpad)})


@explicit_serialize
class SeedTask(StepTask):
    """Make the initial structures."""


@explicit_serialize
class BreedTask(StepTask):
    """One generation: propose, relax on the committee, merge into the population."""


@explicit_serialize
class AcquireTask(StepTask):
    """Choose the candidates for the reference method."""


@explicit_serialize
class LabelTask(StepTask):
    """Compute one candidate with the reference method."""


@explicit_serialize
class CollectTask(StepTask):
    """Join the new labels to the dataset."""


@explicit_serialize
class TrainTask(StepTask):
    """Fit one member of the committee."""


@explicit_serialize
class AssessTask(StepTask):
    """Put the new committee into service and decide whether the search goes on."""


@explicit_serialize
class RefineTask(StepTask):
    """Relax one of the best structures with the reference method."""


@explicit_serialize
class FinishTask(StepTask):
    """Rank the results and end the search."""


TASKS: Final[dict[str, type[StepTask]]] = {
    "seed": SeedTask,
    "breed": BreedTask,
    "acquire": AcquireTask,
    "label": LabelTask,
    "collect": CollectTask,
    "train": TrainTask,
    "assess": AssessTask,
    "refine": RefineTask,
    "finish": FinishTask,
}
"""The Firetask of each kind of step."""
