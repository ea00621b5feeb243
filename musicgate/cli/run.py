"""Output of every run, local or remote: warnings, files, price, JSON, failure messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from musicgate.cli import FailedError, TimeUpError
from musicgate.cli.error_text import dotted
from musicgate.cli.files import (
    Target,
    length_text,
    size_text,
    write,
)
from musicgate.cli.request_fields import shell_words
from musicgate.cli.terminal import print_json, say, visible
from musicgate.errors import NotAudioError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.cli.progress import Display


@attrs.frozen(kw_only=True)
class Order:
    """Where a job's audio goes, and how the result is printed.

    Attributes:
        timeout_s: How long to wait; None = until the job ends.
    """

    target: Target
    as_json: bool = False
    timeout_s: float | None = None


def note_warnings(display: Display, warnings: Sequence[Mapping[str, Any]]) -> None:
    """Show which options were not applied exactly."""
    for warning in warnings:
        where = dotted(warning.get("path") or ())
        message = visible(warning.get("message"))
        display.note(f"warning: {visible(where)}: {message}" if where else f"warning: {message}")


def refuse_failed(answer: Mapping[str, Any]) -> None:
    """Raise if the job failed.

    Raises:
        FailedError: With the reason, the native code, and whether it may have cost money.
    """
    if answer.get("status") != "failed":
        return
    error = answer.get("error") or {}
    code = f", code {error['native_code']}" if error.get("native_code") else ""
    plugin = answer.get("provider_plugin") or "the job"
    lines = [visible(f"{plugin} failed: {error.get('message')} ({error.get('reason')}{code})")]
    if error.get("may_have_cost"):
        lines.append("it may have been billed nevertheless")
    if error.get("suggestion") is not None:
        suggestion = json.dumps(error["suggestion"], ensure_ascii=False)
        lines.append(visible(f"the vendor suggests: {suggestion}"))
    lines.append(visible(f"job {answer.get('id')}"))
    raise FailedError("\n".join(lines))


def deliver(answer: dict[str, Any], audio: Mapping[int, Path], order: Order, *, in_sandbox: bool) -> None:
    """Write the files of a completed job and print where they are.

    Args:
        audio: Audio files on this machine by track index; each is copied.
        in_sandbox: The vendor was emulated: nothing was paid.

    Raises:
        FailedError: There is no audio, or a file could not be written.
    """
    files: list[str] = []
    written: list[str] = []
    for item in answer.get("output") or ():
        source = audio.get(item["index"])
        if source is None:
            reason = (item.get("error") or {}).get("message") or "its audio was not kept"
            say(f"warning: track {item['index'] + 1}: {visible(reason)}", err=True)
            continue
        try:
            path = write(source, order.target, len(files))
        except NotAudioError as error:
            say(f"warning: track {item['index'] + 1}: {error}", err=True)
            continue
        except OSError as exc:
            message = f"the song is ready, but {order.target.folder} cannot be written: {exc.strerror or exc}"
            raise FailedError(f"{message}\n{fetch_hint(answer)}") from exc
        files.append(str(path))
        written.append(f"{path}  {length_text(item.get('duration'))}  {size_text(source.stat().st_size)}")
        wanted = order.target.ending
        if wanted and path.suffix != wanted:
            say(f"note: the audio is {path.suffix[1:]}, not {wanted[1:]}", err=True)
    if not files:
        raise FailedError(f"job {visible(answer.get('id'))} has no audio that could be fetched")
    if order.as_json:
        print_json({**answer, "files": files})
        return
    for line in written:
        say(visible(line))
    say(price_text(answer, in_sandbox=in_sandbox))


def price_text(answer: Mapping[str, Any], *, in_sandbox: bool) -> str:
    """Plugin, model and price in one line."""
    name = visible(f"{answer.get('provider_plugin')}, {answer.get('model')}")
    total = ((answer.get("usage") or {}).get("pricing_breakdown") or {}).get("total_usd_str")
    if in_sandbox:
        return f"{name}: nothing was paid" + (f" (the vendor would charge ${total})" if total else "")
    return f"{name}: ${total}" if total else f"{name}: the price is not known"


def late(order: Order, hint: str) -> TimeUpError:
    """The error of a run that was not finished within ``--timeout``."""
    return TimeUpError(f"not finished after {order.timeout_s:g} s: {hint}")


def fetch_hint(answer: Mapping[str, Any], url: str | None = None) -> str:
    """The command that gets a job's audio later."""
    server = ["--url", url] if url else []
    return visible(f"fetch it with: {shell_words(['musicgate', 'fetch', str(answer.get('id')), *server])}")
