"""Errors on their way between processes: printed by a rank, found in a log, raised anew."""

from __future__ import annotations

import pytest

from aga import errors
from aga.errors import AgaError, DataError, OracleError, Problem, SettingsError
from aga.parallel.reports import rebuild, report_error, reported_error


def one_of_each() -> list[AgaError]:
    """Give an error of every class of the tree, with facts."""
    problem = Problem(key="search.formula", message="is wrong", file="a.yaml", line=3, hint="so")
    made: list[AgaError] = [
        SettingsError([problem, Problem(key="", message="is empty")]),
        OracleError("SCF did not converge", reason="not_converged", remedy="mix less", run="r1"),
    ]
    special = {type(error) for error in made}
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, AgaError) and kind not in special:
            made.append(kind(f"{name}: frames.xyz, frame 3:\nno energy “E”", remedy="do", frame=3))
    return made


@pytest.mark.parametrize("error", one_of_each(), ids=lambda error: type(error).__name__)
def test_an_error_arrives_with_its_type_facts_and_exit_code(
    error: AgaError, capsys: pytest.CaptureFixture[str]
) -> None:
    code = report_error(error)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    found = reported_error(f"pass 1\n[1] {printed}Abort(1) on node 1\n")
    assert type(found) is type(error)
    assert found is not None
    assert found.to_dict() == error.to_dict()
    assert code == found.exit_code == error.exit_code
    assert str(found) == str(error)


def test_what_the_constructors_of_subclasses_set_arrives_too() -> None:
    for error in one_of_each():
        found = rebuild(error.to_dict())
        assert vars(found) == vars(error)


def test_a_class_that_this_process_does_not_know_becomes_the_root() -> None:
    found = rebuild({**DataError("no energy").to_dict(), "error": "NewerError"})
    assert type(found) is AgaError
    assert found.message == "no energy"


def test_a_line_torn_by_another_rank_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    report_error(DataError("frame 3 has no energy"))
    line = capsys.readouterr().out
    assert reported_error(line[:30] + "pass 7\n" + line[30:]) is None
    found = reported_error(line[:30] + "\n" + line.rstrip("\n") + "pass 8\n")
    assert isinstance(found, DataError)
    assert reported_error("all is well\n") is None
