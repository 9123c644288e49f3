"""The command ``voucherify-async``: its commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Parameter

from voucherify_async._version import __version__
from voucherify_async.cli import async_actions, customers
from voucherify_async.cli._exit_codes import CommandError, ExitCode, exit_code_of
from voucherify_async.cli._output import notice, show
from voucherify_async.cli._program import NAME, command_name
from voucherify_async.cli.ping import ping
from voucherify_async.errors import VoucherifyError

__all__ = ["run"]

_SECTIONS: Final = (customers.app, async_actions.app)
"""The commands of each section of the API."""
_OPTIONS: Final = {
    "allow_http=True": "--allow-http",
    "sync_csv(path)": "customers sync",
    "sync_csv with delimiter=": "customers sync with --delimiter ",
}
"""What messages of the package recommend, and the option for it."""

app = App(
    name=NAME,
    help="Voucherify on the command line.",
    version=__version__,
    default_parameter=Parameter(negative=(), show_default=lambda value: None if value is False else value),
    help_epilogue=(
        "Keys are read from VOUCHERIFY_APP_ID and VOUCHERIFY_APP_TOKEN in the environment or in a file .env."
        " Exit codes: 0 done, 1 some items failed, 2 usage, 3 not allowed, 4 unavailable."
    ),
)
for section in _SECTIONS:
    app.command(section)
app.command(ping)
app.register_install_completion_command()  # pyright: ignore[reportUnknownMemberType]


@app.command(help_flags="")
def sandbox(*options: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]) -> None:
    """Run a local Voucherify server. Its options: voucherify-async sandbox --help."""
    from voucherify_async.sandbox.__main__ import main  # noqa: PLC0415  # only if it is used

    main(options, command=command_name())


@app.command
def demo() -> ExitCode:
    """Show what the package does, with a sandbox that this command starts."""
    from voucherify_async.cli.demo import run_demo  # noqa: PLC0415  # only if it is used

    return run_demo()


def run(arguments: Sequence[str]) -> int:
    """Run the command, print its errors, and return its exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, has what it wants. Python flushes the output once more when it exits.
        _discard_output()
        return ExitCode.DONE
    except SystemExit as error:
        # rich exits when the reader of help or of a table has gone.
        if isinstance(error.__context__, BrokenPipeError):
            return ExitCode.DONE
        raise
    except CycloptsError as error:
        notice(f"{NAME}: {error}")
        return ExitCode.USAGE
    except KeyboardInterrupt as error:
        return _fail("\nInterrupted.", error, ExitCode.INTERRUPTED)
    except (CommandError, VoucherifyError, ValueError, OSError) as error:
        return _fail(f"{NAME}: {show(_message(error))}", error, exit_code_of(error))
    return code


def _run(arguments: Sequence[str]) -> int:
    command: Callable[..., Any]
    command, bound, _ = app.parse_args(arguments, print_error=False, exit_on_error=False)
    return command(*bound.args, **bound.kwargs) or ExitCode.DONE


def _message(error: Exception) -> str:
    """The message of an error, in the words of the command."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    message = str(error)
    for argument, option in _OPTIONS.items():
        message = message.replace(argument, option)
    return message


def _fail(message: str, error: BaseException, code: ExitCode) -> ExitCode:
    for text in (message, *getattr(error, "__notes__", ())):
        notice(text)
    return code


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
