"""Start a program that the kernel ends when the process that asked for it dies.

Run as a script, in its own interpreter: ``python die_with_parent.py PARENT PROGRAM [ARG…]``.
Without it, a worker that is killed leaves its DFT run behind, holding a processor for hours.
(A hook between fork and exec would do the same, but is unsafe beside threads.)
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>
CANNOT_START = 127  # as shells have it


def main(argv: list[str]) -> int:
    """Become the program; return only where it can't be started."""
    parent, command = int(argv[1]), argv[2:]
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would inherit that
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            return 128 + signal.SIGTERM
    try:
        os.execvp(command[0], command)  # noqa: S606 - a program without a shell is what is wanted
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
    return CANNOT_START


if __name__ == "__main__":
    sys.exit(main(sys.argv))
