"""Handing a script to the queue: `sbatch`, and what its refusals mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aga.errors import AgaError, InputError, UnavailableError
from aga.slurm.command import run

__all__ = ["refusal", "submit_script", "try_script"]

_SUBMITTED = re.compile(r"Submitted batch job\s+(\d+)")

_ASSOCIATIONS = "`sacctmgr show assoc user=$USER format=account,partition,qos` lists yours"

_REMEDIES: Sequence[tuple[str, str]] = (
    ("invalid partition", "`sinfo -s` lists the partitions; correct `queue`"),
    ("invalid account", f"{_ASSOCIATIONS}; correct `account`"),
    ("invalid qos", f"{_ASSOCIATIONS}; correct `qos`"),
    ("time limit", "`sinfo -o '%P %l'` lists the limits; correct `walltime`"),
    ("node configuration", "no node has as much: correct `ntasks`, `cpus_per_task`, `mem`, `gres`"),
    ("more processors", "correct `nodes`, `ntasks` and `cpus_per_task`"),
    ("memory", "correct `mem`"),
    ("gres", "correct `gres`"),
)
_LATER = ("policy", "submit limit", "temporarily", "too many", "try again", "slots")


def submit_script(script: Path, *, adapter: str) -> str:
    """Submit a script; give the job's identifier.

    Parameters
    ----------
    script
        The file; output files land beside where the command is given.
    adapter
        File that the script was made from: errors name it.

    Raises
    ------
    aga.errors.UnavailableError
        The queue does not answer, or takes no more jobs for the moment. Where it did not answer
        in time the job may be in the queue all the same: it shows itself once it starts.
    aga.errors.InputError
        SLURM refuses the script; the message is its own.
    """
    answer = run("sbatch", str(script), timeout=60.0)
    found = _SUBMITTED.search(answer.output)
    if answer.status != 0 or found is None:
        raise refusal(answer.error or answer.output.strip(), adapter)
    return found[1]


def try_script(script: Path, *, adapter: str) -> str:
    """Let SLURM check a script without submitting it; give what it says.

    Raises
    ------
    aga.errors.UnavailableError, aga.errors.InputError
        As :func:`submit_script`.
    """
    answer = run("sbatch", "--test-only", str(script))
    if answer.status != 0:
        raise refusal(answer.error, adapter)
    return answer.error.replace("sbatch: ", "").strip()


def refusal(said: str, adapter: str) -> AgaError:
    """Give the error for what `sbatch` says of a script it does not take."""
    text = " ".join(said.replace("sbatch: error: ", "").replace("sbatch: ", "").split())
    lower = text.lower()
    if any(word in lower for word in _LATER):
        return UnavailableError(
            f"SLURM takes no more jobs for now: {text}",
            remedy="submit fewer, or wait until some have ended (`aga jobs list`)",
            said=text,
        )
    advice = next((remedy for words, remedy in _REMEDIES if words in lower), "correct the settings")
    return InputError(f"SLURM refuses the job: {text}", remedy=f"{advice} in {adapter}", said=text)
