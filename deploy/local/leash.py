"""Starts a server that dies with its parent: `python leash.py SIGNAL PARENT_PID COMMAND…` becomes COMMAND.

The kernel sends SIGNAL to COMMAND when the thread that started it is gone, also after kill -9 (prctl(2),
PR_SET_PDEATHSIG). A program of its own, because code between fork and exec is unsafe in a process with threads.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(signal_number: int, parent: int, command: list[str]) -> None:
    """Becomes `command`; exits 1 if the parent died before the leash was on."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 (no shell is the point)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
