"""A training from labelled files as a whole: splits, members, errors by split, what was kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aga.errors import DataError
from aga.potential.kinds import AnyModel, make_committee
from aga.structure.protocols import Frame
from aga.training.data.frames import split_frames
from aga.training.data.splits import assign_splits
from aga.training.fit import FitResult
from aga.training.members import Crew, train_members
from aga.training.recipe import Recipe
from aga.training.scoring.assessment import Assessment, assess, predict_frames
from aga.training.scoring.retention import retention

__all__ = ["Division", "Trained", "divide", "train_potential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Places of the frames that some member trains on, ``known``, and of the ``test`` frames.

    ``validation`` counts the frames that each member keeps for itself, in their order.
    """

    known: tuple[int, ...]
    test: tuple[int, ...]
    validation: tuple[int, ...]

    def splits(self) -> dict[str, tuple[int, ...]]:
        """Give the places by the name of the split."""
        return (
            {"training": self.known, "test": self.test} if self.test else {"training": self.known}
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """What came out: ``results`` of the members, errors of their mean, and of old frames.

    ``assessment`` of all frames with the splits ``training`` (those that members trained on or
    stopped by) and ``test``; ``retained`` None where nothing was trained before.
    """

    results: tuple[FitResult, ...]
    division: Division
    assessment: Assessment
    retained: dict[str, Any] | None


def divide(frames: Sequence[Frame], recipe: Recipe, members: Sequence[int]) -> Division:
    """Divide frames into test frames and others; see what the members keep for validation.

    Raises
    ------
    aga.errors.DataError
        A split that was asked for is empty.
    """
    training = recipe.training
    known, test = assign_splits(
        frames,
        seed=recipe.seed,
        test_fraction=training.test_fraction,
        by_group=training.test_by_group,
    )
    rest, fraction = [frames[place] for place in known], training.validation_fraction
    counts = [
        len(split_frames(rest, fraction, seed=recipe.seed, member=member)[1]) for member in members
    ]
    if fraction and not all(counts):
        raise DataError(
            f"a validation fraction of {fraction:g} takes none of {len(rest)} frames: the "
            f"validation split of member {members[counts.index(0)]} is empty",
            remedy="raise training.validation_fraction, give more frames, or set it to 0 to train "
            "for all passes",
        )
    return Division(known=tuple(known), test=tuple(test), validation=tuple(counts))


def train_potential(
    frames: Sequence[Frame],
    recipe: Recipe,
    members: Sequence[int],
    crew: Crew,
    *,
    previous: tuple[Sequence[AnyModel], Sequence[str]] | None = None,
    progress: Callable[[int, dict[str, Any]], None] | None = None,
) -> Trained:
    """Train a committee and say how good it is.

    Parameters
    ----------
    frames, recipe, members, crew
        As of :func:`aga.training.members.train_members`.
    previous
        The members' last models and the names of the frames they were trained with.
    progress
        Told the number of a member and its newest look.

    Raises
    ------
    aga.errors.AgaError
        As of the training.
    """
    division = divide(frames, recipe, members)
    models, old = previous or (None, ())
    results = train_members(frames, recipe, members, crew, previous=models, progress=progress)
    committee = make_committee([result.model for result in results])
    said = assess(frames, predict_frames(committee, frames), division.splits())
    retained = None
    if models is not None:
        kept = set(old)
        unseen = [frames[place] for place in division.test if frames[place].name in kept]
        retained = retention(("test", unseen), models, committee.models)
    return Trained(results=tuple(results), division=division, assessment=said, retained=retained)
