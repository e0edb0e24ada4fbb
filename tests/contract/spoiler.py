"""Runs a program and spoils what it has done: ``spoiler.py killed|cut|replay:FOLDER -- PROGRAM …``.

``killed``: after half of what it writes is lost, it ends as by SIGKILL. ``cut``: as before, but it
says that all is well. ``replay``: the program is not run; what another run left in FOLDER is given
out as its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

OURS = {"input.json", "state.json", "stderr.txt"}


def main(how: str, command: list[str]) -> int:
    before = {path.name for path in Path().iterdir()}
    if how.startswith("replay:"):
        return replay(Path(how.removeprefix("replay:")), before)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    sys.stdout.buffer.write(done.stdout[: len(done.stdout) // 2])
    sys.stdout.flush()
    for path in Path().iterdir():
        if path.is_file() and path.name not in before:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return 0


def replay(folder: Path, before: set[str]) -> int:
    """Put another run's files here; the one that takes our standard output goes there."""
    for path in folder.iterdir():
        if not path.is_file() or path.name in OURS:
            continue
        if path.name not in before:
            shutil.copy(path, path.name)
        elif path.name.endswith((".out", ".log", "stdout.txt")):
            sys.stdout.buffer.write(path.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[3:]))
