"""What becomes of a candidate whose reference job died: the queue may have ended the whole job."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from aga.errors import OracleError
from aga.tasks.steps.reference import SIGNALS_TAKE, dropped


class Told(Exception):  # noqa: N818 - stands for the signal that reaches this process
    """The signal of the queue."""


def context() -> Any:
    """A step of kind ``label``, and a repository that notes what it is told."""
    step = SimpleNamespace(kind="label", key="g001-001")
    return SimpleNamespace(repository=Mock(), search_id="Si8-00000000", step=step)


def died(reason: Any) -> OracleError:
    return OracleError("pw.x ended with status -15", reason=reason)


@pytest.mark.parametrize("reason", ["crashed", "incomplete"])
def test_a_signal_that_arrives_a_moment_later_blames_no_candidate(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(seconds: float) -> None:
        assert seconds == SIGNALS_TAKE
        raise Told

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr("aga.tasks.steps.reference.time.sleep", signalled)
    given = context()
    with pytest.raises(Told):
        dropped(given, died(reason))
    assert given.repository.method_calls == []


@pytest.mark.parametrize(("reason", "job"), [("timeout", "7"), ("crashed", None)])
def test_without_a_queue_or_with_another_reason_nothing_is_waited_for(
    reason: str, job: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if job is not None:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setattr("aga.tasks.steps.reference.time.sleep", Mock(side_effect=AssertionError))
    given = context()
    result = dropped(given, died(reason))
    assert result["reason"] == reason
    assert result["evaluations"] == 1
    (failed,) = given.repository.mark_failed.call_args_list
    assert failed.args[:3] == ("Si8-00000000", "g001-001", reason)
