"""The entry of both programs: `support pager` at once, else standard streams that exist, then `main.run`."""

from __future__ import annotations

import os
import sys

PAGER = ["support", "pager"]


def main() -> int:
    """Run `bilbs`; return the exit status."""
    return _start(sys.argv[1:])


def diag() -> int:
    """Run the second console script: `diag collect` is `bilbs diag collect`."""
    rest = sys.argv[1:]
    return _start(rest if rest == ["--version"] else ["diag", *rest])


def _start(arguments: list[str]) -> int:
    if arguments[:2] == PAGER:
        from bilbs_cli.support import pager

        if pager.understands(arguments[2:]):
            return pager.run(arguments[2:])
    if arguments[:1] == ["__complete"]:  # at a key press: nothing more is loaded
        from bilbs_cli import completing

        return completing.run(arguments[1:])
    _fill_standard_streams()
    try:
        from bilbs_cli.main import run

        return run(arguments)
    except KeyboardInterrupt:  # in the milliseconds before `run` stands guard
        return 130
    except ImportError as error:
        sys.stderr.write(f"bilbs: this installation is damaged: {error!s} [damaged]\n  next: install bilbs-cli again\n")
        return _pager_at_least(arguments)


def _pager_at_least(arguments: list[str]) -> int:
    """Answer `support pager` with flags that only the ordinary parser knows, when that parser cannot be loaded."""
    if arguments[:2] != PAGER:
        sys.stderr.write("  pager: bilbs support pager\n")
        return 1
    from bilbs_cli.support import pager

    return pager.run([])


def _fill_standard_streams() -> None:
    """Put /dev/null on closed standard streams, else the next file opened would become stdout of a child."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # open(2) takes the lowest free number: this one


if __name__ == "__main__":
    sys.exit(main())
