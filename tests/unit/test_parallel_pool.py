"""Jobs in worker processes: order, progress, errors, deaths, interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import parallel_jobs as jobs_for
import psutil
import pytest
from test_parallel_reports import one_of_each

from aga.errors import AgaError, DataError, SiteError
from aga.parallel.pool import run_each


def gone(pids: list[int]) -> bool:
    return all(
        not psutil.pid_exists(p) or psutil.Process(p).status() == psutil.STATUS_ZOMBIE for p in pids
    )


def wait_until(what: Callable[[], bool], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def written(files: list[str]) -> list[int]:
    """Give the process identifiers in the files, once all are there."""
    wait_until(lambda: all(Path(file).exists() and Path(file).read_text() for file in files))
    return [int(Path(file).read_text()) for file in files]


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    jobs = [(number, 0.1 if number == 0 else 0.0) for number in range(5)]
    heard: list[tuple[int, int]] = []
    found = run_each(
        jobs_for.counted, jobs, processes=processes, progress=lambda *said: heard.append(said)
    )
    assert [result["square"] for result in found] == [0, 1, 4, 9, 16]
    for number in range(5):
        assert [value for job, value in heard if job == number] == [0, 1, 2]
    pids = {result["pid"] for result in found}
    assert len(pids) == processes
    if processes == 1:
        assert pids == {os.getpid()}
    else:
        assert {result["threads"] for result in found} == {"1"}
        assert gone(list(pids))


def test_a_single_job_and_no_job_need_no_worker() -> None:
    assert run_each(jobs_for.counted, [], processes=3) == []
    (found,) = run_each(jobs_for.counted, [(3, 0.0)], processes=3)
    assert found["pid"] == os.getpid()


def test_progress_is_heard_while_the_job_works_and_in_the_thread_that_called() -> None:
    heard: list[tuple[float, int]] = []

    def hear(job: int, value: int) -> None:
        heard.append((time.monotonic(), threading.get_ident()))

    run_each(jobs_for.counted, [(1, 0.3), (2, 0.3)], processes=2, progress=hear)
    assert {thread for _, thread in heard} == {threading.get_ident()}
    assert heard[-1][0] - heard[0][0] > 0.4  # of the first and the last word of a job: 0.6 s


@pytest.mark.parametrize("error", one_of_each(), ids=lambda error: type(error).__name__)
def test_an_error_of_aga_is_raised_with_its_type_and_facts(error: AgaError) -> None:
    with pytest.raises(AgaError) as caught:
        run_each(jobs_for.refused, [None, error.to_dict()], processes=2)
    assert type(caught.value) is type(error)
    assert vars(caught.value) == vars(error)


def test_other_exceptions_keep_their_type_and_show_where_they_were_raised() -> None:
    with pytest.raises(ZeroDivisionError, match="by nothing") as caught:
        run_each(jobs_for.failing, [ZeroDivisionError("by nothing"), None], processes=2)
    assert "in failing" in caught.value.__notes__[0]


def test_an_exception_that_can_not_be_rebuilt_gives_its_text() -> None:
    text = r"(?s)job [12] of 2 failed.*AwkwardError: 7 atoms are too many"
    with pytest.raises(RuntimeError, match=text):
        run_each(jobs_for.awkward, [7, 7], processes=2)


def test_what_can_not_be_packed_is_an_error_and_no_hang() -> None:
    with pytest.raises(Exception, match=r"(?i)pickle"):
        run_each(jobs_for.odd_result, [1, 2], processes=2)
    with pytest.raises(Exception, match=r"(?i)pickle"):
        run_each(lambda job, _: job, [1, 2], processes=2)


def test_an_error_ends_the_other_jobs_at_once(tmp_path: Path) -> None:
    file = str(tmp_path / "pid")
    began = time.monotonic()
    with pytest.raises(DataError, match="frame 3"):
        run_each(jobs_for.refused_beside_a_sleeper, [file, ""], processes=2)
    assert time.monotonic() - began < 20
    assert not Path(file).exists() or gone(written([file]))


@pytest.mark.parametrize(
    ("death", "how", "remedy"),
    [
        (signal.SIGKILL, "was killed by SIGKILL", "use fewer processes"),
        (signal.SIGSEGV, "was killed by SIGSEGV", "what it wrote"),
        ("7", "ended with status 7", "what it wrote"),
    ],
)
def test_a_worker_that_dies_is_an_error_with_what_to_do(
    death: int | str, how: str, remedy: str
) -> None:
    with pytest.raises(SiteError, match=f"job 2 of 3 {how}") as caught:
        run_each(jobs_for.dying, [0, death, 0], processes=2)
    assert remedy in str(caught.value.remedy)
    assert caught.value.facts["job"] == 1


def test_a_process_that_a_dead_worker_left_behind_does_not_make_us_wait(tmp_path: Path) -> None:
    file = str(tmp_path / "pid")
    try:
        with pytest.raises(SiteError, match="was killed by SIGKILL"):
            run_each(jobs_for.dead_with_a_child_left, [file, ""], processes=2)
        assert not gone(written([file]))
    finally:
        os.kill(*written([file]), signal.SIGKILL)


def test_an_interruption_ends_the_workers(tmp_path: Path) -> None:
    files = [str(tmp_path / "0"), str(tmp_path / "1")]

    def interrupt(job: int, value: object) -> None:
        written(files)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_each(jobs_for.sleeping, files, processes=2, progress=interrupt)
    assert gone(written(files))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_workers_end_with_the_process_that_started_them(
    sign: signal.Signals, tmp_path: Path
) -> None:
    files = [str(tmp_path / "0"), str(tmp_path / "1")]
    # No guard against being imported: the workers do not run the script again.
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from parallel_jobs import sleeping\nfrom aga.parallel.pool import run_each\n"
        f"run_each(sleeping, {files!r}, processes=2)\n"
    )
    with subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL) as process:
        pids = written(files)
        process.send_signal(sign)
        process.wait(timeout=20)
    assert process.returncode == -sign
    wait_until(lambda: gone(pids), timeout=5)
