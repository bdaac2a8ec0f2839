"""Named crash points: places where a kill test lets a process die by SIGKILL, to prove that nothing is lost there.

Off unless the deployment arms one (`DOSSIER_CRASH_POINT=point` or `point:n`, the n-th passing).
"""

import os
import signal
import sys

POINTS = ("before-commit", "after-commit", "after-publish", "before-acknowledge", "after-effect")

_armed: dict[str, int] = {}


def arm(crash_point: str | None) -> None:
    """Arm `point` or `point:n`: die when it is passed for the n-th time. None disarms."""
    _armed.clear()
    if crash_point:
        point, _, count = crash_point.partition(":")
        _armed[point] = int(count or 1)


def crash_point(point: str) -> None:
    """Die here by SIGKILL if this point is armed and its count is reached; the name is written to stderr first."""
    if point not in _armed:
        return
    _armed[point] -= 1
    if _armed[point] <= 0:
        sys.stderr.write(f'{{"event": "crash-point", "point": "{point}"}}\n')
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
