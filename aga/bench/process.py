"""What only a process of its own shows: the way to the first energy, and the memory per atom."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the process that is measured imports this module
    from aga.bench.cases import Case

__all__ = ["fresh_process"]

_PROGRAM = "import sys; from aga.bench.process import child; child(sys.argv[1])"


def fresh_process(case: Case, rounds: int = 3) -> dict[str, float | None]:
    """Measure new processes that read a committee, wide form, and evaluate the case.

    One process before them compiles what is not on disk yet.

    Returns
    -------
    dict
        ``first_energy_s``: median seconds from the start of the interpreter to the first energy
        of one structure, ``first_import_s`` of them to import torch, numba and aga;
        ``memory_bytes_per_atom``: what an evaluation of all structures at once
        adds to the peak of the resident memory, per atom (None where the system can't say).
    """
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), case)
        _run(folder)
        found = [_run(folder) for _ in range(rounds)]
    memory = [said["memory"] for _, said in found if said["memory"] is not None]
    return {
        "first_energy_s": statistics.median(seconds for seconds, _ in found),
        "first_import_s": statistics.median(total - said["after"] for total, said in found),
        "memory_bytes_per_atom": statistics.median(memory) / case.atoms if memory else None,
    }


def _write(folder: Path, case: Case) -> None:
    for number, model in enumerate(case.models("wide")):
        (folder / f"{number}.model").write_bytes(model.to_bytes())
    structures = [candidate.to_dict() for candidate in case.candidates]
    (folder / "structures.json").write_text(json.dumps(structures))


def _run(folder: str) -> tuple[float, dict[str, Any]]:
    """Give the seconds to the first energy, and what the process said."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, folder], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above; mypy can't know
        process.stdout.readline()
        seconds = time.perf_counter() - start
        said = process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return seconds, json.loads(said)


def child(folder: str) -> None:
    """Evaluate the first structure, say its energy, then all: say the memory that took."""
    from aga.potential.batch import Batch  # noqa: PLC0415 - what it costs to import is measured
    from aga.potential.committee import NetworkCommittee  # noqa: PLC0415 - see above
    from aga.potential.model import Model  # noqa: PLC0415 - see above
    from aga.structure.candidate import Candidate  # noqa: PLC0415 - see above

    imported = time.perf_counter()
    files = sorted(Path(folder).glob("*.model"))
    committee = NetworkCommittee([Model.from_bytes(file.read_bytes()) for file in files])
    stored = json.loads((Path(folder) / "structures.json").read_text())
    candidates = [Candidate.from_dict(item) for item in stored]
    first = committee.evaluate(Batch.pack(candidates[:1]))
    sys.stdout.write(f"{first.energies[0]}\n")
    sys.stdout.flush()
    seconds = time.perf_counter() - imported
    batch = Batch.pack(candidates)
    before = _resident(reset=True)
    committee.evaluate(batch)
    after = _resident()
    memory = None if before is None or after is None else after - before
    sys.stdout.write(json.dumps({"after": seconds, "memory": memory}))


def _resident(*, reset: bool = False) -> int | None:
    """Give the peak of the resident memory in bytes since it was last reset (Linux)."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(found[0]) if found else None
