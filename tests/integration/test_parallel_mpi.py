"""Programs on several MPI ranks: sums, rows, and every way in which they end badly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import parallel_programs as programs
import psutil
import pytest

from aga.errors import DataError, MissingExecutableError, SiteError
from aga.parallel.launch import run_ranks

pytestmark = pytest.mark.mpi

LIMIT = 60.0
"""Seconds; a job that hangs fails its test by this."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Give a function that runs one of the programs on ranks and gives their output."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def start(*words: str, ranks: int = 2, **options: Any) -> str:
        log = tmp_path / "logs" / "ranks.log"
        run_ranks("parallel_programs", words, ranks=ranks, log=log, **{"timeout": LIMIT} | options)
        return log.read_text()

    return start


def wait_until(what: Callable[[], bool], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def gone(pids: list[int]) -> bool:
    return all(
        not psutil.pid_exists(p) or psutil.Process(p).status() == psutil.STATUS_ZOMBIE for p in pids
    )


def pids(folder: Path, count: int) -> list[int]:
    wait_until(lambda: len(list(folder.glob("*.pid"))) == count)
    return [int(file.read_text()) for file in folder.glob("*.pid")]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_sums_have_the_bits_of_a_sum_in_rank_order_on_every_rank(
    ranks: int, run: Callable[..., str], tmp_path: Path
) -> None:
    run("sums", str(tmp_path), ranks=ranks)
    expected = [array.copy() for array in programs.terms(0)]
    for rank in range(1, ranks):
        expected = [a + b for a, b in zip(expected, programs.terms(rank), strict=True)]
    expected += [*programs.terms(0), programs.rows()]
    for rank in range(ranks):
        with np.load(tmp_path / f"{rank}.npz") as file:
            found = [file[f"arr_{number}"] for number in range(len(expected))]
        for ours, true in zip(found, expected, strict=True):
            assert ours.shape == true.shape
            assert ours.tobytes() == true.tobytes()


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_log_has_the_output_of_all_ranks_and_is_written_anew(
    ranks: int, run: Callable[..., str]
) -> None:
    run("say", "before", ranks=ranks)
    said = sorted(run("say", "hello {ranks}; $HOME", ranks=ranks).splitlines())
    assert said == [
        f"hello {{ranks}}; $HOME from {rank} of {ranks} with 1 thread" for rank in range(ranks)
    ]


@pytest.mark.parametrize(("ranks", "who"), [(1, "0"), (2, "1"), (3, "0")])
def test_an_error_of_aga_on_a_rank_is_raised_with_its_type(
    ranks: int, who: str, run: Callable[..., str]
) -> None:
    with pytest.raises(DataError) as caught:
        run("refuse", who, ranks=ranks)
    error = caught.value
    assert error.message == "frames.xyz, frame 3: no energy"
    assert (error.remedy, error.facts, error.exit_code) == ("label it", {"frame": 3}, 2)
    assert "ranks.log" in error.__notes__[0]


def test_another_exception_on_one_rank_ends_all_and_is_quoted(run: Callable[..., str]) -> None:
    began = time.monotonic()
    with pytest.raises(SiteError, match="ZeroDivisionError: by nothing at all") as caught:
        run("stumble", ranks=3)
    assert time.monotonic() - began < LIMIT / 2
    assert caught.value.facts["status"] == 1
    assert caught.value.facts["log"].endswith("ranks.log")


def test_a_rank_that_is_killed_ends_all(run: Callable[..., str]) -> None:
    began = time.monotonic()
    with pytest.raises(SiteError, match="parallel_programs on 2 ranks ended with status") as caught:
        run("die")
    assert time.monotonic() - began < LIMIT / 2
    assert caught.value.facts["status"] != 0
    assert "use fewer ranks" in str(caught.value.remedy)


def test_a_time_limit_ends_all_ranks(run: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="took more than 4 s"):
        run("sleep", str(tmp_path), timeout=4.0)
    assert gone([int(file.read_text()) for file in tmp_path.glob("*.pid")])


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_ranks_end_with_the_process_that_started_them(
    sign: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    program = (
        "from pathlib import Path; from aga.parallel.launch import run_ranks; "
        f"run_ranks('parallel_programs', ['sleep', {str(tmp_path)!r}], ranks=2, "
        f"log=Path({str(tmp_path / 'log')!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as process:
        ranks = pids(tmp_path, 2)
        process.send_signal(sign)
        process.wait(timeout=20)
    assert process.returncode == -sign
    wait_until(lambda: gone(ranks), timeout=5)


def test_a_missing_launcher_is_named_with_what_to_do(run: Callable[..., str]) -> None:
    with pytest.raises(MissingExecutableError, match="'no-such-launcher'") as caught:
        run("say", "hello", command=("no-such-launcher", "-n", "{ranks}"))
    assert str(caught.value.remedy) == (
        "pip install mpi4py mpich, or set machine.mpi_command, or ranks to 1"
    )


def test_a_launcher_given_by_the_settings_gets_the_number_of_ranks(
    run: Callable[..., str],
) -> None:
    said = run("say", "hello", ranks=3, command=("mpiexec", "-l", "-np", "{ranks}"))
    assert "[2] hello from 2 of 3" in said


def test_a_launcher_of_another_mpi_is_refused(run: Callable[..., str]) -> None:
    """It starts processes that know nothing of each other; each would take itself for rank 0."""
    other = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    with pytest.raises(SiteError, match="asked for 2 ranks, but MPI has 1"):
        run("say", "hello", command=(sys.executable, "-c", other))


def test_ranks_inside_a_rank_are_their_own(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PMI_RANK": "1", "PMI_SIZE": "2", "PMI_FD": "9"}.items():
        monkeypatch.setitem(os.environ, name, value)
    assert "hello from 0 of 1" in run("say", "hello", ranks=1)
    assert "hello from 2 of 3" in run("say", "hello", ranks=3)
