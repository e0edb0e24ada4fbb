"""A problem of one's own: what its file becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from aga.bench.search.arms import ARMS
from aga.bench.search.jobs import Job
from aga.bench.search.own_problem import load_problem
from aga.bench.search.problems import find_problems
from aga.errors import InputError, SettingsError
from aga.oracle.single_points import SINGLE_POINTS


def problem_file(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_problem_of_one_s_own(tmp_path: Path) -> None:
    text = """
composition: TiO2
answer: -39.8
answer_per: formula_unit
relaxations: 50
search: {formula_units: 2}
oracle: {engine: matsui-akaogi}
"""
    (own,) = find_problems([str(problem_file(tmp_path, text))])
    assert own.name == "mine"
    assert own.answer == pytest.approx(-39.8 / 3)
    assert own.relaxations == 50
    tree = Job(problem=own, arm=ARMS["ga"], seed=1).settings()
    assert tree.search.atom_counts() == {"O": 4, "Ti": 2}


def test_engines_that_are_no_calculators_are_asked_for_single_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_engine.py").write_text(
        "from aga.oracle.base import Engine\n"
        "class Own(Engine):\n"
        "    label = relax = lambda *_, **__: None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = "composition: Si8\noracle: {engine: 'own_engine:Own'}"
    asked = Job(problem=load_problem(problem_file(tmp_path, text)), arm=ARMS["ga"], seed=0)
    assert asked.settings().oracle.engine == SINGLE_POINTS
    assert asked.settings().oracle.options == {"engine": "own_engine:Own", "options": {}}
    text = "composition: Si8\noracle: {engine: tersoff}"
    plain = Job(problem=load_problem(problem_file(tmp_path, text)), arm=ARMS["ga"], seed=0)
    assert plain.settings().oracle.engine == "tersoff"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("answer: -1.0\n", "composition: is required"),
        ("composition: Si8\noracle: {engine: tersof}\n", "did you mean 'tersoff'"),
        ("composition: Si8\nanswer: low\n", "mine.yaml:2: answer: must be a number, got 'low'"),
        ("composition: Si8\nanswr: -4\n", "mine.yaml:2: answr: unknown key (did you mean answer?)"),
        ("composition: Xx8\n", "is not an element"),
        ("composition: Si8\nsearch: {relax_step: 3}\n", "search.relax_step"),
        ("- Si8\n", "must be keys such as"),
        ("composition: Ar4\noracle: {engine: lj-mixture}\n", "no parameters for Ar-Ar"),
    ],
)
def test_wrong_problems_are_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_problem(problem_file(tmp_path, text))
    assert told in caught.value.message


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        find_problems([str(tmp_path / "nothing.yaml")])
