"""A song in ten lines, in the sandbox, without any account.

With a vendor's key in the environment, leave out the sandbox and `settings`.
"""

import asyncio
import shutil

from musicgate import Gateway, Settings
from musicgate.emulation.sandbox import sandbox


async def main() -> None:
    """Make a song and write its first track to ten_lines.mp3."""
    async with sandbox(Settings()) as settings, Gateway.open(settings) as gate:
        job = await gate.generate("Warm jazz trio with brushed drums", model="suno/v4.5plus")
        for track in job.tracks:
            print(track.title, track.asset.duration_s if track.asset else "?", "seconds")
        if path := gate.audio_path(job):
            shutil.copy(path, "ten_lines.mp3")


asyncio.run(main())
