"""Verifies and moves the kept objects for ``musicgate assets``, and says what came of it."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import attrs
import click

from musicgate.assets import MovedObject, Problem, move_objects, open_objects
from musicgate.cli import FailedError, stores
from musicgate.cli.configuration import read_settings
from musicgate.cli.counter import counter
from musicgate.cli.terminal import print_json, say, visible
from musicgate.errors import ConfigError
from musicgate.gateway import (
    check_objects,
    has_job_store,
    job_store_name,
    kept_objects,
    open_asset_store,
    users_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.assets import ObjectStore
    from musicgate.settings import Settings
    from musicgate.store import JobStore

#: Jobs that a line names; JSON has more.
_SHOWN_JOBS: Final = 3
_MANY_ORPHANS: Final = (
    "no orphan was removed: there are {0}, and only {1} objects that the jobs in {2} refer to; if that is the"
    " right store of jobs, add --force"
)


@attrs.define
class _Report:
    """What was found, for people at once and for programs at the end."""

    is_json: bool
    counts: Counter[str] = attrs.field(factory=Counter)
    problems: list[dict[str, object]] = attrs.field(factory=list)

    def add(self, name: str, problem: Problem, detail: str, jobs: list[str], *, done: str = "") -> None:
        self.counts[done or problem.value] += 1
        item: dict[str, object] = {"name": name, "problem": problem.value, "detail": detail, "jobs": jobs}
        self.problems.append(item | ({"done": done} if done else {}))
        if not self.is_json:
            more = f" and {len(jobs) - _SHOWN_JOBS} more" if len(jobs) > _SHOWN_JOBS else ""
            used = f"  (job {', '.join(jobs[:_SHOWN_JOBS])}{more})" if jobs else ""
            reason = f": {detail}" if detail else ""
            say(visible(f"{problem.value}{f', {done}' if done else ''}: {name}{used}{reason}"))

    @property
    def is_well(self) -> bool:
        return not any(self.counts[problem] for problem in Problem if problem is not Problem.ORPHAN)


async def verify_all(
    config: str | None,
    *,
    repair_from: str | None,
    remove_orphans: bool,
    as_json: bool,
    force: bool = False,
) -> bool:
    """Verify the objects of every store of jobs on this machine, and report it.

    Args:
        force: remove orphans even where they are more than what jobs refer to.

    Returns:
        True if everything that is referred to is as it was stored, perhaps after a repair.

    Raises:
        ConfigError: a setting is wrong, or orphans are to be removed while another process uses the store.
        StorageError: the store of jobs fails, or that of objects cannot be listed.
    """
    settings = read_settings(config)
    report, checked = _Report(as_json), 0
    async with AsyncExitStack() as stack:
        second = None
        if repair_from is not None:
            second = _open(stack, settings, "--repair-from", repair_from, must_exist=True)
        for slot in stores.existing(settings):
            async with _opened(slot, alone=remove_orphans) as (store, objects):
                number, orphans = await _verify(report, store, objects, second)
                checked += number
                if remove_orphans and len(orphans) > number and not force:
                    # With the wrong store of jobs, every song is an orphan.
                    raise FailedError(_MANY_ORPHANS.format(len(orphans), number, job_store_name(slot)))
                for name in orphans:
                    if remove_orphans:
                        await objects.delete(name)
                    report.add(name, Problem.ORPHAN, "", [], done="removed" if remove_orphans else "")
    if as_json:
        answer = {"object": "asset_check", "ok": report.is_well, "checked": checked}
        print_json(answer | {"counts": dict(report.counts), "problems": report.problems})
        return report.is_well
    found = ", ".join(f"{count:,} {word}" for word, count in sorted(report.counts.items()))
    say(f"{checked:,} objects checked: {found or 'all are as they were stored'}")
    if report.counts[Problem.ORPHAN]:
        say("orphans are objects that no job refers to; --remove-orphans removes them", err=True)
    return report.is_well


async def _verify(
    report: _Report, store: JobStore, objects: ObjectStore, second: ObjectStore | None
) -> tuple[int, list[str]]:
    """Verify the objects of one store of jobs: how many were checked, and the names of orphans."""
    checked, orphans = 0, list[str]()
    with counter("verifying", "objects") as done:
        async with aclosing(check_objects(store, objects, second=second)) as results:
            async for result in results:
                done.count()
                if result.problem is Problem.ORPHAN:
                    orphans.append(result.name)
                    continue
                checked += 1
                if result.problem is not None:
                    jobs = await users_of(store, result.name)
                    is_repaired = "repaired" if result.is_repaired else ""
                    report.add(result.name, result.problem, result.detail, jobs, done=is_repaired)
    return checked, orphans


async def move_all(
    config: str | None,
    *,
    target_url: str | None,
    source_url: str | None,
    delete_source: bool,
    as_json: bool,
) -> bool:
    """Copy the objects that jobs refer to from one store to another, and say what to do next.

    Args:
        target_url: None = that of the settings.
        source_url: None = that of the settings.

    Returns:
        True if all of them are in the target.

    Raises:
        ConfigError: a setting is wrong, or the source is to be emptied while another process uses it.
        StorageError: one of the stores fails; what is copied stays, and the command may be run again.
    """
    settings = read_settings(config)
    source_url, target_url = source_url or settings.assets_url, target_url or settings.assets_url
    if _as_url(source_url).rstrip("/") == _as_url(target_url).rstrip("/"):
        raise click.UsageError(f"{target_url} is the store that the objects are in.")
    if not has_job_store(settings):
        raise ConfigError(f"there is no store of jobs at {job_store_name(settings)}", key="store.url")
    is_used = await stores.is_used(settings)
    report, moved, copied, deleted = _Report(as_json), list[str](), 0, 0
    async with AsyncExitStack() as stack:
        opening = stores.open_alone(settings) if delete_source else stores.open_to_read(settings)
        store = await stack.enter_async_context(opening)
        source = _open(stack, settings, "--from", source_url, must_exist=True)
        target = _open(stack, settings, "URL", target_url)
        await target.check()
        with counter("moving", "objects") as done:
            async with aclosing(move_objects(source, target, kept_objects(store))) as results:
                async for result in results:
                    done.count()
                    copied += result.is_copied
                    if not await _is_moved(report, store, result):
                        continue
                    moved.append(result.name)
        if delete_source and report.is_well:
            with counter("deleting", "objects") as done:
                for name in moved:
                    await source.delete(name)
                    deleted += 1
                    done.count()
    if as_json:
        answer = {"object": "asset_move", "ok": report.is_well, "from": source_url, "to": target_url}
        answer |= {"moved": len(moved), "copied": copied, "deleted": deleted, "store_in_use": is_used}
        print_json(answer | {"problems": report.problems})
        return report.is_well
    say(f"{len(moved):,} objects are in {target_url}: {copied:,} copied now, each read there again")
    for line in _next_steps(settings, target_url, source_url, report, is_used=is_used, deleted=deleted):
        say(line)
    return report.is_well


async def _is_moved(report: _Report, store: JobStore, result: MovedObject) -> bool:
    if result.problem is None:
        return True
    jobs = await users_of(store, result.name)
    if jobs:  # else its job was deleted meanwhile
        report.add(result.name, result.problem, result.detail, jobs)
    return False


def _next_steps(
    settings: Settings, target_url: str, source_url: str, report: _Report, *, is_used: bool, deleted: int
) -> list[str]:
    target_url, source_url = _as_url(target_url), _as_url(source_url)
    if not report.is_well:
        return [
            "some objects are not in the target; nothing was deleted",
            "find out with: musicgate assets verify",
        ]
    if deleted:
        return [f"{deleted:,} objects were deleted from {source_url}", *_setting(settings, target_url)]
    if is_used:
        return [
            "a musicgate server uses this store of jobs, and may have made songs meanwhile.",
            "next: stop the server, run this command again (it copies the rest only), then",
            *_setting(settings, target_url),
            "and start the server",
        ]
    return [
        *_setting(settings, target_url),
        "then start the server",
        "the source is as it was; to empty it, run this again with --delete-source while no server runs",
    ]


def _setting(settings: Settings, target_url: str) -> list[str]:
    """The line to change, or that there is none."""
    if _as_url(settings.assets_url).rstrip("/") == target_url.rstrip("/"):
        return ["the setting assets.url names the target already"]
    variable = settings.variables.get("assets.url")
    if variable:
        return [f"set the environment variable {variable}={target_url}"]
    return [f"set in {settings.source or 'musicgate.toml'}:", "  [assets]", f'  url = "{target_url}"']


@asynccontextmanager
async def _opened(slot: Settings, *, alone: bool) -> AsyncIterator[tuple[JobStore, ObjectStore]]:
    """The store of jobs of a slot, and that of its objects."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context((stores.open_alone if alone else stores.open_to_read)(slot))
        objects = open_asset_store(slot)
        stack.push_async_callback(objects.close)
        yield store, objects


def _open(
    stack: AsyncExitStack, settings: Settings, option: str, url: str, *, must_exist: bool = False
) -> ObjectStore:
    """Open a store that the command line names.

    Raises:
        click.UsageError: the URL is wrong, or names a folder that does not exist.
    """
    url = _as_url(url)
    if must_exist and urlsplit(url).scheme == "file" and not Path(unquote(urlsplit(url).path)).is_dir():
        raise click.UsageError(f"{option}: there is no folder {unquote(urlsplit(url).path)}.")
    try:
        objects = open_objects(url, environ=settings.environ)
    except ValueError as exc:
        raise click.UsageError(f"{option}: {exc}.") from None
    stack.push_async_callback(objects.close)
    return objects


def _as_url(text: str) -> str:
    """A URL as it is; a path as the URL of its folder."""
    return text if "://" in text or text.startswith("memory:") else Path(text).absolute().as_uri()
