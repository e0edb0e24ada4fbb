"""The dotted names of the Firetasks stand in databases and files: they are public."""

from __future__ import annotations

from aga.store.documents import KINDS
from aga.tasks.firetasks import TASKS, StartTask


def test_the_names_are_frozen() -> None:
    assert {t._fw_name for t in (StartTask, *TASKS.values())} == {
        "{{aga.tasks.firetasks.StartTask}}",
        "{{aga.tasks.firetasks.SeedTask}}",
        "{{aga.tasks.firetasks.BreedTask}}",
        "{{aga.tasks.firetasks.AcquireTask}}",
        "{{aga.tasks.firetasks.LabelTask}}",
        "{{aga.tasks.firetasks.CollectTask}}",
        "{{aga.tasks.firetasks.TrainTask}}",
        "{{aga.tasks.firetasks.AssessTask}}",
        "{{aga.tasks.firetasks.RefineTask}}",
        "{{aga.tasks.firetasks.FinishTask}}",
    }


def test_every_kind_of_step_has_a_task_with_declared_parameters() -> None:
    assert set(TASKS) == set(KINDS)
    for task in TASKS.values():
        assert task.required_params == ["step_id"]
        assert task.optional_params == []
