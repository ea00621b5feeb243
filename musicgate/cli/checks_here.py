"""Checks of this machine: settings, plugins, FFmpeg, store, disk, audio, port."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from musicgate.cli.checks import Check, failed, ok, warning
from musicgate.errors import ConfigError, MusicgateError

if TYPE_CHECKING:
    from musicgate.hosting import PluginHost
    from musicgate.settings import Settings

#: A song is 3 to 50 MB; SQLite and conversions need room beside it.
_LOW_BYTES: Final = 1_000_000_000
_TOO_LOW_BYTES: Final = 100_000_000
_PROBE_S: Final = 2.0
#: Many times the answer of ``/livez``: the other program may send anything.
_ALIVE_BYTES: Final = 1_000
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - asked about, not bound


def settings(read: Settings) -> Check:
    """Where the settings came from."""
    count = len(read.variables)
    variables = f" and {count} environment variable{'' if count == 1 else 's'}" if count else ""
    return ok("settings", f"{read.source or 'no file'}{variables}")


def wrong_settings(error: MusicgateError) -> Check:
    """The settings cannot be read; what needs them was not checked."""
    return failed("settings", str(error), "correct it; docs/settings.md lists all of them")


def plugins(host: PluginHost) -> list[Check]:
    """Which plugins were found, and each that could not be loaded."""
    broken = [
        failed(
            "plugin",
            f"{record.name} is disabled: {record.error}",
            f"update or uninstall {record.distribution or 'its distribution'}",
        )
        for record in host.records
        if record.error
    ]
    if not host.providers:
        none = "no provider plugin is installed"
        return [failed("plugins", none, "install them: pip install 'musicgate[all]'"), *broken]
    return [ok("plugins", ", ".join(sorted(host.providers))), *broken]


def ffmpeg() -> Check:
    """Whether FFmpeg is there, with the encoders that conversions need."""
    from musicgate.assets import inspect_ffmpeg

    try:
        found = inspect_ffmpeg()
    except ImportError as exc:
        again = "install it again: pip install --force-reinstall av"
        return failed("ffmpeg", f"FFmpeg comes with PyAV, which cannot be loaded: {exc}", again)
    name = f"{found.version} of {found.library} in {found.folder}"
    if found.missing:
        lacks = f"{name} lacks {', '.join(found.missing)}"
        return failed("ffmpeg", lacks, "install the wheel of PyAV: pip install --only-binary av av")
    return ok("ffmpeg", f"{name}, with all encoders")


async def store(settings: Settings) -> Check:
    """Whether the store of jobs can be read and written, and its version."""
    from musicgate.gateway import inspect_job_store, job_store_name

    try:
        report = await inspect_job_store(settings)
        name = job_store_name(settings)
    except ConfigError as error:
        return failed("store", str(error), "correct it, or use another store.url")
    except MusicgateError as error:
        return failed("store", str(error), "restore it from a backup, or make it reachable")
    if report.write_trouble:
        mend = "give this user write access, or set store.url or MUSICGATE_DATA_DIR to another place"
        return failed("store", f"cannot be written: {report.write_trouble}", mend)
    if not report.version:
        return ok("store", f"{name}: is made at the first start")
    if report.version < report.newest_version:
        version = f"schema version {report.version} of {report.newest_version}"
        return ok("store", f"{name}: {version}; the next start brings it up to date")
    return ok("store", f"{name}: schema version {report.version}, can be read and written")


async def disk(settings: Settings) -> list[Check]:
    """The free space where jobs and audio are kept on this machine."""
    from musicgate.gateway import job_store_file

    places: dict[int, tuple[Path, list[str]]] = {}
    try:
        file = job_store_file(settings)
        url = urlsplit(settings.assets_url)
    except ConfigError:
        return []  # the check of the store says it
    folders = {"jobs": file.absolute().parent if file else None}
    folders["audio"] = Path(unquote(url.path)) if url.scheme == "file" else None
    for what, folder in folders.items():
        if folder is not None:
            existing = _existing(folder)
            device = existing.stat().st_dev
            places.setdefault(device, (existing, []))[1].append(what)
    return [_space(folder, " and ".join(kept)) for folder, kept in places.values()]


def _space(folder: Path, kept: str) -> Check:
    free_bytes = shutil.disk_usage(folder).free
    message = f"{free_bytes / 1e9:.1f} GB free for {kept} in {folder}"
    mend = "make room, or let [retention] remove old audio"
    if free_bytes < _TOO_LOW_BYTES:
        return failed("disk", message, mend)
    return warning("disk", message, mend) if free_bytes < _LOW_BYTES else ok("disk", message)


async def audio(settings: Settings, *, offline: bool) -> Check:
    """Whether audio can be kept: a small file or object is written and removed."""
    from musicgate.gateway import check_asset_store

    if not settings.assets.archive:
        return warning(
            "audio", "is not kept: links of vendors end after hours or days", "set assets.archive = true"
        )
    try:
        url = urlsplit(settings.assets_url)
    except ConfigError as error:
        return failed("audio", str(error), "set MUSICGATE_DATA_DIR, or assets.url")
    if url.scheme == "file":
        return _folder(Path(unquote(url.path)))
    shown = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    if offline:
        return ok("audio", f"{shown}: not asked, because of --offline")
    try:
        trouble = await check_asset_store(settings)
    except MusicgateError as error:
        return failed("audio", str(error), "correct assets.url, or its permissions")
    if trouble:
        return failed("audio", trouble, "make it reachable; songs stay with their vendors until then")
    return ok("audio", f"{shown}: can be written")


def _folder(folder: Path) -> Check:
    """Whether a folder can be written. It is not made here: perhaps another user runs the server."""
    existing = _existing(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".musicgate-") as probe:
            probe.write(b"0")
    except OSError as exc:
        mend = "give this user write access, or set assets.url or MUSICGATE_DATA_DIR to another place"
        return failed("audio", f"{existing} cannot be written: {exc.strerror or exc}", mend)
    return ok(
        "audio", f"{folder}: {'can be written' if existing == folder else 'is made at the first start'}"
    )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


async def port(settings: Settings) -> Check:
    """Whether a server could listen, or does already."""
    host, number = settings.server.host, settings.server.port
    if not number:
        return ok("port", "any free one: server.port is 0")
    name = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
    trouble = await asyncio.to_thread(_bind_trouble, host, number)
    if trouble is None:
        return ok("port", f"{name} is free for musicgate serve")
    if trouble.errno != errno.EADDRINUSE:
        reason = trouble.strerror or str(trouble)
        return failed("port", f"{name} cannot be used: {reason}", "set server.host and server.port")
    if await _is_musicgate(_ANY_ADDRESS.get(host, host), number):
        return ok("port", f"a musicgate server listens on {name}")
    return failed("port", f"another program uses {name}", "stop it, or set server.port")


def _bind_trouble(host: str, number: int) -> OSError | None:
    """Listen for a moment, as a server would."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as exc:
        return exc
    return None


async def _is_musicgate(host: str, number: int) -> bool:
    import aiohttp
    from yarl import URL

    from musicgate.views import render_live

    timeout = aiohttp.ClientTimeout(total=_PROBE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(URL.build(scheme="http", host=host, port=number, path="/livez")) as response,
        ):
            return bool(json.loads(await response.content.read(_ALIVE_BYTES)) == render_live())
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
