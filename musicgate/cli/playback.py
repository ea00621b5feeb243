"""Where the audio of ``musicgate play`` goes: to a player, or with ``--save`` to a file."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs
import click

from musicgate.assets import SNIFF_BYTES, AudioKind, convert_file, extension, sniff
from musicgate.cli import FailedError
from musicgate.cli.files import Target, find_target, write
from musicgate.cli.players import find_player, play_file, play_stream
from musicgate.cli.terminal import print_json, say, visible
from musicgate.errors import NotAudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.cli.players import Player

#: What a path ends with, as opposed to the id of a job.
_ENDINGS = frozenset(extension(kind) for kind in AudioKind)


@attrs.define
class Playback:
    """A player, or the place of a file, and what came of it.

    Attributes:
        was_streamed: it was played while it was made.
        written: the file of ``--save``.
    """

    player: Player | None
    program: str
    target: Target | None
    was_streamed: bool = False
    written: Path | None = None

    @classmethod
    def chosen(cls, *, player: str | None, save: str | None, force: bool, advice: str) -> Self:
        """Take the options of the command line.

        Args:
            advice: what to do without a player.

        Raises:
            FailedError: there is no player.
            click.UsageError: the folder of ``--save`` cannot be written.
        """
        if save is not None:
            return cls(None, "", find_target(save, force=force))
        found = find_player(player)
        if found is None:
            what = f"{player} is not installed" if player else "no player is installed"
            raise FailedError(f"{what}; install ffplay (FFmpeg) or mpv, or {advice}")
        return cls(found[0], found[1], None)

    @property
    def can_stream(self) -> bool:
        """True if bytes can be played as they come."""
        return self.player is not None and bool(self.player.stream)

    async def file(self, path: Path, *, about: str = "", is_temporary: bool = False) -> None:
        """Play or write an audio file.

        Args:
            about: what is played, for people.
            is_temporary: the file is removed when this returns.

        Raises:
            FailedError: it is not audio, or the player failed, or the file cannot be written.
        """
        with path.open("rb") as audio:
            kind = sniff(audio.read(SNIFF_BYTES))
        if kind is None:
            raise FailedError(f"{about or path} is not audio")
        if self.player is None:
            self.written = self._write(path)
            return
        say(f"playing {about or path} with {self.player.program}", err=True)
        if self.player.plays_wav_only and kind is not AudioKind.WAV:
            await self._converted(path)
            return
        if self.player.only_opens and is_temporary:
            # The program that gets it reads it later, and knows it by its extension.
            path = _lasting(path, kind)
            say(f"the file stays in {path}", err=True)
        await play_file(self.player, self.program, path)

    async def stream(self, pieces: AsyncIterator[bytes], *, about: str = "") -> None:
        """Play bytes as they come.

        Raises:
            FailedError: the player failed.
            MusicgateError: the stream broke off.
        """
        if self.player is None:  # pragma: no cover - asked by `can_stream`
            raise AssertionError(about)
        say(f"playing {about} with {self.player.program}, while it is made", err=True)
        self.was_streamed = True
        await play_stream(self.player, self.program, pieces)

    def _write(self, path: Path) -> Path:
        if self.target is None:  # pragma: no cover - there is a player or a target
            raise AssertionError(path)
        try:
            return write(path, self.target, 0)
        except OSError as exc:
            raise FailedError(f"{self.target.folder} cannot be written: {exc.strerror or exc}") from exc

    async def _converted(self, path: Path) -> None:
        if self.player is None:  # pragma: no cover - asked before
            raise AssertionError(path)
        with tempfile.TemporaryDirectory(prefix="musicgate-") as folder:
            wav = Path(folder) / "song.wav"
            try:
                await asyncio.to_thread(convert_file, path, wav, AudioKind.WAV)
            except NotAudioError as error:
                raise FailedError(f"{path} cannot be decoded: {error}") from error
            await play_file(self.player, self.program, wav)


def _lasting(path: Path, kind: AudioKind) -> Path:
    return Path(shutil.copyfile(path, Path(tempfile.mkdtemp(prefix="musicgate-")) / f"song{extension(kind)}"))


def audio_file(name: str) -> Path | None:
    """The file of that name; None if it is the id of a job.

    Raises:
        click.UsageError: it is a path, and there is no such file.
    """
    path = Path(name)
    try:
        if path.is_file():
            return path
        is_path = path.is_dir() or path.suffix.lower() in _ENDINGS or len(path.parts) > 1
    except OSError as exc:  # for example, a name that is too long
        raise click.UsageError(f"{name}: {exc.strerror}.") from exc
    if is_path:
        raise click.UsageError(f"there is no audio file {name}.")
    return None


def report(playback: Playback, *, name: str, track: int | None, as_json: bool) -> None:
    """Print the result.

    Args:
        name: of the job, or of the file.
        track: of the job, counted from 1; None for a file.
    """
    if as_json:
        song = {"file": name} if track is None else {"id": name, "track": track}
        player = None if playback.player is None else playback.player.program
        more = {"player": player, "streamed": playback.was_streamed}
        written = None if playback.written is None else str(playback.written)
        print_json({"object": "playback", **song, **more, "saved": written})
    elif playback.written is not None:
        say(visible(playback.written))
