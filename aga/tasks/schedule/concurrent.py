"""The concurrent schedule: breeding, reference jobs and training side by side.

::

    seed → label × initial → first training
    island k:   breed → breed → breed …                  each on the newest committee
    choices:    acquire → label × picks, again after a generation while jobs are wanted
    rounds:     collect → train × members → assess, when enough new labels are in

No generation waits for a reference job. There is one choice at a time and one round of training
at a time per search; as many reference jobs wait as run, so that no worker of theirs is idle.
The steps of a choice (and its labels) are numbered by the choice, those of a round by the round,
which is also the version of its committee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aga.config import Settings
from aga.search.islands import round_of
from aga.store.documents import Step, StepKind
from aga.tasks.schedule.plan import MAY_FAIL, Plan, failed_plan, generation_key

__all__ = ["ENDED_BY_VERDICT", "Situation", "plan_concurrent"]

ENDED_BY_VERDICT: tuple[StepKind, ...] = ("breed", "acquire", "label")
"""Steps that are given up, if nobody has begun them, once the verdict is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a search stands: what the schedule decides from, and no more.

    Parameters
    ----------
    seed
        The first step.
    choice
        The newest acquire step.
    unplanned
        Names that the seed or the newest choice gave and that have no label step yet.
    bred
        The newest breed step of each island.
    waiting, running
        Label steps that wait, and that a worker has.
    new_labels
        Labels that no dataset holds yet.
    round
        The steps of the newest round of training, up to refine and finish.
    assessed
        The newest assess step that is done.
    """

    seed: Step | None = None
    choice: Step | None = None
    unplanned: tuple[str, ...] = ()
    bred: Mapping[int, Step] = field(default_factory=dict)
    waiting: int = 0
    running: int = 0
    new_labels: int = 0
    round: tuple[Step, ...] = ()
    assessed: Step | None = None


def plan_concurrent(search_id: str, at: Situation, settings: Settings) -> Plan:
    """Decide the next steps of a search.

    Parameters
    ----------
    search_id
        The search.
    at
        Where it stands.
    settings
        Of the search.

    Returns
    -------
    Plan
        Whatever can be begun now; without steps where everything is under way.
    """
    return _Planner(search_id, at, settings).next()


class _Planner:
    def __init__(self, search_id: str, at: Situation, settings: Settings) -> None:
        self.search_id = search_id
        self.at = at
        self.settings = settings
        self.iteration = 0 if at.assessed is None else at.assessed.iteration + 1
        self.generation = max((s.generation or 0 for s in at.bred.values()), default=0)

    def next(self) -> Plan:
        looked_at = [self.at.seed, self.at.choice, *self.at.bred.values(), *self.at.round]
        for step in looked_at:
            if step is not None and step.state == "failed" and step.kind not in MAY_FAIL:
                return failed_plan(step, iteration=self.iteration, generation=self.generation)
        ending = self.ending()
        if ending is not None:
            return ending
        steps = [*self.labels(), *self.training(), *self.acquire(), *self.breed()]
        if self.at.seed is None:
            steps = [self.step("seed", 0, "seed")]
        return self.plan(steps)

    def plan(self, steps: Sequence[Step], **more: Any) -> Plan:  # noqa: ANN401 - fields of a plan
        return Plan(
            phase=self.phase(steps),
            iteration=self.iteration,
            generation=max([self.generation, *(s.generation or 0 for s in steps)]),
            steps=tuple(steps),
            **more,
        )

    def phase(self, new: Sequence[Step]) -> str:
        """Name what is under way."""
        steps = [self.at.seed, self.at.choice, *self.at.bred.values(), *self.at.round, *new]
        kinds = [s.kind for s in steps if s is not None and s.state in {"planned", "running"}]
        kinds += ["label"] * bool(self.at.waiting + self.at.running)
        return ", ".join(sorted(set(kinds))) or "seed"

    def step(self, kind: StepKind, number: int, key: str, **fields: Any) -> Step:  # noqa: ANN401 - fields of a step
        return Step(search_id=self.search_id, kind=kind, iteration=number, key=key, **fields)

    def of(self, kind: StepKind) -> list[Step]:
        return [step for step in self.at.round if step.kind == kind]

    def labels(self) -> list[Step]:
        number = 0 if self.at.choice is None else self.at.choice.iteration
        return [self.step("label", number, name) for name in self.at.unplanned]

    def training(self) -> list[Step]:
        """Go on with the round in hand, or begin the next when it is due."""
        at = self.at
        if not at.round:
            ready = at.seed is not None and at.seed.state == "done" and not self.outstanding
            return [self.collect(0)] if ready else []
        number = at.round[0].iteration
        if at.assessed is not None and at.assessed.iteration == number:
            return [self.collect(number + 1)] if self.due() else []
        (collected,) = self.of("collect")
        if collected.state != "done" or self.of("assess"):
            return []
        return self.after_collect(number, collected.result or {})

    def after_collect(self, number: int, result: Mapping[str, Any]) -> list[Step]:
        """Train the members, then judge; where nothing is new, judge at once."""
        trained = self.of("train")
        if result["new"] and not trained:
            args = {"dataset": result["dataset"], "previous": result["committee"]}
            members = range(self.settings.potential.members)
            return [self.step("train", number, f"m{m}", args=args) for m in members]
        if any(step.state != "done" for step in trained):
            return []
        serving = number if result["new"] else result["committee"]
        return [self.step("assess", number, "verdict", args={"committee": serving})]

    @property
    def outstanding(self) -> int:
        """Label steps that have not ended, those about to be planned included."""
        return self.at.waiting + self.at.running + len(self.at.unplanned)

    def collect(self, number: int) -> Step:
        choice = 0 if self.at.choice is None else self.at.choice.iteration
        return self.step("collect", number, "frames", args={"choice": choice})

    def due(self) -> bool:
        """Say whether a round begins: enough labels, or nothing more to be had without one."""
        search, training = self.settings.search, self.settings.training
        enough = training.retrain_after or search.acquisition.picks_per_iteration
        if self.at.new_labels >= enough:
            return True
        choice = self.at.choice
        if self.outstanding or choice is None or choice.state != "done":
            return False
        result = choice.result or {}
        (collected,) = self.of("collect")
        looks = choice.iteration - int(collected.args["choice"])
        often = looks >= search.generations_per_iteration or result.get("budget_spent", False)
        return often and not result.get("label")

    def acquire(self) -> list[Step]:
        """Choose again when a generation has ended since and the reference method wants more."""
        at, choice = self.at, self.at.choice
        wanted = self.wanted()
        if at.assessed is None or at.unplanned or wanted <= 0:
            return []
        if choice is not None and choice.state != "done":
            return []
        bred = self.generations_done()
        since = 0 if choice is None else int(choice.args["bred"])
        if bred <= since:
            return []
        number = 1 if choice is None else choice.iteration + 1
        args = {"number": wanted, "bred": bred}
        return [self.step("acquire", number, "picks", args=args)]

    def generations_done(self) -> int:
        """Count the generations bred so far, of all islands."""
        islands = self.settings.search.islands
        return sum(
            round_of(step.generation or 1, islands) - (step.state != "done")
            for step in self.at.bred.values()
        )

    def wanted(self) -> int:
        """Give how many picks keep as many reference jobs waiting as there are workers."""
        deep = max(self.settings.search.acquisition.picks_per_iteration, self.at.running)
        return deep - self.at.waiting

    def breed(self) -> list[Step]:
        if self.at.assessed is None:
            return []
        islands = self.settings.search.islands
        steps = []
        for island in range(islands):
            last = self.at.bred.get(island)
            if last is not None and (last.state != "done" or self.rests(last)):
                continue
            before = 0 if last is None else last.generation or 0
            generation = island + 1 if last is None else before + islands
            steps.append(
                self.step(
                    "breed",
                    round_of(generation, islands),
                    generation_key(generation),
                    generation=generation,
                    args={"island": island, "population": before},
                )
            )
        return steps

    def rests(self, last: Step) -> bool:
        """Say whether an island has bred long enough on the committee in service."""
        serving = (self.at.assessed.result or {})["committee"] if self.at.assessed else None
        limit = self.settings.search.generations_per_committee
        return bool(last.args["committee"] == serving and last.args["since"] >= limit)

    def ending(self) -> Plan | None:
        """Refine the best once the verdict is in; None while the search goes on."""
        at = self.at
        if at.assessed is None or (at.assessed.result or {})["verdict"] == "continue":
            return None
        number, result = at.assessed.iteration, at.assessed.result or {}
        if self.of("finish"):
            finished = self.of("finish")[0].state == "done"
            return self.plan([], finished=finished)
        refined = self.of("refine")
        if result["refine"] and not refined:
            steps = [self.step("refine", number, name) for name in result["refine"]]
            return self.plan(steps, cancel=ENDED_BY_VERDICT)
        if all(step.state in {"done", "failed"} for step in refined):
            return self.plan([self.step("finish", number, "results")], cancel=ENDED_BY_VERDICT)
        return self.plan([], cancel=ENDED_BY_VERDICT)
