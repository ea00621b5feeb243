"""Converts exceptions to a message that names the setting or field, and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from musicgate.cli import FailedError, RefusedError, SettingsError
from musicgate.cli.terminal import visible
from musicgate.errors import (
    AllCandidatesFailedError,
    InvalidRequestError,
    MusicgateError,
    RequestError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.errors import Violation

_BY_EXIT_CODE = {kind.exit_code: kind for kind in (FailedError, RefusedError, SettingsError)}


def as_click_error(error: Exception) -> click.ClickException:
    """Convert any exception to the message and exit code that the command ends with."""
    exit_code = error.exit_code if isinstance(error, MusicgateError) else FailedError.exit_code
    return _BY_EXIT_CODE[exit_code](_message(error))


def _message(error: Exception) -> str:
    if isinstance(error, InvalidRequestError):
        return f"the request is not valid:\n{violation_lines(error.violations)}"
    if isinstance(error, AllCandidatesFailedError):
        missing = "\n".join(f"  {visible(failure.message)}" for _, failure in error.tries)
        return f"no provider of this model has a key:\n{missing}\nor use emulated vendors: add --sandbox"
    if isinstance(error, RequestError):
        token = f" ({error.reason})" if error.reason and error.reason != "unsupported_option" else ""
        return visible(f"{error}{token}")
    if isinstance(error, MusicgateError):
        return visible(error)
    if isinstance(error, OSError):
        file = f"{error.filename}: " if error.filename else ""
        return visible(f"{file}{error.strerror or error}")
    cause = visible(f"{type(error).__name__}: {error}")
    return f"internal error ({cause}); set MUSICGATE_TRACEBACK=1 to see the traceback"


def violation_lines(violations: Sequence[Violation]) -> str:
    """One line per violation: the path of the field, and what is wrong there."""
    return "\n".join(
        f"  {visible(dotted(violation.path)) or '(the whole)'}: {visible(violation.message)}"
        for violation in violations
    )


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as ``provider.order[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
