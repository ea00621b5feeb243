"""Everything that the operator can say, as frozen values with their defaults; nothing is read here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import platformdirs

from musicgate.limits import AccountLimits
from musicgate.model import Secret

_NO_LIMITS = AccountLimits()


@attrs.frozen(kw_only=True)
class ServerSettings:
    """``[server]``. ``create_wait_s``: how long a create call waits for a blocking vendor before it answers ``in_progress``."""

    host: str = "127.0.0.1"
    port: int = 8080
    #: Where vendors and callers reach this server from outside, without a trailing slash; "" = they cannot.
    public_url: str = ""
    create_wait_s: float = 2.0
    #: How long calls to vendors that are being made when the gateway stops may take to end.
    drain_s: float = 10.0
    #: Largest request body that is read.
    max_body_bytes: int = 1_048_576
    #: Seconds for the headers of a request, and for the first byte of a new connection.
    headers_timeout_s: float = 20.0
    #: Seconds for the body of a request.
    body_timeout_s: float = 30.0
    #: Seconds that a connection may stay open between two requests.
    idle_timeout_s: float = 75.0
    #: Open connections; fewer where the process may not have as many descriptors.
    max_connections: int = 2000
    #: Requests of one account that are in progress at a time; each occupies a connection.
    max_requests_per_account: int = 500
    #: Open event streams, in all and of one account.
    max_event_streams: int = 1000
    max_event_streams_per_account: int = 250
    #: Requests that wait because of ``Prefer: wait``, in all and of one account.
    max_waiting_requests: int = 1000
    max_waiting_requests_per_account: int = 250
    #: Refuse models whose price is not known.
    pricing_required: bool = False


@attrs.frozen(kw_only=True)
class StoreSettings:
    """``[store]``: where jobs are kept; "" = ``musicgate.db`` in the data folder."""

    url: str = ""


@attrs.frozen(kw_only=True)
class AssetSettings:
    """``[assets]``: where audio is kept ("" = ``audio`` in the data folder), and whether vendors' links are copied."""

    url: str = ""
    archive: bool = True
    #: Largest track that is fetched.
    max_bytes: int = 268_435_456


@attrs.frozen(kw_only=True)
class NetworkSettings:
    """``[network]``: whether vendor media and callbacks may lie on loopback and private networks."""

    allow_private_addresses: bool = False


@attrs.frozen(kw_only=True)
class FollowSettings:
    """``[follow]``: ``speed`` divides every poll interval and grace period, for tests and demonstrations."""

    speed: float = 1.0
    #: How many looks and downloads may run at a time.
    concurrency: int = 64
    #: Seconds after which an open job is given up; 0 = each provider's own.
    deadline_s: float = 0.0


@attrs.frozen(kw_only=True)
class RetentionSettings:
    """``[retention]``: how long what has ended is kept; 0 = for ever. Open jobs are never swept."""

    #: Days after its end that a job is kept, with its events and audio.
    jobs_days: float = 0.0
    #: Days after its end that a job's audio is kept.
    audio_days: float = 0.0
    #: Hours that an Idempotency-Key is remembered.
    idempotency_hours: float = 48.0
    #: Seconds between two rounds of the sweeper.
    sweep_s: float = 600.0


@attrs.frozen(kw_only=True)
class WebhookSettings:
    """``[webhooks]``: where a server without accounts tells about its jobs, with which signature; and how messages are sent, for all."""

    url: str = ""
    #: ``whsec_...``; the environment is a good place for it.
    secret: Secret | None = None
    #: Signs as well while receivers change over to a new secret.
    secret_previous: Secret | None = None
    #: Seconds until a receiver must have answered.
    timeout_s: float = 15.0
    #: How many messages may be under way at a time, in all and to one server.
    concurrency: int = 128
    concurrency_per_server: int = 4


@attrs.frozen(kw_only=True)
class Account:
    """One of ``[[accounts]]``: who may call. Exactly one of ``key`` and ``key_hash`` (``sha256:<hex>``) is set."""

    name: str
    key: Secret | None = None
    key_hash: str = ""
    #: ISO time with offset after which the key is refused; "" = never.
    expires_at: str = ""
    #: May use providers in stage beta.
    beta: bool = False
    #: None = as ``[limits]`` says; 0 = no limit.
    requests_per_minute: int | None = None
    max_open_jobs: int | None = None
    max_usd_per_day: float | None = None
    #: Where the account's jobs are told about, unless a request names another address.
    webhook_url: str = ""
    webhook_secret: Secret | None = None
    webhook_secret_previous: Secret | None = None


@attrs.frozen(kw_only=True)
class Settings:
    """Everything the operator can say.

    Attributes:
        data_dir: folder for the default store and audio.
        providers: the raw ``[providers.<plugin>]`` tables; `resolve` reads them once the plugins are known.
        source: the file that was read, or None.
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
    data_dir: Path = attrs.field(
        factory=lambda: Path(platformdirs.user_data_dir("musicgate", appauthor=False))
    )
    source: str | None = None

    def limits_of(self, account: str) -> AccountLimits:
        """What an account may do: what its own table says, else ``[limits]``. Of several keys of one account, the last that says it counts."""
        said = {
            name: value
            for entry in self.accounts
            if entry.name == account
            for name in attrs.fields_dict(AccountLimits)
            if (value := getattr(entry, name)) is not None
        }
        return attrs.evolve(self.limits, **said)

    @property
    def store_url(self) -> str:
        """``[store] url`` with its default filled in."""
        return self.store.url or f"sqlite:///{self.data_dir / 'musicgate.db'}"

    @property
    def assets_url(self) -> str:
        """``[assets] url`` with its default filled in."""
        return self.assets.url or (self.data_dir / "audio").absolute().as_uri()


def data_dir_of(environ: Mapping[str, str]) -> Path:
    """The folder that the environment names, else the user's data folder."""
    said = environ.get("MUSICGATE_DATA_DIR")
    return Path(said) if said else Path(platformdirs.user_data_dir("musicgate", appauthor=False))
