"""A SLURM of four nodes on this machine, with its own daemons, ports and folders."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from aga.cli.main import main
from aga.parallel import die_with_parent
from aga.tasks.adapter import FILES

NODES, CORES = 4, 2
GUARD = (sys.executable, "-I", "-S", str(Path(die_with_parent.__file__)))
PARTITIONS = (
    "PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=10 State=UP",
    "PartitionName=short Nodes=ALL MaxTime=1 PriorityTier=10 State=UP",
    "PartitionName=preempt Nodes=aga4 MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE State=UP",
    "PartitionName=urgent Nodes=aga4 MaxTime=INFINITE PriorityTier=20 PreemptMode=OFF State=UP",
)
CONFIGURATION = """\
ClusterName=aga
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={munge},cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/slurmd.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
MailProg=/bin/true
TmpFS={folder}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=0
KillWait=20
OverTimeLimit=0
MinJobAge=3600
JobRequeue=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
{nodes}
{partitions}
"""


class Cluster:
    """The daemons; started and stopped as a whole, single nodes may be lost and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.munge = folder, folder / "munge" / "socket"
        self.path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.configuration = folder / "slurm.conf"
        self.host = socket.gethostname().partition(".")[0]

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.configuration)}

    def start(self) -> None:
        self._start_munge()
        ports = free_ports(1 + NODES)
        nodes = [
            f"NodeName=aga{i} NodeHostname={self.host} NodeAddr=127.0.0.1 Port={ports[i]} "
            f"CPUs={CORES} Boards=1 SocketsPerBoard=1 CoresPerSocket={CORES} ThreadsPerCore=1 "
            "RealMemory=4000 State=UNKNOWN"
            for i in range(1, NODES + 1)
        ]
        self.configuration.write_text(
            CONFIGURATION.format(
                host=self.host,
                port=ports[0],
                munge=self.munge,
                folder=self.folder,
                nodes="\n".join(nodes),
                partitions="\n".join(PARTITIONS),
            )
        )
        (self.folder / "ctld").mkdir()
        self._daemon("slurmctld", "-D", "-i", "-f", str(self.configuration))
        for i in range(1, NODES + 1):
            self.start_node(f"aga{i}")
        self.wait_for(lambda: self.says("sinfo -h -p debug -t idle -o %D") == str(NODES))

    def start_node(self, name: str) -> None:
        (self.folder / f"slurmd.{name}").mkdir(exist_ok=True)
        self._daemon(name, "slurmd", "-D", "-N", name, "-f", str(self.configuration))

    def lose_node(self, name: str) -> None:
        """Kill a node with everything that runs on it, and let the controller know."""
        daemon = self.daemons.pop(name)
        stepds = [p for p in psutil.process_iter(["cmdline"]) if is_step_of(p, self.folder, name)]
        daemon.kill()
        daemon.wait()
        for stepd in stepds:
            for process in [*stepd.children(recursive=True), stepd]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.says(f"scontrol update nodename={name} state=down reason=lost")

    def return_node(self, name: str) -> None:
        self.start_node(name)
        self.says(f"scontrol update nodename={name} state=resume")
        self.wait_for(lambda: self.says(f"sinfo -h -n {name} -p debug -o %T") == "idle")

    def says(self, command: str, *, check: bool = False) -> str:
        """Run a command of SLURM and give what it prints."""
        done = subprocess.run(
            command.split(),
            env={**os.environ, "PATH": self.path, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )
        return done.stdout.strip()

    def state(self, job: str) -> str:
        return self.says(f"squeue -h -t all -j {job} -o %T")

    def wait_for(self, what: Callable[[], Any], timeout: float = 60) -> Any:
        deadline = time.monotonic() + timeout
        while not (found := what()):
            if time.monotonic() > deadline:
                queue = self.says("squeue -t all")
                raise AssertionError(f"it did not come to that; the queue:\n{queue}")
            time.sleep(0.1)
        return found

    def clear(self) -> None:
        """End all jobs, and wait until no process of theirs is left."""
        self.says("scancel --user=root")
        self.wait_for(lambda: not self.says("squeue -h"))

    def stop(self) -> None:
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.clear()
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start_munge(self) -> None:
        folder = self.munge.parent
        folder.mkdir()
        key = folder / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = [f"--{k}-file={folder / k}" for k in ("key", "pid", "seed", "log")]
        self._daemon("munged", "--foreground", "--force", f"--socket={self.munge}", *files)
        self.wait_for(self.munge.exists, 10)

    def _daemon(self, name: str, *words: str) -> None:
        command = words if words[0] == "slurmd" else (name, *words)
        program = shutil.which(command[0], path=self.path)
        assert program is not None
        with (self.folder / f"{name}.output").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                [*GUARD, str(os.getpid()), program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def is_step_of(process: psutil.Process, folder: Path, node: str) -> bool:
    """Tell whether a process is a job's keeper (slurmstepd) on one of our nodes."""
    with suppress(psutil.Error):
        if not process.name().startswith("slurmstepd"):
            return False
        return process.environ().get("SLURMD_NODENAME") == node or any(
            str(folder / f"slurmd.{node}") in file.path for file in process.open_files()
        )
    return False


def free_ports(count: int) -> list[int]:
    """Give ports that nobody uses at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


ENGINE = '''\
"""Tersoff silicon that takes as many seconds as the file `seconds` beside it says, and tells."""

import os
import time
from pathlib import Path

from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
    Tersoff_PRB_39_5566_Si_C,
)

HERE = Path(__file__).parent


class Sleepy(Manybody):
    def __init__(self):
        super().__init__(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))

    def calculate(self, atoms, properties, system_changes):
        who = f"{atoms.get_volume():.9f} {os.environ.get('SLURM_JOB_ID')}\\n"
        tell("begun", who)
        time.sleep(float((HERE / "seconds").read_text()))
        super().calculate(atoms, properties, system_changes)
        tell("ended", who)


def tell(name, line):
    with (HERE / name).open("a") as stream:
        stream.write(line)
'''


class QueuedSearch:
    """A small search whose jobs are submitted from the files of the package, made to fit here.

    ``seconds`` are how long a reference job takes; ``calls`` tells those begun and ended.
    """

    def __init__(self, cluster: Cluster, search: Any, folder: Path) -> None:
        self.cluster, self.search, self.folder = cluster, search, folder
        self.id, self.repository = search.id, search.repository
        (folder / "sleepy.py").write_text(ENGINE)
        self.takes(0.0)

    def takes(self, seconds: float) -> None:
        draft = self.folder / "seconds.part"
        draft.write_text(str(seconds))
        draft.replace(self.folder / "seconds")

    def calls(self, which: str) -> list[str]:
        file = self.folder / which
        return file.read_text().splitlines() if file.exists() else []

    def files(self, **changes: Any) -> Path:
        """Write adapters for this cluster: keys are those of the adapter, ``words`` are added
        to the line that starts the worker."""
        folder = self.folder / "slurm"
        folder.mkdir(exist_ok=True)
        values = {
            "queue": "debug",
            "walltime": "10",
            "cpus_per_task": 1,
            "ntasks": 1,
            "mem": None,
            "signal": "B:USR1@30",
            "words": "--max-idle 2 --margin 15",
            **changes,
        }
        words = values.pop("words")
        for source in FILES.glob("*.yaml"):
            content = YAML(typ="safe").load(source.read_text())
            if not source.stem.startswith("fworker"):
                head = "".join(f"{x}\n" for x in content["pre_rocket"].splitlines() if "#SB" in x)
                pad = f"launchpad={self.folder}/my_launchpad.yaml"
                path = f'export PATH="{Path(sys.executable).parent}:$PATH"'
                content |= values | {"pre_rocket": f"{head}{path}\n{pad}\n"}
                content["rocket_launch"] += f" {words}"
            with (folder / source.name).open("w") as stream:
                YAML(typ="safe").dump(content, stream)
        name = self.search.uri.rpartition("/")[2]
        pad = {"host": self.search.uri, "name": name, "uri_mode": True}
        with (self.folder / "my_launchpad.yaml").open("w") as stream:
            YAML(typ="safe").dump(pad, stream)
        return folder

    def submit(self, *words: str, **changes: Any) -> list[str]:
        """Submit jobs with ``aga submit``; give their identifiers."""
        before = {job.id for job in self.repository.list_jobs()}
        files = self.files(**changes)
        assert main(["submit", self.id, *words, "--files", str(files)]) == 0
        return [job.id for job in self.repository.list_jobs() if job.id not in before]

    def steps(self, kind: str = "label") -> list[Any]:
        return list(self.repository.list_steps(self.id, kind=kind))

    def states(self, kind: str = "label") -> list[str]:
        return [step.state for step in self.steps(kind)]

    def held_by(self, job: str) -> list[Any]:
        """Give the steps in the hands of a job whose reference calculation has begun."""
        begun = any(line.endswith(f" {job}") for line in self.calls("begun"))
        held = [s for s in self.steps() if s.state == "running" and s.worker.job == job]
        return held if begun else []

    def log(self, job: str) -> str:
        found = self.repository.get_job(job)
        return "".join(Path(p).read_text() for p in (found.stdout, found.stderr) if p)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A SLURM for all tests."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def queued(
    slurm: Cluster,
    new_search: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[QueuedSearch]:
    """Give a small search that stands before its first reference jobs, and an empty queue."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sleepy.py").write_text(ENGINE)
    monkeypatch.delitem(sys.modules, "sleepy", raising=False)
    search = new_search(oracle="sleepy:Sleepy")
    monkeypatch.setenv("AGA_DATABASE", search.uri)
    yield QueuedSearch(slurm, search, tmp_path)
    slurm.clear()
