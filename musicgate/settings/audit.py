"""Settings of the audit log."""

from __future__ import annotations

from typing import ClassVar

import attrs

from musicgate.settings.rules import Number, Switch, setting


@attrs.frozen(kw_only=True)
class AuditSettings:
    """Who created, cancelled, deleted and downloaded, and who changed accounts and keys; never a prompt."""

    SECTION: ClassVar[str] = "audit"

    enabled: bool = setting(
        Switch(),
        default=False,
        doc=(
            "Keep the audit log. An entry is stored together with the job that it is about. "
            "Off by default, because that makes a create some 2 % longer."
        ),
    )
    downloads: bool = setting(
        Switch(),
        default=True,
        doc="Note downloads of audio as well, each within a second: a crash loses those of the last second.",
    )
    keep_days: float = setting(
        Number(at_least=0, unit="days"),
        default=0.0,
        doc="How long an entry is kept; 0 = forever. The newest one always stays.",
    )
