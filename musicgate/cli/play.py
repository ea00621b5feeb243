"""``play``: play a song that is kept, being made, or in a file, with a player of this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click

from musicgate.cli.options import AS_JSON, CONFIG, KEY, QUIET, URL

if TYPE_CHECKING:
    from musicgate.cli.playback import Playback

#: Not imported from `musicgate.cli.players`: ``--help`` needs the names only. A test holds them together.
PLAYERS: Final = ("ffplay", "mpv", "afplay", "paplay", "aplay", "open", "xdg-open")


@click.command()
@click.argument("song", metavar="JOB|FILE")
@click.option(
    "--track",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Track of the job, counted from 1.",
)
@click.option(
    "--player",
    type=click.Choice(PLAYERS),
    metavar="NAME",
    help=f"Program to play with: {', '.join(PLAYERS)}.  [default: the first that is installed]",
)
@click.option("--save", "save", metavar="PATH", help="Write the audio to this file or folder instead.")
@click.option("--force", is_flag=True, help="With --save: overwrite an existing file.")
@AS_JSON
@URL
@KEY
@QUIET
@CONFIG
def play(
    *,
    song: str,
    track: int,
    player: str | None,
    save: str | None,
    force: bool,
    as_json: bool,
    url: str | None,
    key: str | None,
    config: str | None,
) -> None:
    """Play the song of JOB, or an audio FILE, to its end.

    A job that is not finished is waited for. If its vendor streams the song while it is made, and the player
    can play a stream (ffplay, mpv), it begins at once.
    """
    from musicgate.cli.playback import Playback, audio_file, report
    from musicgate.cli.request_fields import shell_words

    path = audio_file(song)
    server = ["--url", url] if url and path is None else []
    words = shell_words(["musicgate", "play", song, *server, "--save", "song.mp3"])
    playback = Playback.chosen(player=player, save=save, force=force, advice=f"write it to a file: {words}")
    if path is not None:
        asyncio.run(playback.file(path))
    else:
        asyncio.run(_play_job(playback, song, track - 1, url, key, config))
    report(playback, name=song, track=None if path else track, as_json=as_json)


async def _play_job(
    playback: Playback, job_id: str, index: int, url: str | None, key: str | None, config: str | None
) -> None:
    if url:
        from musicgate.cli.play_remote import play_remotely

        await play_remotely(url, key, job_id, index, playback)
        return
    from musicgate.cli.play_local import play_locally

    await play_locally(job_id, index, playback, config=config)
