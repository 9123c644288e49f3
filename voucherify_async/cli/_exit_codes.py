"""The exit codes of the command, and the code for each error. Pure functions."""

from __future__ import annotations

from enum import IntEnum

from voucherify_async.errors import (
    AsyncActionTimeoutError,
    AuthenticationError,
    ConfigurationError,
    InvalidCursorError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    SyncStateError,
    SyncTimeoutError,
    TransportError,
    VoucherifyError,
)

__all__ = ["CommandError", "ExitCode", "exit_code_of"]


class ExitCode(IntEnum):
    """The exit codes of the command.

    Attributes:
        DONE: Everything was done.
        SOME_FAILED: The service rejected or does not know some items, a job failed, or a file could not be written.
        USAGE: An argument, a setting or a file is missing or invalid.
        NOT_ALLOWED: The service rejects the keys, or does not allow the call.
        UNAVAILABLE: The service could not be reached, failed, or did not finish in time: try again later.
        INTERRUPTED: Ctrl-C; 128 plus the number of the signal, as in shells.
        TERMINATED: The signal SIGTERM.
    """

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    NOT_ALLOWED = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(Exception):
    """An error of the command itself.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.USAGE) -> None:
        """Create an error with this message and this exit code."""
        super().__init__(message)
        self.code = code


def exit_code_of(error: CommandError | VoucherifyError | ValueError | OSError) -> ExitCode:
    """The exit code for an error that ends a command."""
    match error:
        case CommandError():
            return error.code
        case AuthenticationError() | PermissionDeniedError() | PaymentRequiredError():
            return ExitCode.NOT_ALLOWED
        case SyncStateError(reason="in_use"):
            return ExitCode.UNAVAILABLE
        case SyncStateError(reason="unwritable"):
            return ExitCode.SOME_FAILED
        case ConfigurationError() | InvalidCursorError() | SyncStateError():
            return ExitCode.USAGE
        case (
            TransportError()
            | ServerError()
            | RateLimitError()
            | AsyncActionTimeoutError()
            | SyncTimeoutError()
        ):
            return ExitCode.UNAVAILABLE
        case VoucherifyError():
            return ExitCode.SOME_FAILED
        case ValueError():
            return ExitCode.USAGE
        case (
            FileNotFoundError()
            | FileExistsError()
            | IsADirectoryError()
            | NotADirectoryError()
            | PermissionError()
        ):
            return ExitCode.USAGE
        case _:
            return ExitCode.SOME_FAILED
