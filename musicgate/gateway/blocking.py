"""`generate` for scripts and notebooks: one song, without a line of asyncio."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from musicgate.gateway.facade import Gateway

if TYPE_CHECKING:
    from musicgate.hosting import PluginHost
    from musicgate.model import Job
    from musicgate.settings import Settings


@attrs.frozen(kw_only=True)
class GeneratedMusic:
    """A completed job and its audio.

    Attributes:
        paths: the audio files of the tracks that are kept on this machine, in the order of the tracks.
    """

    job: Job
    paths: tuple[Path, ...]


def generate(
    prompt: str | None = None,
    *,
    timeout_s: float | None = None,
    settings: Settings | None = None,
    plugins: PluginHost | None = None,
    **fields: object,
) -> GeneratedMusic:
    """Make music and wait for it, without asyncio.

    ``musicgate.generate("Warm jazz trio", model="suno/v4.5plus").paths[0]`` is the audio of the first track.

    Opens a gateway for the one request. It works where an event loop runs already (a notebook), too: the
    gateway then gets a thread. Applications that make more than one song, or do something else meanwhile, use
    `Gateway`.

    Args:
        prompt: what to make.
        timeout_s: how long to wait; None = until the job ends, which its deadline bounds. A create call
            in flight then gets ``server.drain_s`` to end.
        settings: None = ``musicgate.toml`` and the environment.
        plugins: None = every plugin that is installed.
        **fields: the other fields of a request, spelled as in JSON (``model``, ``duration``, ``suno``, ...).

    Raises:
        RequestError: the request is wrong; nothing was sent.
        ConfigError: a setting is wrong, or another process uses the store.
        JobTimeoutError: it is not finished in time. It goes on at the vendor; the next gateway on this store
            continues with it.
        JobFailedError: the vendor refused or failed; ``.failure`` says why.
        ProviderError: no provider could be asked; nothing was sent.
        StorageError: the job could not be stored.
    """

    async def make() -> GeneratedMusic:
        async with Gateway.open(settings, plugins=plugins) as gateway:
            job = await gateway.generate(prompt, timeout_s=timeout_s, **fields)
            paths = (gateway.audio_path(job, track.index) for track in job.tracks)
            return GeneratedMusic(job=job, paths=tuple(path.absolute() for path in paths if path))

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    with ThreadPoolExecutor(1, thread_name_prefix="musicgate-generate") as threads:
        return threads.submit(asyncio.run, make()).result()
