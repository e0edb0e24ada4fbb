"""One worker of a benchmark of the schedule: ``python -m aga.bench.schedule.worker FILE``.

It imports and connects, says so by a file, and begins when the benchmark does.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from aga.bench.schedule.reference import SlowTersoff
from aga.bench.schedule.steps import Pace, paced_steps
from aga.store.monitor import count_commands
from aga.tasks.session import open_session
from aga.tasks.worker import WorkerOptions, work

__all__ = ["main"]


def main(file: Path) -> None:
    """Work as the file says, and leave beside it what that cost."""
    order = json.loads(file.read_text(encoding="utf-8"))
    commands = count_commands()  # before the first connection
    session = open_session(order["database"])
    session.launchpad.steps = paced_steps(Pace.from_dict(order["pace"]))
    options = WorkerOptions(
        categories=[order["category"]],
        search_id=order["search"],
        launch_dir=file.with_suffix(""),
        max_idle=order["max_idle"],
        recover_every=order["recover_every"],
        follow_parent=True,
    )
    file.with_suffix(".ready").touch()
    while not Path(order["start"]).exists():
        time.sleep(0.05)
    commands.clear()
    before = _cpu()
    jobs = work(session.repository, session.launchpad, options)
    report = {
        "pid": os.getpid(),
        "jobs": jobs,
        "cpu": _cpu() - before - SlowTersoff.spent,
        "commands": dict(commands),
    }
    file.with_suffix(".report").write_text(json.dumps(report), encoding="utf-8")


def _cpu() -> float:
    """Give the processor seconds of this process and of the programs that it has run."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
