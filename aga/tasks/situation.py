"""Read from the store where a search stands, at a cost that does not grow with the search.

The steps of a kind are numbered in the order they are planned. The highest numbers seen so far,
the *heads*, stand with the search; nothing is ever planned below them, so looking from there on is
enough, and quick on servers that sort without an index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from aga.config import Settings
from aga.search.islands import predecessor
from aga.store.documents import Step, step_id
from aga.store.repository import Repository
from aga.tasks.schedule import Situation

__all__ = ["Heads", "newest_assessment", "newest_generations", "situation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The numbers from which on the newest steps are found.

    ``acquire`` and ``collect`` are the newest such steps; ``breed`` the generation of the island
    that is farthest behind.
    """

    acquire: int = 0
    collect: int = 0
    breed: int = 0

    @classmethod
    def of(cls, search: Mapping[str, Any]) -> Self:
        """Read those of a search's document."""
        return cls(**(search.get("heads") or {}))

    @classmethod
    def seen(cls, at: Situation, islands: int) -> Self:
        """Give those of a situation."""
        bred = [int(step.generation or 0) for step in at.bred.values()]
        return cls(
            acquire=0 if at.choice is None else at.choice.iteration,
            collect=at.round[0].iteration if at.round else 0,
            breed=min(bred) if len(bred) == islands else 0,
        )

    def to_dict(self) -> dict[str, int]:
        """Give plain JSON values."""
        return asdict(self)


def situation(repository: Repository, search: Mapping[str, Any], settings: Settings) -> Situation:
    """Give what the concurrent schedule decides from.

    Parameters
    ----------
    repository
        Where the search is.
    search
        Its document.
    settings
        Its settings.
    """
    search_id, heads = str(search["_id"]), Heads.of(search)
    seeds = repository.list_steps(_id=step_id(search_id, "seed", 0, "seed"))
    seed = seeds[0] if seeds else None
    choice = repository.newest_step(search_id, "acquire", at_least=heads.acquire)
    return Situation(
        seed=seed,
        choice=choice,
        unplanned=_unplanned(repository, search_id, choice or seed),
        bred=newest_generations(repository, search, settings.search.islands),
        waiting=repository.count_steps(search_id, kind="label", state="planned"),
        running=repository.count_steps(search_id, kind="label", state="running"),
        new_labels=repository.count_pending(search_id),
        round=_round(repository, search_id, heads, settings),
        assessed=newest_assessment(repository, search),
    )


def newest_assessment(repository: Repository, search: Mapping[str, Any]) -> Step | None:
    """Give the newest assess step that is done: its committee is the one in service."""
    least = max(0, Heads.of(search).collect - 1)
    return repository.newest_step(str(search["_id"]), "assess", at_least=least, state="done")


def newest_generations(
    repository: Repository, search: Mapping[str, Any], islands: int, **filters: object
) -> dict[int, Step]:
    """Give the newest breed step of each island that has one.

    ``filters`` are values that fields of the step must have, such as ``state``.
    """
    head = Heads.of(search).breed
    least = predecessor(head, islands) if filters else head
    steps = repository.steps_from(str(search["_id"]), "breed", least, **filters)
    return {int(step.args["island"]): step for step in steps}


def _unplanned(repository: Repository, search_id: str, choice: Step | None) -> tuple[str, ...]:
    """Give the names that a choice gave and that have no step yet."""
    names = [] if choice is None else (choice.result or {}).get("label", [])
    if choice is None or not names:
        return ()
    steps = repository.list_steps(search_id, kind="label", iteration=choice.iteration)
    planned = {step.key for step in steps}
    return tuple(name for name in names if name not in planned)


def _round(
    repository: Repository, search_id: str, heads: Heads, settings: Settings
) -> tuple[Step, ...]:
    """Give the steps of the newest round, the collect step first."""
    newest = repository.newest_step(search_id, "collect", at_least=heads.collect)
    if newest is None:
        return ()
    number = newest.iteration
    names = [
        step_id(search_id, "train", number, f"m{m}") for m in range(settings.potential.members)
    ]
    names += [
        step_id(search_id, "assess", number, "verdict"),
        step_id(search_id, "finish", number, "results"),
    ]
    others = repository.list_steps(_id=names)
    assessed = [s.result or {} for s in others if s.kind == "assess" and s.state == "done"]
    if assessed and assessed[0]["refine"]:
        others += repository.list_steps(search_id, kind="refine", iteration=number)
    return (newest, *others)
