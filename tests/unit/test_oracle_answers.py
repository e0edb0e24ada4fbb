"""Answers of reference jobs on disk: whole or absent, and never another question's."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aga.config.schema import OracleSettings
from aga.errors import DiskFullError
from aga.oracle.answers import answer_digest, load_answer, save_answer
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Label

SILICON = Candidate.from_ase(bulk("Si", a=5.4), name="g001-003")
ANSWER = Label(
    energy=-215.123456789012345,
    forces=np.array([[0.1, -0.2, 1 / 3], [-0.1, 0.2, -1 / 3]]),
    stress=np.arange(6) / 7,
    evaluations=3,
    seconds=1.5,
    details={"engine": "espresso", "repairs": []},
)


def digest(
    candidate: Candidate = SILICON, task: str = "label", pressure: float = 0.0, **settings: object
) -> str:
    values = {"engine": "espresso", "options": {"ecutwfc": 20}} | settings
    chosen = OracleSettings.model_validate(values)
    return answer_digest(candidate, chosen, task, pressure)  # type: ignore[arg-type] # a word


def test_an_answer_comes_back_bit_by_bit(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answer.json"
    save_answer(path, digest(), None, ANSWER)
    found = load_answer(path, digest())
    assert found is not None
    candidate, label = found
    assert candidate is None
    assert label.energy == ANSWER.energy
    np.testing.assert_array_equal(label.forces, ANSWER.forces)
    np.testing.assert_array_equal(label.stress, ANSWER.stress)
    assert (label.evaluations, label.seconds, label.details) == (3, 1.5, ANSWER.details)


def test_a_relaxed_structure_comes_back_with_it(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    save_answer(path, digest(task="relax"), SILICON, ANSWER)
    save_answer(path, digest(task="relax"), SILICON, ANSWER)  # once more does no harm
    found = load_answer(path, digest(task="relax"))
    assert found is not None
    assert found[0] is not None
    assert found[0].to_dict() == SILICON.to_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["answer.json"]


def test_another_question_gets_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    save_answer(path, digest(), None, ANSWER)
    moved = SILICON.moved(SILICON.positions + np.array([[0, 0, 0], [0, 0, 1e-12]]))
    others = [
        digest(candidate=moved),
        digest(candidate=SILICON.renamed("g001-004")),
        digest(task="relax"),
        digest(pressure=0.1),
        digest(engine="tersoff", options={}),
        digest(options={"ecutwfc": 21}),
        digest(max_force=50),
    ]
    assert len({digest(), *others}) == 8
    assert [load_answer(path, other) for other in others] == [None] * 7


def test_what_changes_no_answer_changes_no_digest() -> None:
    lineage = Lineage(operator="random", generation=3)
    assert digest(candidate=SILICON.renamed(SILICON.name, lineage)) == digest()
    assert digest(timeout=5) == digest()


def test_a_missing_or_torn_file_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    assert load_answer(path, digest()) is None
    assert load_answer(tmp_path, digest()) is None  # a folder
    save_answer(path, digest(), SILICON, ANSWER)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:length])
        assert load_answer(path, digest()) is None
    document = json.loads(whole)
    document["answer"]["label"]["energy"] += 1e-9
    path.write_text(json.dumps(document))
    assert load_answer(path, digest()) is None
    path.write_bytes(b"\x00" * len(whole))
    assert load_answer(path, digest()) is None


def test_a_full_disk_leaves_the_old_answer_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answer.json"
    save_answer(path, digest(), None, ANSWER)
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        save_answer(path, digest(pressure=1.0), None, ANSWER)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["answer.json"]
