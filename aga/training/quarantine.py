"""Frames that are not learnt because they are wrong: found, left out and reported.

Focal weighting looks hardest at what fits worst. A bad label fits worst of all and for ever, so
that the training would chase it at the cost of everything else. A frame is left out where its
weighted loss has stayed at the cap for some looks, did not fall meanwhile, and its labels
contradict what the rest of the data says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from aga.structure.candidate import FloatArray
from aga.training.objective import Errors
from aga.training.state import TrainingState

__all__ = ["LOOKS", "Suspicion", "watch"]

LOOKS = 3
"""Looks in a row with a loss above the cap, after which a frame's labels are examined."""

STUCK = 0.5
"""A loss that fell below this share of what it was at the first of these looks is being learnt."""

SHARE = 0.1
"""Largest share of the frames that can be left out: beyond, the data is another than thought."""

_TIMES = 4.0
"""Errors so many times the median of all frames stand out."""

_UNEXPLAINED = 0.3
"""Share of the squared forces of a frame that a model should be able to explain but for this."""

_LEAST_FORCE, _LEAST_ENERGY = 0.1, 0.02
"""eV/Å and eV/atom: smaller errors are nobody's mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """How frames are watched: ``cap`` in median weighted losses."""

    cap: float


def watch(
    state: TrainingState, losses: FloatArray, errors: Errors, rule: Suspicion
) -> dict[int, str]:
    """Count looks at the cap and give the frames to leave out, with the reason.

    Parameters
    ----------
    state
        Of the training; its counters are brought up to date.
    losses, errors
        (F,) of all frames at this look.
    rule
        How to judge.

    Returns
    -------
    dict
        Reason by the place of the frame.
    """
    active = _active(state, len(losses))
    pull = losses * state.focal.numpy()  # what the training feels of each
    capped = active & (pull >= rule.cap * np.median(pull[active]))
    counts, before = state.capped.numpy().copy(), state.before.numpy().copy()
    before = np.where(counts == 0, losses, before)
    counts = np.where(capped, counts + 1, 0)
    due = counts >= LOOKS
    stuck = due & (losses > STUCK * before)
    # those that are being learnt are watched for as many looks again
    counts[due] = 0
    state.capped, state.before = torch.from_numpy(counts), torch.from_numpy(before)
    room = int(SHARE * len(losses)) - len(state.quarantined)
    found: dict[int, str] = {}
    for place in np.flatnonzero(stuck)[np.argsort(-losses[stuck])]:
        reason = _contradiction(int(place), errors, active)
        if reason is not None and len(found) < room:
            found[int(place)] = reason
    return found


def _active(state: TrainingState, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    active = np.ones(count, dtype=bool)
    active[[int(place) for place in state.quarantined]] = False
    return active


def _contradiction(
    place: int, errors: Errors, active: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> str | None:
    """Say in which way the labels of a frame contradict the rest, or None."""
    force, label = errors.force[place], errors.label[place]
    energy, energies = abs(errors.energy[place]), np.abs(errors.energy[active])
    if np.isfinite(force):
        usual = np.nanmedian(errors.force[active])
        if (
            force > max(_TIMES * usual, _LEAST_FORCE)
            and (force / max(label, 1e-12)) ** 2 > _UNEXPLAINED
        ):
            return (
                f"forces are off by {force:.2f} eV/Å (labels {label:.2f} eV/Å, "
                f"half of the frames within {usual:.2f})"
            )
    usual = np.median(energies)
    if energy > max(_TIMES * usual, _LEAST_ENERGY):
        return (
            f"energy is off by {1000 * energy:.0f} meV/atom "
            f"(half of the frames within {1000 * usual:.0f})"
        )
    return None
