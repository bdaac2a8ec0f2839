"""How a command that somebody types ends: with an exit code and a sentence, not with a traceback for what they did."""

import os
import select
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130
"""128 + SIGINT, as shells count it."""
UNREAD = 141
"""128 + SIGPIPE."""


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run `main` and end the process with the code that it returns.

    After Ctrl-C that is 130, with a word. Where whoever read our standard output has gone, as `head` does, it is 141,
    without one: there is nobody to hear it. What is closed from the beginning (`>&-`) is
    as /dev/null: nobody wants to read it.
    """
    _stand_in_for_what_is_closed()
    code: int | str | None
    try:
        code = _ended(main)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = INTERRUPTED
    except BrokenPipeError:
        if not unread():
            raise  # of another pipe or socket: a fault
        code = UNREAD
    if unread():
        # What is left in the buffer would fail once more, and aloud, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _stand_in_for_what_is_closed() -> None:
    """Python has None for a standard stream that was closed when it began: whatever writes there would fail."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _ended(main: Callable[[], int]) -> int | str | None:
    """What `main` returns, or ends with, as argparse does after `--help`."""
    try:
        return main()
    except SystemExit as ended:
        return ended.code


def unread() -> bool:
    """Whether our standard output is a pipe that nobody reads any more."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in watch.poll(0))
