"""What an error tells a person: one clear sentence, the setting or field by name, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from musicgate.cli import FailedError, RefusedError, SettingsError
from musicgate.cli.terminal import visible
from musicgate.errors import (
    AllCandidatesFailedError,
    ConfigError,
    InvalidRequestError,
    MusicgateError,
    RequestError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.errors import Violation


def complaint_about(error: Exception) -> click.ClickException:
    """The sentence and the exit code of any error."""
    if isinstance(error, InvalidRequestError):
        return RefusedError(f"the request is not valid:\n{violation_lines(error.violations)}")
    if isinstance(error, AllCandidatesFailedError):
        needs = "\n".join(f"  {visible(failure.message)}" for _, failure in error.tries)
        hint = "or try it without any account: add --sandbox"
        return SettingsError(f"no provider of this model has a key:\n{needs}\n{hint}")
    if isinstance(error, ConfigError):
        return SettingsError(visible(error))
    if isinstance(error, RequestError):
        token = f" ({error.reason})" if error.reason and error.reason != "unsupported_option" else ""
        return RefusedError(visible(f"{error}{token}"))
    if isinstance(error, MusicgateError):
        return FailedError(visible(error))
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return FailedError(visible(f"{where}{error.strerror or error}"))
    said = visible(f"{type(error).__name__}: {error}")
    return FailedError(f"musicgate broke ({said}); MUSICGATE_TRACEBACK=1 shows where")


def violation_lines(violations: Sequence[Violation]) -> str:
    """One line per violation: the path of the field, and what is wrong there."""
    return "\n".join(
        f"  {visible(dotted(violation.path)) or '(the whole)'}: {visible(violation.message)}"
        for violation in violations
    )


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it: ``provider.order[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
