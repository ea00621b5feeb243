"""Checks of vendors: the form of each key, whether each is there, and what time it is there."""

from __future__ import annotations

import re
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

from musicgate.cli.checks import Check, failed, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from musicgate.hosting import InstalledProvider
    from musicgate.settings import Settings

#: What people leave in a settings file or copy from a page instead of a key.
_PLACEHOLDER: Final = re.compile(
    r"<.*>|\.{3,}|x{3,}|\*{3,}|\$\{?\w+\}?|(?:change|replace)[-_]?me|to[-_]?do|none|null|undefined"
    r"|(?:your|my|the|insert)?[-_]?(?:\w+[-_])?(?:api|secret|access)[-_]?(?:key|token)(?:[-_]?here)?",
    re.IGNORECASE,
)
#: The keys of every vendor known are at least twice as long.
_SHORTEST: Final = 12
#: Signatures of callbacks and webhooks are good for five minutes (standardwebhooks.com, "Verifying webhook
#: authenticity"), so are those of object stores for fifteen.
_WRONG_CLOCK: Final = timedelta(minutes=5)
_ODD_CLOCK: Final = timedelta(seconds=30)


def keys(providers: Iterable[InstalledProvider]) -> list[Check]:
    """Which providers have a key, and whether it looks like one."""
    ordered = sorted(providers, key=lambda installed: installed.name)
    checks = []
    for installed in ordered:
        trouble = key_trouble(installed)
        if trouble:
            mend = f"copy it again into {installed.provider.key_env} or providers.{installed.name}.api_key"
            checks.append(failed("key", f"{installed.name}: {trouble}", mend))
        elif installed.key:
            checks.append(ok("key", f"{installed.name}: is set"))
    missing = [installed.provider.key_env for installed in ordered if not installed.can_be_called]
    if not any(installed.key for installed in ordered):
        mend = f"set {' or '.join(missing) or 'one'}, or use emulated vendors: add --sandbox"
        checks.append(warning("key", "no provider has a key", mend))
    elif missing:
        checks.append(ok("key", f"not set, so not used: {', '.join(missing)}"))
    return checks


def key_trouble(installed: InstalledProvider) -> str:
    """What is wrong with the form of a provider's key, without showing it; "" = nothing, or there is none."""
    if installed.key is None:
        return ""
    key = installed.key.reveal()
    if key[0] in "'\"" or key[-1] in "'\"":
        return "the key is in quotes"
    if key.lower().startswith(("bearer", "authorization", "http://", "https://")):
        return "the key begins with what is put before keys, or is an address"
    if key.startswith(f"{installed.provider.key_env}="):
        return "the key begins with the name of its variable"
    if _PLACEHOLDER.fullmatch(key):
        return "the key is a placeholder"
    if not installed.has_usable_key:
        return "the key has characters that no HTTP header can carry"
    return f"the key has only {len(key)} characters" if len(key) < _SHORTEST else ""


async def reachable(settings: Settings, providers: Iterable[InstalledProvider]) -> list[Check]:
    """Whether each vendor that can be called answers, and whether the clock here is right.

    A HEAD request to its address, through the proxy of the settings, without the key.
    """
    from musicgate.errors import ConfigError
    from musicgate.http import Proxies, reach

    used = sorted((one for one in providers if _is_used(one)), key=lambda installed: installed.name)
    try:
        proxies = Proxies.from_settings(settings.network.proxy, settings.environ)
    except ConfigError as error:
        return [failed("vendor", str(error), "correct the proxy")]
    found = await reach((one.settings.base_url for one in used), proxies)
    checks, ahead = [], []
    for installed in used:
        url = installed.settings.base_url
        answer = found[url]
        if answer.trouble:
            mend = "check the network, the proxy and the base URL"
            checks.append(failed("vendor", f"{installed.name}: {url}: {answer.trouble}", mend))
        elif answer.status >= 500:
            mend = "try again later; the vendor's status page may say more"
            checks.append(warning("vendor", f"{installed.name}: {url} answers {answer.status}", mend))
        else:
            checks.append(ok("vendor", f"{installed.name}: {url} answers in {answer.took_s * 1000:.0f} ms"))
        if answer.clock_ahead is not None:
            ahead.append(answer.clock_ahead)
    return [*checks, *([clock(ahead)] if ahead else [])]


def clock(ahead: Sequence[timedelta]) -> Check:
    """Compare the clock here with those of vendors, by the median: one of them may be wrong."""
    difference = timedelta(seconds=round(median(one.total_seconds() for one in ahead)))
    vendors = "1 vendor" if len(ahead) == 1 else f"{len(ahead)} vendors"
    if abs(difference) < _ODD_CLOCK:
        return ok("clock", f"agrees with {vendors}")
    way = "ahead of" if difference > timedelta() else "behind"
    message = f"is {abs(difference)} {way} that of {vendors}"
    mend = "set it by NTP: timedatectl set-ntp true"
    if abs(difference) < _WRONG_CLOCK:
        return warning("clock", message, mend)
    return failed("clock", f"{message}: signatures and dates will be refused", mend)


def _is_used(installed: InstalledProvider) -> bool:
    """True if it has a key, or was given an address: a server of one's own is not there by default."""
    return installed.key is not None or (
        installed.can_be_called and installed.settings.base_url != installed.provider.base_url
    )
