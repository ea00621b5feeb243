"""Check that all replicas keep audio in one store of objects; it knows marks and objects, and no job.

A folder on each machine looks like one store to the replica that has it, and every song that another replica
kept is missing there. So the store of objects holds a small object with a random id, and the job store knows
that id.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from musicgate.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext

_log = logging.getLogger(__name__)

MARK: Final = "asset_store"
_TEXT: Final = b"The replicas of a musicgate know by this object that they use the same store. Keep it.\n"
#: A replica that starts waits no longer for the store.
_LONGEST_CHECK_S: Final = 10.0
#: Seconds between tries to find the object: the first replica may be about to store it in a new place.
_RETRY_S: Final = (0.5, 1.0, 2.0)


async def check_shared_assets(context: GatewayContext) -> None:
    """Return if the other replicas use the store of ``assets.url``, too, or if there are none.

    A store that gives no answer is not checked: that may pass.

    Raises:
        ConfigError: it is another store.
    """
    try:
        async with asyncio.timeout(_LONGEST_CHECK_S):
            if await _is_shared(context):
                return
    except (StorageError, TimeoutError) as error:
        _log.warning("asset store not compared with that of the other replicas: error=%r", error)
        return
    raise ConfigError(
        "names another store of audio than that of the other replicas: give all of them the same bucket, or a"
        " folder that they share; to move to another store, stop all of them first",
        key="assets.url",
        source=context.settings.source_of("assets.url"),
    )


async def _is_shared(context: GatewayContext) -> bool:
    store, objects, is_first = context.store, context.keeper.objects, context.shares.is_first
    known: str | None = None
    for pause_s in (*_RETRY_S, None):
        known = await store.mark(MARK)
        if known is not None and await objects.size(_name(known)) is not None:
            return True
        if known is None or is_first:
            break
        if pause_s is None:
            return False
        await asyncio.sleep(pause_s)
    own = context.new_id("store_")
    with context.keeper.staged(own, 0) as path:
        await asyncio.to_thread(path.write_bytes, _TEXT)
        # Before its id is known: a replica that is killed in between leaves an object, and no riddle.
        await objects.put(_name(own), path, "text/plain")
    stored = await store.swap_mark(MARK, known, own)
    if stored == own:
        if known is not None:
            _log.warning("assets.url names another store of audio than before; was the audio moved there?")
        return True
    await objects.delete(_name(own))
    return await objects.size(_name(stored)) is not None


def _name(store_id: str) -> str:
    return f"replicas/{store_id}.txt"
