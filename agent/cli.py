"""steward-agent: the command of a host.

Exit status: 0 done, 1 error, 3 refused (a signature, a limit, a trust chain), 64 wrong usage.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent import command_line
from agent.errors import AgentError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["main"]

EXIT_ERROR = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = command_line.build("verify" in words[:1], describing=not {"-h", "--help"}.isdisjoint(words))
    arguments, rest = parser.parse_known_args(words)
    run: Callable[[Namespace], int] = arguments.run
    if rest and "path_procfs" not in arguments:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        status = run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except UsageError as error:
        parser.error(str(error))
    except AgentError as error:
        _say(f"steward-agent: {error}")
        if error.hint:
            _say(f"  {error.hint}")
        return EXIT_ERROR
    except BrokenPipeError:
        # Whoever read has seen enough. What is left in the buffer must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except OSError as error:
        _say(f"steward-agent: {error}")
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_ERROR


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the command's complaint


if __name__ == "__main__":
    sys.exit(main())
