"""Labelled frames: refusing bad ones, setting some aside for validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from aga.errors import DataError
from aga.rng import derive_seed
from aga.structure.protocols import Frame

__all__ = ["SHOWN", "check_frames", "frame_numbers", "refusal", "split_frames"]

SHOWN = 10
"""Problems that an error message lists in full."""


def check_frames(frames: Sequence[Frame], elements: Sequence[str] | None = None) -> None:
    """Refuse frames that can't be trained on.

    Parameters
    ----------
    frames
        Labelled structures; the number in a message is the place in this sequence.
    elements
        Element symbols of the search; any other is refused. Not checked where None.

    Raises
    ------
    aga.errors.DataError
        No frame at all, or an energy, force or stress that isn't finite, an array of the wrong
        shape, or an element outside the search; lists every such frame with its source.
    """
    if not frames:
        raise DataError("there is no labelled frame to train on")
    problems = [
        (frame.source, index, what)
        for index, frame in enumerate(frames)
        for what in _problems(frame, elements)
    ]
    if problems:
        raise refusal(problems)


def _problems(frame: Frame, elements: Sequence[str] | None) -> Iterable[str]:
    if not np.isfinite(frame.energy):
        yield f"the energy is {frame.energy}"
    shapes = (
        ("forces", frame.forces, (len(frame.candidate), 3)),
        ("stress", frame.stress, (6,)),
    )
    for name, array, shape in shapes:
        if array is None:
            continue
        if array.shape != shape:
            yield f"{name} have shape {array.shape} instead of {shape}"
        elif not np.isfinite(array).all():
            yield f"{name} hold a value that isn't finite"
    unknown = sorted(set(frame.candidate.symbols) - set(elements or frame.candidate.symbols))
    if unknown:
        yield f"{', '.join(unknown)} does not belong to the search ({', '.join(elements or ())})"


def refusal(
    problems: Sequence[tuple[str, int, str]], remedy: str = "correct or remove these frames"
) -> DataError:
    """Put problems, each with its file and frame number, into one error."""
    lines = [f"{source}, frame {index}: {what}" for source, index, what in problems]
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return DataError(
        "\n".join(lines[:SHOWN] + more),
        remedy=remedy,
        frames=[
            {"file": source, "frame": index, "problem": what}
            for source, index, what in problems[:SHOWN]
        ],
    )


def frame_numbers(frames: Sequence[Frame]) -> list[int]:
    """Give the place of each frame in its own file, of which all names have the same stem."""
    seen: Counter[tuple[str, str]] = Counter()
    numbers = []
    for frame in frames:
        key = (frame.source, frame.name.rpartition("-")[0])
        numbers.append(seen[key])
        seen[key] += 1
    return numbers


def split_frames(
    frames: Sequence[Frame], fraction: float, *, seed: int, member: int
) -> tuple[list[int], list[int]]:
    """Set frames aside that only stop the training of one member.

    Whether a frame is one of them depends on seed, member and the frame's name alone, so a
    frame keeps its side when others join, and a retraining from earlier weights never
    validates on what those weights were fitted to.

    Returns
    -------
    training, validation
        Places of the frames. All train where the draw would leave fewer than two.
    """
    training: list[int] = []
    validation: list[int] = []
    for place, frame in enumerate(frames):
        draw = derive_seed(seed, "validation", member, frame.name) / 2.0**63
        (validation if draw < fraction else training).append(place)
    if len(training) < min(2, len(frames)):
        return list(range(len(frames))), []
    return training, validation
