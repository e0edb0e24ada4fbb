"""A test set that no training ever sees."""

from __future__ import annotations

from collections.abc import Sequence

from aga.errors import DataError
from aga.rng import derive_seed
from aga.structure.protocols import Frame

__all__ = ["assign_splits"]


def assign_splits(
    frames: Sequence[Frame],
    *,
    seed: int,
    test_fraction: float,
    by_group: bool = False,
    strict: bool = True,
) -> tuple[list[int], list[int]]:
    """Divide frames into those to train on and those to test on.

    On which side a frame falls depends on the seed and its name alone (by groups: on the seed
    and its group's), so that it stays there when others join.

    Parameters
    ----------
    frames
        Labelled structures.
    seed
        Seed of the training.
    test_fraction
        Expected share of the frames, or of the groups, that become the test set; 0 for none.
    by_group
        Whether frames of one group stay together, so that the test asks for structures unlike
        those trained on; a frame without one is a group of its own.

    strict
        Whether an empty test set is an error where one is asked for; a search that begins with a
        few frames takes it as it comes.

    Returns
    -------
    rest, test
        Places of the frames.

    Raises
    ------
    aga.errors.DataError
        One of the two would be empty.
    """
    rest: list[int] = []
    test: list[int] = []
    for place, frame in enumerate(frames):
        key = (frame.group or frame.name) if by_group else frame.name
        draw = derive_seed(seed, "test", key) / 2.0**63
        (test if draw < test_fraction else rest).append(place)
    if not rest or (strict and test_fraction > 0 and not test):
        raise _lopsided(frames, test, test_fraction, by_group=by_group)
    return rest, test


def _lopsided(
    frames: Sequence[Frame], test: list[int], fraction: float, *, by_group: bool
) -> DataError:
    groups = len({frame.group or frame.name for frame in frames})
    together = f" in {groups} group{'s' * (groups != 1)}" if by_group else ""
    what = f"{len(frames)} frames{together}"
    if not frames:
        return DataError("there is no labelled frame to divide into training and test set")
    facts = {"frames": len(frames), "test_fraction": fraction}
    if test:
        return DataError(
            f"a test fraction of {fraction:g} takes all {what}: none is left to train on",
            remedy="lower the test fraction, give more frames, or set it to 0",
            **facts,
        )
    return DataError(
        f"a test fraction of {fraction:g} takes none of {what}: the test set is empty",
        remedy="raise the test fraction, give more frames, or set it to 0 to test on none",
        **facts,
    )
