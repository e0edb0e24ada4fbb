"""Whether a retraining has lost what the potential knew: errors on old frames, before and after."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from aga.potential.kinds import AnyModel, make_committee
from aga.structure.protocols import Frame
from aga.training.data.frames import split_frames
from aga.training.data.splits import assign_splits
from aga.training.recipe import Recipe
from aga.training.scoring.assessment import assess, predict_frames

__all__ = ["old_unseen", "retention"]


def old_unseen(
    frames: Sequence[Frame], old: Collection[str], recipe: Recipe, member: int
) -> tuple[str, list[Frame]]:
    """Give the old frames that a member was not fitted to, and which split they are of.

    Those of the test split where there is one; else of the member's validation split, which it
    has at most been stopped by.

    Parameters
    ----------
    frames
        All of the dataset.
    old
        Names of those that the previous training had.
    recipe, member
        Of the training.
    """
    training = recipe.training
    before = [frame for frame in frames if frame.name in old]
    if not before:
        return "test", []
    if training.test_fraction:
        _, places = assign_splits(
            frames,
            seed=recipe.seed,
            test_fraction=training.test_fraction,
            by_group=training.test_by_group,
            strict=False,
        )
        return "test", [frames[place] for place in places if frames[place].name in old]
    _, held = split_frames(before, training.validation_fraction, seed=recipe.seed, member=member)
    return "validation", [before[place] for place in held]


def retention(
    unseen: tuple[str, Sequence[Frame]], before: Sequence[AnyModel], after: Sequence[AnyModel]
) -> dict[str, Any] | None:
    """Compare models before and after a retraining on old frames that neither was fitted to.

    Returns
    -------
    dict or None
        ``split``, ``frames``, and ``before`` and ``after``: errors as
        :meth:`aga.training.scoring.assessment.Errors.to_dict` has them. None without such frames.
    """
    split, frames = unseen
    if not frames:
        return None
    said = {
        name: assess(frames, predict_frames(make_committee(list(models)), frames)).all.to_dict()
        for name, models in (("before", before), ("after", after))
    }
    return {"split": split, "frames": len(frames), **said}
