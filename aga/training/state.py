"""Where a training stands, and how it is kept: a file that is whole or is not read.

A checkpoint is one safetensors file of tensors and one JSON text, with a SHA-256 over both. It
is written beside its place and moved there, the one before is kept: whatever moment a process
is killed at, the last or the last but one is whole. No code is stored and none is run on reading.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

__all__ = ["Checkpoint", "TrainingState", "remove_checkpoint"]

log = logging.getLogger(__name__)

SCHEMA = 1

_KEY = "aga_training"


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Everything that the rest of a training follows from.

    ``vector`` (P,) parameters; ``passes`` and ``steps`` done; ``losses`` (F,) of the last pass,
    empty before the first; ``focal`` (F,) weights of the last pass; ``capped`` (F,) looks in a
    row at which a frame's loss was above the cap, ``before`` (F,) the loss at the first of them;
    ``quarantined`` reason by place; ``best`` parameters and their loss, ``age`` passes since;
    ``history`` of the looks; ``weights`` focal weights by look, (looks, F); ``method`` what the
    optimizer remembers; ``finished`` nothing is left to do.
    """

    vector: Tensor
    passes: int = 0
    steps: int = 0
    losses: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    focal: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    capped: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    before: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    quarantined: dict[str, str] = field(default_factory=dict)
    best: Tensor | None = None
    best_loss: float = float("inf")
    age: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    weights: Tensor = field(default_factory=lambda: torch.zeros((0, 0), dtype=torch.float32))
    method: Any = None
    finished: bool = False
    diverged: str | None = None


class Checkpoint:
    """The file that a training is kept in.

    Parameters
    ----------
    path
        Where; the one before has ``.previous`` added to its name.
    digest
        Of frames, recipe and member: another training's file is not taken up.
    every
        Seconds between two writings. What is lost with them is computed again, to the same bits.
    """

    def __init__(self, path: Path, digest: str, every: float = 5.0) -> None:
        self.path, self.digest, self.every = path, digest, every
        self._saved = time.monotonic()
        self._previous = _before(path)

    def save(self, state: TrainingState) -> None:
        """Write the state if it is time to; it is there whole, or the one before is."""
        if not state.finished and time.monotonic() - self._saved < self.every:
            return
        content = self._to_bytes(state)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex[:12]}.part")
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if self.path.exists():
            self.path.replace(self._previous)
        draft.replace(self.path)
        self._saved = time.monotonic()

    def load(self) -> TrainingState | None:
        """Read the last state that is whole, or None; tell of one that isn't."""
        for path in (self.path, self._previous):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            state = self._from_bytes(content, path)
            if state is not None:
                return state
        return None

    def _to_bytes(self, state: TrainingState) -> bytes:
        tensors: dict[str, Tensor] = {}
        values = {
            name: _packed(getattr(state, name), name, tensors)
            for name in state.__dataclass_fields__
        }
        text = json.dumps({"schema": SCHEMA, "digest": self.digest, "state": values})
        header = {"content": text, "sha256": _checksum(text, tensors)}
        return bytes(save(tensors, metadata={_KEY: json.dumps(header)}))

    def _from_bytes(self, content: bytes, path: Path) -> TrainingState | None:
        try:
            tensors = load(content)
            length = int.from_bytes(content[:8], "little")
            header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_KEY])
            text, said = header["content"], json.loads(header["content"])
            whole = header["sha256"] == _checksum(text, tensors)
            schema, digest = said["schema"], said["digest"]
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            log.warning("%s: no whole checkpoint (%s); the one before is taken", path, error)
            return None
        if not whole or schema != SCHEMA:
            why = f"schema {schema}" if whole else "its checksum is wrong"
            log.warning("%s: no checkpoint of this version (%s)", path, why)
            return None
        if digest != self.digest:
            log.warning("%s: of other frames or settings; the training begins anew", path)
            return None
        return TrainingState(**{k: _unpacked(v, tensors) for k, v in said["state"].items()})


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and the one before, where there are any."""
    for file in (path, _before(path)):
        file.unlink(missing_ok=True)


def _before(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401 - nested plain values
    """Give JSON values in which tensors are named, and collect these."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"map": [[k, _packed(v, f"{name}.{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_packed(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]}
    return value


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401 - nested plain values
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "map" in value:
        return {key: _unpacked(item, tensors) for key, item in value["map"]}
    return [_unpacked(item, tensors) for item in value["list"]]


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name}:{tuple(tensors[name].shape)}:".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
