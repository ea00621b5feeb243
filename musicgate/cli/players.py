"""Finds a program that plays audio, and runs it; knows no jobs.

No shell is involved, and nothing that a vendor wrote becomes an argument: a player gets the path of a file of
this machine, or bytes on its standard input. Links of vendors are never given to it, since players follow
playlists and open other protocols. What it prints is dropped: it repeats titles.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.cli import FailedError
from musicgate.errors import MusicgateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_END_S: Final = 3.0
_FFPLAY: Final = (
    "-nodisp",
    "-autoexit",
    "-hide_banner",
    "-loglevel",
    "quiet",
    "-protocol_whitelist",
    "file,pipe",
)
_MPV: Final = ("--no-video", "--no-terminal", "--ytdl=no")


@attrs.frozen(kw_only=True)
class Player:
    """A program that plays audio.

    Attributes:
        program: its name, as it is found in ``PATH``.
        options: before the path of the file, which is absolute, so that it never looks like an option.
        stream: options to play standard input; empty = it cannot.
        plays_wav_only: other audio has to be converted.
        only_opens: it hands the file to another program and ends at once.
        systems: values of ``sys.platform``; empty = any.
    """

    program: str
    options: tuple[str, ...] = ()
    stream: tuple[str, ...] = ()
    plays_wav_only: bool = False
    only_opens: bool = False
    systems: tuple[str, ...] = ()


#: In the order of preference: those that can play a song while it is made come first.
PLAYERS: Final = (
    Player(program="ffplay", options=(*_FFPLAY, "-i"), stream=(*_FFPLAY, "-i", "pipe:0")),
    Player(program="mpv", options=(*_MPV, "--"), stream=(*_MPV, "-")),
    Player(program="afplay", systems=("darwin",)),
    Player(program="paplay", plays_wav_only=True, systems=("linux",)),
    Player(program="aplay", options=("-q",), plays_wav_only=True, systems=("linux",)),
    Player(program="open", only_opens=True, systems=("darwin",)),
    Player(program="xdg-open", only_opens=True, systems=("linux",)),
)


def find_player(name: str | None, platform: str = sys.platform) -> tuple[Player, str] | None:
    """The first player that is installed, and its path; None = there is none.

    Args:
        name: only this one.
    """
    for player in PLAYERS:
        if name in {None, player.program} and (not player.systems or platform in player.systems):
            path = shutil.which(player.program)
            if path is not None:
                return player, path
    return None


def names() -> tuple[str, ...]:
    """The players that are known."""
    return tuple(player.program for player in PLAYERS)


async def play_file(player: Player, program: str, path: Path) -> None:
    """Play a file to its end.

    Raises:
        FailedError: the player cannot be started, or failed.
    """
    with _started(program):
        process = await asyncio.create_subprocess_exec(
            program,
            *player.options,
            _argument(path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    await _ended(player, process)


async def play_stream(player: Player, program: str, pieces: AsyncIterator[bytes]) -> None:
    """Play bytes as they come, to their end.

    Raises:
        FailedError: the player cannot be started, or failed.
        MusicgateError: the bytes break off; what came was played.
    """
    with _started(program):
        process = await asyncio.create_subprocess_exec(
            program,
            *player.stream,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    if process.stdin is None:  # pragma: no cover - it was asked for
        raise AssertionError(program)
    broken: MusicgateError | None = None
    try:
        try:
            async for piece in pieces:
                process.stdin.write(piece)
                await process.stdin.drain()
        except MusicgateError as error:
            broken = error  # what came before is played to its end
        process.stdin.close()
        await process.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the player has ended, by itself or by its user: its exit code says how
    except BaseException:
        await _stop(process)
        raise
    await _ended(player, process)
    if broken is not None:
        raise broken


def _argument(path: Path) -> str:
    """A path that no player takes for an option or a protocol."""
    return os.fspath(path.absolute())


@contextlib.contextmanager
def _started(program: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise FailedError(f"{program} cannot be started: {exc.strerror or exc}") from exc


async def _ended(player: Player, process: asyncio.subprocess.Process) -> None:
    try:
        code = await process.wait()
    except BaseException:
        await _stop(process)
        raise
    if code:
        raise FailedError(f"{player.program} ended with code {code}: is there a sound device?")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the player; kill it if it does not end."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
