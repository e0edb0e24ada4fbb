"""The frames of a scan of γ: what can't be compared is refused, some are held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.errors import DataError, InputError
from aga.rng import derive_seed
from aga.structure.protocols import Frame
from aga.training.data.duplicates import TOLERANCE
from aga.training.data.frames import SHOWN, check_frames

__all__ = ["FEW", "check_gammas", "divide"]

FEW = 5
"""Fewer new frames than these are warned of."""


def check_gammas(gammas: Sequence[float]) -> tuple[float, ...]:
    """Give γ in rising order, each once.

    Raises
    ------
    aga.errors.InputError
        One is negative or not finite.
    """
    wrong = [gamma for gamma in gammas if not 0 <= gamma < np.inf]
    if wrong:
        raise InputError(
            f"γ of {wrong[0]:g}: focal weights need 0 or more",
            remedy="give numbers from 0 (ordinary training) to about 3",
        )
    return tuple(sorted(set(gammas)))


def divide(
    base: Sequence[Frame], new: Sequence[Frame], *, seed: int, held: float
) -> tuple[list[Frame], list[Frame]]:
    """Give the base frames to train on, and those held out.

    Parameters
    ----------
    base, new
        Labelled frames.
    seed
        Decides with a frame's name on which side it falls.
    held
        Share that is held out, at least one frame; 0 for none.

    Raises
    ------
    aga.errors.DataError
        Frames that can't be trained on; new ones that the base set holds already, or with
        elements that it does not have; all frames of an element would be held out.
    aga.errors.InputError
        Nothing would be left to train on.
    """
    check_frames(base)
    check_frames(new)
    known = {symbol for frame in base for symbol in frame.candidate.symbols}
    other = sorted({s for frame in new for s in frame.candidate.symbols} - known)
    if other:
        raise DataError(
            f"the new frames hold {', '.join(other)}, which no base frame has",
            remedy="weights can only be retrained for elements that they were trained on",
            elements=other,
        )
    _refuse_known(base, new)
    kept = _drawn(base, seed, held)
    places = [place for place in range(len(base)) if place not in kept]
    rest = {symbol for place in places for symbol in base[place].candidate.symbols}
    if rest < known:
        raise DataError(
            f"all base frames with {', '.join(sorted(known - rest))} would be held out",
            remedy="hold out fewer, or none, with --test",
        )
    return [base[place] for place in places], [base[place] for place in sorted(kept)]


def _drawn(frames: Sequence[Frame], seed: int, share: float) -> set[int]:
    """Give the places of so many frames, at least one, whatever the order of the frames.

    Raises
    ------
    aga.errors.InputError
        None would be left.
    """
    if not share:
        return set()
    count = max(1, round(share * len(frames)))
    if not 0 < share < 1 or count >= len(frames):
        raise InputError(
            f"holding out a share of {share:g} of {len(frames)} base frames: none is left to "
            "train on",
            remedy="hold out fewer, or none, with --test",
        )
    draws = [derive_seed(seed, "held out", frame.name) for frame in frames]
    return set(sorted(range(len(frames)), key=lambda place: draws[place])[:count])


def _refuse_known(base: Sequence[Frame], new: Sequence[Frame]) -> None:
    names = {frame.name for frame in base}
    found = [frame for frame in new if frame.name in names or any(_same(frame, b) for b in base)]
    if not found:
        return
    shown = ", ".join(frame.name for frame in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise DataError(
        f"{len(found)} of the new frames are in the base set already: {shown}{more}",
        remedy="leave them away in one of the two: what the base model was trained on is not new",
        frames=[frame.name for frame in found],
    )


def _same(one: Frame, other: Frame) -> bool:
    a, b = one.candidate, other.candidate
    return (
        np.array_equal(a.numbers, b.numbers)
        and bool(np.abs(a.cell - b.cell).max() <= TOLERANCE)
        and bool(np.abs(a.positions - b.positions).max() <= TOLERANCE)
    )
