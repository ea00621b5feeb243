"""Everything that the operator can say, as frozen values with their defaults and rules; nothing is read here.

A value is held to its rule however it came about: from the file, from the environment, or made in code. ``repr`` shows no text that could
be a credential, addresses included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import attrs
import platformdirs

from musicgate.errors import ConfigError
from musicgate.model import Secret
from musicgate.settings.limits import AccountLimits, limit_rule
from musicgate.settings.rules import (
    Hidden,
    KeyHash,
    Moment,
    Number,
    Switch,
    Text,
    WebAddress,
    Whole,
    masked,
)
from musicgate.settings.webhooks import SigningSecret

_NO_LIMITS = AccountLimits()
_YEAR_S = 31_536_000
#: Longest key that the server takes.
_MAX_KEY_CHARS = 512


def _moment(value: str | datetime | None) -> datetime | None:
    moment: datetime | None = Moment().read(value, key="accounts.expires_at")
    return moment


@attrs.frozen(kw_only=True)
class ServerSettings:
    """``[server]``. ``create_wait_s``: how long a create call waits for a blocking vendor before it answers ``in_progress``."""

    SECTION: ClassVar[str] = "server"

    host: str = attrs.field(default="127.0.0.1", validator=Text(), repr=masked)
    port: int = attrs.field(default=8080, validator=Whole(at_least=0, at_most=65_535))
    #: Where vendors and callers reach this server from outside, without a trailing slash; "" = they cannot.
    public_url: str = attrs.field(default="", validator=WebAddress(), repr=masked)
    create_wait_s: float = attrs.field(default=2.0, validator=Number(at_least=0, at_most=60, unit="seconds"))
    #: How long calls to vendors that are being made when the gateway stops may take to end.
    drain_s: float = attrs.field(default=10.0, validator=Number(at_least=0, at_most=600, unit="seconds"))
    #: Largest request body that is read.
    max_body_bytes: int = attrs.field(
        default=1_048_576, validator=Whole(at_least=1, at_most=2**40, unit="bytes")
    )
    #: Seconds for the headers of a request, and for the first byte of a new connection.
    headers_timeout_s: float = attrs.field(
        default=20.0, validator=Number(more_than=0, at_most=3600, unit="seconds")
    )
    #: Seconds for the body of a request.
    body_timeout_s: float = attrs.field(
        default=30.0, validator=Number(more_than=0, at_most=3600, unit="seconds")
    )
    #: Seconds that a connection may stay open between two requests.
    idle_timeout_s: float = attrs.field(
        default=75.0, validator=Number(more_than=0, at_most=3600, unit="seconds")
    )
    #: Open connections; fewer where the process may not have as many descriptors.
    max_connections: int = attrs.field(default=2000, validator=Whole(at_least=1, at_most=1_000_000))
    #: Requests of one account that are in progress at a time; each occupies a connection.
    max_requests_per_account: int = attrs.field(default=500, validator=Whole(at_least=1, at_most=1_000_000))
    #: Open event streams, in all and of one account.
    max_event_streams: int = attrs.field(default=1000, validator=Whole(at_least=1, at_most=1_000_000))
    max_event_streams_per_account: int = attrs.field(
        default=250, validator=Whole(at_least=1, at_most=1_000_000)
    )
    #: Requests that wait because of ``Prefer: wait``, in all and of one account.
    max_waiting_requests: int = attrs.field(default=1000, validator=Whole(at_least=1, at_most=1_000_000))
    max_waiting_requests_per_account: int = attrs.field(
        default=250, validator=Whole(at_least=1, at_most=1_000_000)
    )
    #: Refuse models whose price is not known.
    pricing_required: bool = attrs.field(default=False, validator=Switch())


@attrs.frozen(kw_only=True)
class StoreSettings:
    """``[store]``: where jobs are kept; "" = ``musicgate.db`` in the data folder."""

    SECTION: ClassVar[str] = "store"

    url: str = attrs.field(default="", validator=Text(), repr=masked)


@attrs.frozen(kw_only=True)
class AssetSettings:
    """``[assets]``: where audio is kept ("" = ``audio`` in the data folder), and whether vendors' links are copied."""

    SECTION: ClassVar[str] = "assets"

    url: str = attrs.field(default="", validator=Text(), repr=masked)
    archive: bool = attrs.field(default=True, validator=Switch())
    #: Largest track that is fetched.
    max_bytes: int = attrs.field(
        default=268_435_456, validator=Whole(at_least=1, at_most=2**40, unit="bytes")
    )


@attrs.frozen(kw_only=True)
class NetworkSettings:
    """``[network]``: whether vendor media and webhooks may lie on loopback and private networks, and how the network is reached."""

    SECTION: ClassVar[str] = "network"

    allow_private_addresses: bool = attrs.field(default=False, validator=Switch())
    #: Proxy for all outgoing calls; "" = as ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` say, "none" = none. It may hold a password.
    proxy: str = attrs.field(default="", validator=Text(), repr=False)
    #: How many downloads run at a time, of all jobs together; each needs a connection and an open file.
    downloads: int = attrs.field(default=32, validator=Whole(at_least=1, at_most=1000))


@attrs.frozen(kw_only=True)
class FollowSettings:
    """``[follow]``: ``speed`` divides every poll interval and grace period, for tests and demonstrations."""

    SECTION: ClassVar[str] = "follow"

    speed: float = attrs.field(default=1.0, validator=Number(at_least=0.001, at_most=1_000_000))
    #: How many polls and downloads may run at a time.
    concurrency: int = attrs.field(default=64, validator=Whole(at_least=1, at_most=100_000))
    #: Seconds after which an open job is given up; 0 = each provider's own.
    deadline_s: float = attrs.field(
        default=0.0, validator=Number(at_least=0, at_most=_YEAR_S, unit="seconds")
    )


@attrs.frozen(kw_only=True)
class RetentionSettings:
    """``[retention]``: how long what has ended is kept; 0 = for ever. Open jobs are never swept."""

    SECTION: ClassVar[str] = "retention"

    #: Days after its end that a job is kept, with its events and audio.
    jobs_days: float = attrs.field(default=0.0, validator=Number(at_least=0, unit="days"))
    #: Days after its end that a job's audio is kept.
    audio_days: float = attrs.field(default=0.0, validator=Number(at_least=0, unit="days"))
    #: Hours that an Idempotency-Key is remembered.
    idempotency_hours: float = attrs.field(default=48.0, validator=Number(at_least=24, unit="hours"))
    #: Seconds between two rounds of the sweeper.
    sweep_s: float = attrs.field(
        default=600.0, validator=Number(more_than=0, at_most=_YEAR_S, unit="seconds")
    )


@attrs.frozen(kw_only=True)
class WebhookSettings:
    """``[webhooks]``: where a server without accounts tells about its jobs, with which signature; and how messages are sent, for all."""

    SECTION: ClassVar[str] = "webhooks"

    url: str = attrs.field(default="", validator=Text(), repr=masked)
    #: ``whsec_...``; the environment is a good place for it.
    secret: Secret | None = attrs.field(default=None, validator=SigningSecret())
    #: Signs as well while receivers change over to a new secret.
    secret_previous: Secret | None = attrs.field(default=None, validator=SigningSecret())
    #: Seconds until a receiver must have answered.
    timeout_s: float = attrs.field(default=15.0, validator=Number(more_than=0, at_most=60, unit="seconds"))
    #: How many messages may be in flight at a time, in all and of one account to one server.
    concurrency: int = attrs.field(default=128, validator=Whole(at_least=1, at_most=100_000))
    concurrency_per_server: int = attrs.field(default=4, validator=Whole(at_least=1, at_most=100_000))


@attrs.frozen(kw_only=True)
class Account:
    """One of ``[[accounts]]``: who may call. Exactly one of ``key`` and ``key_hash`` (``sha256:<hex>``) is set."""

    SECTION: ClassVar[str] = "accounts"

    name: str = attrs.field(validator=Text())
    key: Secret | None = attrs.field(default=None, validator=Hidden(is_word=True, max_chars=_MAX_KEY_CHARS))
    key_hash: str = attrs.field(default="", validator=KeyHash(), repr=masked)
    #: When the key ceases to be taken, with its offset; text is read as ISO 8601. None = never.
    expires_at: datetime | None = attrs.field(default=None, converter=_moment, validator=Moment())
    #: May use providers in stage beta.
    beta: bool = attrs.field(default=False, validator=Switch())
    #: None = as ``[limits]`` says; 0 = no limit.
    requests_per_minute: int | None = attrs.field(default=None, validator=limit_rule("requests_per_minute"))
    max_open_jobs: int | None = attrs.field(default=None, validator=limit_rule("max_open_jobs"))
    max_usd_per_day: float | None = attrs.field(default=None, validator=limit_rule("max_usd_per_day"))
    #: Where the account's jobs are told about, unless a request names another address.
    webhook_url: str = attrs.field(default="", validator=Text(), repr=masked)
    webhook_secret: Secret | None = attrs.field(default=None, validator=SigningSecret())
    webhook_secret_previous: Secret | None = attrs.field(default=None, validator=SigningSecret())


@attrs.frozen(kw_only=True)
class Settings:
    """Everything the operator can say.

    Attributes:
        data_dir: folder for the default store and audio; None = the user's data folder, looked for when it is needed.
        providers: the raw ``[providers.<plugin>]`` tables; `resolve` reads them once the plugins are known.
        environ: variables that plugins declare, and those of proxies; see `musicgate.settings.environment`.
        source: the file that was read, or None.
        variables: dotted name -> environment variable, for settings that came from one.
    """

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    assets: AssetSettings = AssetSettings()
    network: NetworkSettings = NetworkSettings()
    follow: FollowSettings = FollowSettings()
    retention: RetentionSettings = RetentionSettings()
    webhooks: WebhookSettings = WebhookSettings()
    limits: AccountLimits = _NO_LIMITS
    accounts: tuple[Account, ...] = ()
    providers: Mapping[str, Mapping[str, Any]] = attrs.field(
        factory=dict, repr=lambda tables: repr(sorted(tables))
    )
    environ: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    _data_dir: Path | None = attrs.field(default=None, repr=False)
    source: str | None = None
    variables: Mapping[str, str] = attrs.field(factory=dict, eq=False, repr=False)

    @property
    def data_dir(self) -> Path:
        """The folder for the default store and audio.

        Raises:
            ConfigError: none is set, and this user has no home folder.
        """
        return user_data_dir() if self._data_dir is None else self._data_dir

    def source_of(self, key: str) -> str | None:
        """Where a setting came from: its environment variable, else the file."""
        return self.variables.get(key, self.source)

    def limits_by_account(self) -> dict[str, AccountLimits]:
        """What every account of the list may do: what its own table says, else ``[limits]``. The last of several keys that says it counts."""
        found: dict[str, AccountLimits] = {}
        for entry in self.accounts:
            own = {
                name: value
                for name in attrs.fields_dict(AccountLimits)
                if (value := getattr(entry, name)) is not None
            }
            found[entry.name] = attrs.evolve(found.get(entry.name, self.limits), **own)
        return found

    def limits_of(self, account: str) -> AccountLimits:
        """What an account may do."""
        return self.limits_by_account().get(account, self.limits)

    @property
    def store_url(self) -> str:
        """``[store] url`` with its default filled in."""
        return self.store.url or f"sqlite:///{self.data_dir / 'musicgate.db'}"

    @property
    def assets_url(self) -> str:
        """``[assets] url`` with its default filled in."""
        return self.assets.url or (self.data_dir / "audio").absolute().as_uri()


def user_data_dir() -> Path:
    """The user's data folder, as the system has it.

    Raises:
        ConfigError: there is no home folder, as in a container whose user is not in its list of users.
    """
    try:
        folder = Path(platformdirs.user_data_dir("musicgate", appauthor=False))
    except (RuntimeError, KeyError, OSError):
        folder = Path("~")
    if folder.parts[0] == "~":
        message = "is not set, and this user has no home folder to keep jobs and audio in"
        raise ConfigError(message, key="MUSICGATE_DATA_DIR")
    return folder
