"""Read from the store where a search stands, in a number of queries that does not grow with it."""

from __future__ import annotations

from aga.config import Settings
from aga.store.documents import Step
from aga.store.repository import Repository
from aga.tasks.schedule import Situation

__all__ = ["situation"]

_ROUND = ("collect", "train", "assess", "refine", "finish")


def situation(repository: Repository, search_id: str, settings: Settings) -> Situation:
    """Give what the concurrent schedule decides from."""
    seed = repository.newest_step(search_id, "seed")
    choice = repository.newest_step(search_id, "acquire")
    islands = range(settings.search.islands)
    bred = {i: repository.newest_step(search_id, "breed", island=i) for i in islands}
    return Situation(
        seed=seed,
        choice=choice,
        unplanned=_unplanned(repository, search_id, choice or seed),
        bred={island: step for island, step in bred.items() if step is not None},
        waiting=repository.count_steps(search_id, kind="label", state="planned"),
        running=repository.count_steps(search_id, kind="label", state="running"),
        new_labels=repository.count_pending(search_id),
        round=_round(repository, search_id),
        assessed=repository.newest_step(search_id, "assess", state="done"),
    )


def _unplanned(repository: Repository, search_id: str, choice: Step | None) -> tuple[str, ...]:
    """Give the names that a choice gave and that have no step yet."""
    names = [] if choice is None else (choice.result or {}).get("label", [])
    if choice is None or not names:
        return ()
    steps = repository.list_steps(search_id, kind="label", iteration=choice.iteration)
    planned = {step.key for step in steps}
    return tuple(name for name in names if name not in planned)


def _round(repository: Repository, search_id: str) -> tuple[Step, ...]:
    newest = repository.newest_step(search_id, "collect")
    if newest is None:
        return ()
    steps = repository.list_steps(search_id, iteration=newest.iteration)
    return tuple(step for step in steps if step.kind in _ROUND)
