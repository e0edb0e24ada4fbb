"""Answers of reference jobs on disk: what can't reach the database yet waits here, whole.

An answer stands under a digest of its question (structure, task, settings, pressure), so that it is
never given to another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from aga.config.schema import OracleSettings
from aga.oracle.base import disk_full_as_error
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label

__all__ = ["answer_digest", "load_answer", "save_answer"]

Task = Literal["label", "relax"]

_NOT_THE_ANSWER = {"timeout"}
"""Settings that decide whether there is an answer, not what it is."""


def answer_digest(
    candidate: Candidate, settings: OracleSettings, task: Task, pressure: float
) -> str:
    """Give the SHA-256 digest, in hexadecimal, of one question to the reference method.

    Parameters
    ----------
    candidate
        The structure; its name counts, its lineage does not.
    settings
        The reference method; its time limit does not count.
    task
        ``label`` or ``relax``.
    pressure
        eV/Å³.
    """
    structure = candidate.to_dict()
    del structure["lineage"]
    question = {
        "structure": structure,
        "settings": settings.model_dump(mode="json", exclude=_NOT_THE_ANSWER),
        "task": task,
        "pressure": float(pressure),
    }
    return _sha256(question)


def save_answer(path: Path, digest: str, candidate: Candidate | None, label: Label) -> None:
    """Write an answer so that it is there as a whole, also after a power cut, or not at all.

    Parameters
    ----------
    path
        File; its folder is made where it is missing.
    digest
        As :func:`answer_digest` gives it.
    candidate
        The relaxed structure; None for a single point.
    label
        Energy, forces and stress.

    Raises
    ------
    aga.errors.DiskFullError
        No space is left.
    OSError
        The folder can't be written.
    """
    answer = {
        "candidate": None if candidate is None else candidate.to_dict(),
        "label": label.to_dict(),
    }
    document = {"digest": digest, "checksum": _sha256(answer), "answer": answer}
    text = json.dumps(document, allow_nan=False) + "\n"
    with disk_full_as_error(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def load_answer(path: Path, digest: str) -> tuple[Candidate | None, Label] | None:
    """Read an answer: the relaxed structure (None for a single point) and the label.

    Returns None where there is no file, where it is torn, and where it answers another question.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        answer = document["answer"]
        if document["digest"] != digest or document["checksum"] != _sha256(answer):
            return None
        found = answer["candidate"]
        candidate = None if found is None else Candidate.from_dict(found)
        return candidate, Label.from_dict(answer["label"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sha256(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Let the new name in a folder survive a power cut, as the file's contents do."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
