"""Every setting, as a field with its rule, its default and its text in docs/settings.md.

A new setting is one field: file key, environment variable, validation and documentation follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import attrs
import platformdirs

from musicgate.errors import ConfigError
from musicgate.model import Secret
from musicgate.settings.audit import AuditSettings
from musicgate.settings.limits import AccountLimits, RetentionSettings, override
from musicgate.settings.rules import (
    Hidden,
    KeyHash,
    Moment,
    Number,
    OneOf,
    Switch,
    Text,
    WebAddress,
    Whole,
    documented,
    setting,
)
from musicgate.settings.secrets import SigningSecret

_NO_LIMITS = AccountLimits()
_FOREVER = RetentionSettings()
_NO_AUDIT = AuditSettings()
_YEAR_S = 31_536_000
_TIB = 2**40
#: The server refuses a longer key in a request's header.
_MAX_KEY_CHARS = 512
#: A shorter one could be guessed: 20 random letters have some 100 bits.
_MIN_ADMIN_KEY_CHARS = 20
#: A shorter key is a mistake, and could not be masked without masking other text.
_MIN_PROVIDER_KEY_CHARS = 8


def _moment(value: str | datetime | None) -> datetime | None:
    moment: datetime | None = Moment().read(value, key="accounts.expires_at")
    return moment


@attrs.frozen(kw_only=True)
class ServerSettings:
    """The HTTP server: where it listens, and what one request, connection or account may occupy."""

    SECTION: ClassVar[str] = "server"

    host: str = setting(
        Text(),
        default="127.0.0.1",
        doc="Address to listen on. Any but a loopback address needs accounts, or `admin_key`.",
    )
    port: int = setting(
        Whole(at_least=0, at_most=65_535), default=8080, doc="Port to listen on; 0 = any free one."
    )
    public_url: str = setting(
        WebAddress(),
        default="",
        doc=(
            "Address at which vendors and callers reach this server. "
            "Empty: vendors cannot call back, and jobs are polled."
        ),
    )
    create_wait_s: float = setting(
        Number(at_least=0, at_most=60, unit="seconds"),
        default=2.0,
        doc=(
            "How long a create call waits for a vendor whose call lasts as long as the song, "
            "before it answers `in_progress`."
        ),
    )
    drain_s: float = setting(
        Number(at_least=0, at_most=600, unit="seconds"),
        default=10.0,
        doc=(
            "How long calls to vendors that are in flight may take to end when the gateway stops. "
            "A call that is cut off counts as unknown."
        ),
    )
    admin_key: Secret | None = setting(
        Hidden(is_word=True, min_chars=_MIN_ADMIN_KEY_CHARS, max_chars=_MAX_KEY_CHARS),
        default=None,
        doc=(
            "A key that makes the first accounts and keys (`/v1/admin`), and no music. "
            "Better set in the environment than in the file. With it, every request needs a key."
        ),
    )
    max_body_bytes: int = setting(
        Whole(at_least=1, at_most=_TIB, unit="bytes"),
        default=1_048_576,
        doc="Largest request body, also after decompression; a larger one is a 413.",
    )
    headers_timeout_s: float = setting(
        Number(more_than=0, at_most=3600, unit="seconds"),
        default=20.0,
        doc=(
            "Time for the headers of a request, and for the first byte of a new connection. "
            "Then the connection is closed, with a 408 if headers had begun."
        ),
    )
    body_timeout_s: float = setting(
        Number(more_than=0, at_most=3600, unit="seconds"),
        default=30.0,
        doc="Time for the body of a request; then it is a 408.",
    )
    idle_timeout_s: float = setting(
        Number(more_than=0, at_most=3600, unit="seconds"),
        default=75.0,
        doc="How long a connection may stay open between two requests.",
    )
    max_connections: int = setting(
        Whole(at_least=1, at_most=1_000_000),
        default=2000,
        doc=(
            "Open connections. At the limit, the longest idle connection is closed for a new one; "
            "if none is idle, the new one gets a 503. `musicgate serve` raises the soft limit of open files "
            "where that is allowed, and logs it if even then fewer connections are possible."
        ),
    )
    max_requests_per_account: int = setting(
        Whole(at_least=1, at_most=1_000_000),
        default=500,
        doc=(
            "Requests in progress per account, each on its own connection; one more is a 429. "
            "Downloads by signed links are counted apart. At most half of the connections."
        ),
    )
    max_event_streams: int = setting(
        Whole(at_least=1, at_most=1_000_000),
        default=1000,
        doc="Open event streams in all; one more is a 503. At most half of the connections.",
    )
    max_event_streams_per_account: int = setting(
        Whole(at_least=1, at_most=1_000_000),
        default=250,
        doc="Open event streams per account; one more is a 429. At most a quarter of the connections.",
    )
    max_waiting_requests: int = setting(
        Whole(at_least=1, at_most=1_000_000),
        default=1000,
        doc=(
            "Requests in all that wait because of `Prefer: wait`; one more is a 503. "
            "At most half of the connections."
        ),
    )
    max_waiting_requests_per_account: int = setting(
        Whole(at_least=1, at_most=1_000_000),
        default=250,
        doc=(
            "Requests per account that wait because of `Prefer: wait`; one more is a 429. "
            "At most a quarter of the connections."
        ),
    )
    metrics: str = setting(
        OneOf(words=("token", "open", "off")),
        default="token",
        doc=(
            "Who may read `/metrics`: `token` = who sends `metrics_token`, and without accounts this machine; "
            "`open` = every client, as of `/readyz`; `off` = there is no such route. The figures name models and money."
        ),
    )
    metrics_token: Secret | None = setting(
        Hidden(is_word=True, max_chars=_MAX_KEY_CHARS),
        default=None,
        doc=(
            "The bearer token for `/metrics`. Better set in the environment than in the file. "
            "With accounts and without it, `/metrics` is a 401."
        ),
    )
    log_format: str = setting(
        OneOf(words=("text", "json")),
        default="text",
        doc="Lines of the log on standard error: `key=value` facts for people, or one JSON object each.",
    )
    access_log: bool = setting(
        Switch(),
        default=False,
        doc="Log a line for each request that was answered, and for each change of a job's state.",
    )
    pricing_required: bool = setting(Switch(), default=False, doc="Refuse models whose price is not known.")


@attrs.frozen(kw_only=True)
class StoreSettings:
    """Where jobs are stored."""

    SECTION: ClassVar[str] = "store"

    url: str = setting(
        Text(),
        default="",
        doc=(
            "`sqlite:///relative.db`, `sqlite:////absolute.db`, or `postgresql://user:password@host/database` "
            "(PostgreSQL 14 or later; needs `musicgate[postgres]`); empty: `musicgate.db` in the data folder. "
            "One process at a time may use SQLite, any number of replicas PostgreSQL."
        ),
    )
    pgbouncer: bool = setting(
        Switch(),
        default=False,
        doc=(
            "PostgreSQL is behind pgbouncer, or another pooler, in transaction mode. Then no prepared statement "
            "is used, and writes are slower. Without `session_url` there is no lock of a session, either: one "
            "process at a time may use the store, and after a crash it is free again within a minute instead "
            "of at once."
        ),
    )
    session_url: str = setting(
        Text(),
        default="",
        doc=(
            "Only with `pgbouncer`: the same database and user as in `url`, but past the pooler. It is used for "
            "what needs a session of its own, a few connections for each replica. Without it there can be only "
            "one."
        ),
    )
    heartbeat_s: float = setting(
        Number(at_least=2, at_most=600, unit="seconds"),
        default=30.0,
        doc=(
            "With PostgreSQL, the time after which a replica that shows no sign of life counts as dead, and the "
            "others follow its jobs."
        ),
    )


@attrs.frozen(kw_only=True)
class AssetSettings:
    """Where audio is kept, and which audio."""

    SECTION: ClassVar[str] = "assets"

    url: str = setting(
        Text(),
        default="",
        doc=(
            "`file:///absolute/folder`, `s3://bucket/folder`, `gs://bucket/folder` or "
            "`az://container/folder`; empty: `audio` in the data folder. The credentials of a bucket are in "
            "the environment: see [Custody](audio.md#custody)."
        ),
    )
    archive: bool = setting(
        Switch(), default=True, doc="Copy audio from vendors' links, which expire, and serve the copy."
    )
    max_bytes: int = setting(
        Whole(at_least=1, at_most=_TIB, unit="bytes"),
        default=268_435_456,
        doc="Largest track that is fetched.",
    )
    serve: str = setting(
        OneOf(words=("gateway", "redirect")),
        default="gateway",
        doc=(
            "Who sends audio to listeners: `gateway`, or the object store, by a `redirect` to a signed link. "
            "A local folder has no links."
        ),
    )
    tags: bool = setting(
        Switch(),
        default=False,
        doc=(
            "Write tags into finished files: title, artist, and that AI generated them, with provider, model "
            "and job. The file as it was delivered stays beside it."
        ),
    )
    sign_certificate: str = setting(
        Text(),
        default="",
        doc="PEM file of a certificate (with its chain) to sign finished files as generated by AI (C2PA).",
    )
    sign_key: str = setting(Text(), default="", doc="PEM file of the certificate's key (P-256, PKCS 8).")
    link_hours: float = setting(
        Number(at_least=0, at_most=87_600, unit="hours"),
        default=168.0,
        doc=(
            "How long a link to audio works without a key, at least; each new answer has links for as long. "
            "0 = as long as the audio is kept."
        ),
    )


@attrs.frozen(kw_only=True)
class NetworkSettings:
    """Which addresses musicgate may reach, and how."""

    SECTION: ClassVar[str] = "network"

    allow_private_addresses: bool = setting(
        Switch(),
        default=False,
        doc="Let vendors' media links and callers' webhooks lead to loopback and private networks.",
    )
    proxy: str = setting(
        Text(),
        default="",
        doc=(
            "HTTP proxy for all outgoing calls, such as `http://user:password@proxy.example:3128`. "
            'Empty: as the usual variables say; `"none"`: no proxy. See [Proxies](#proxies).'
        ),
    )
    downloads: int = setting(
        Whole(at_least=1, at_most=1000),
        default=32,
        doc="Downloads at a time, of all jobs together. Each needs a connection and an open file.",
    )


@attrs.frozen(kw_only=True)
class FollowSettings:
    """How open jobs are polled until they end."""

    SECTION: ClassVar[str] = "follow"

    speed: float = setting(
        Number(at_least=0.001, at_most=1_000_000),
        default=1.0,
        doc=(
            "Divides poll intervals, grace periods, vendors' rate windows and the circuit breakers' times. "
            "For tests and demonstrations only: a real vendor does not count faster."
        ),
    )
    concurrency: int = setting(
        Whole(at_least=1, at_most=100_000), default=64, doc="Polls and downloads at a time."
    )
    deadline_s: float = setting(
        Number(at_least=0, at_most=_YEAR_S, unit="seconds"),
        default=0.0,
        doc="Time after which an open job fails; 0 = the provider's own deadline.",
    )


@attrs.frozen(kw_only=True)
class WebhookSettings:
    """Webhooks of a server without accounts, and how webhooks are sent for all accounts."""

    SECTION: ClassVar[str] = "webhooks"

    url: str = setting(
        Text(), default="", doc="Where webhooks go. With accounts, each account has its own address."
    )
    secret: Secret | None = setting(
        SigningSecret(), default=None, doc="Signs webhooks. Better set in the environment than in the file."
    )
    secret_previous: Secret | None = setting(
        SigningSecret(), default=None, doc="A second signature while receivers change to a new secret."
    )
    timeout_s: float = setting(
        Number(more_than=0, at_most=60, unit="seconds"),
        default=15.0,
        doc="Time in which a receiver must answer.",
    )
    concurrency: int = setting(
        Whole(at_least=1, at_most=100_000),
        default=128,
        doc=(
            "Messages in flight in all. With several accounts, each may use as many slots as are still free: "
            "one alone uses half of them."
        ),
    )
    concurrency_per_server: int = setting(
        Whole(at_least=1, at_most=100_000), default=4, doc="Messages in flight of one account to one server."
    )


@attrs.frozen(kw_only=True)
class Account:
    """One of ``[[accounts]]``: who may call. Exactly one of ``key`` and ``key_hash`` is set."""

    SECTION: ClassVar[str] = "accounts"

    name: str = attrs.field(
        validator=Text(),
        metadata=documented("Owner of the jobs; another account cannot see them."),
    )
    key: Secret | None = setting(
        Hidden(is_word=True, max_chars=_MAX_KEY_CHARS), default=None, doc="The key, as callers send it."
    )
    key_hash: str = setting(KeyHash(), default="", doc="SHA-256 digest of the key, instead of `key`.")
    expires_at: datetime | None = attrs.field(
        default=None,
        converter=_moment,
        validator=Moment(),
        metadata=documented(
            "When the key expires, with its offset from UTC: `2027-01-01T00:00:00Z`, "
            "as TOML's own date-time or as text. Without: never."
        ),
    )
    beta: bool = setting(Switch(), default=False, doc="May use providers in their beta stage.")
    requests_per_minute: int | None = override("requests_per_minute")
    max_open_jobs: int | None = override("max_open_jobs")
    max_usd_per_day: float | None = override("max_usd_per_day")
    jobs_days: float | None = override("jobs_days", RetentionSettings, "forever")
    audio_days: float | None = override("audio_days", RetentionSettings, "forever")
    webhook_url: str = setting(
        Text(), default="", doc="Where the account's webhooks go, unless a request names another address."
    )
    webhook_secret: Secret | None = setting(
        SigningSecret(), default=None, doc="Signs the account's webhooks."
    )
    webhook_secret_previous: Secret | None = setting(
        SigningSecret(), default=None, doc="A second signature while receivers change to a new secret."
    )


@attrs.frozen(kw_only=True)
class ProviderTable:
    """The keys of every ``[providers.<plugin>]`` table; a plugin's own settings are in the same table."""

    SECTION: ClassVar[str] = "providers.<plugin>"

    api_key: Secret | None = setting(
        Hidden(is_word=True, min_chars=_MIN_PROVIDER_KEY_CHARS),
        default=None,
        doc="The vendor's key. Without one the provider is skipped.",
    )
    base_url: str = setting(
        WebAddress(),
        default="",
        doc="Address of the API, instead of the vendor's; without user name, password, query and fragment.",
    )
    webhook_secret: Secret | None = setting(
        Hidden(), default=None, doc="Verifies the signature of the vendor's callbacks."
    )
    priority: int | None = setting(
        Whole(at_least=-1_000_000, at_most=1_000_000, or_none=True),
        default=None,
        doc="Place in the default order, smaller first; without, the plugin's own.",
    )
    enabled: bool = setting(Switch(), default=True, doc="`false` disables the provider.")
    max_parallel_creates: int | None = setting(
        Whole(at_least=1, at_most=100_000, or_none=True),
        default=None,
        doc=(
            "Create calls at a time, instead of the number that the plugin declares: "
            "a larger plan at the vendor may allow more."
        ),
    )
    create_window_calls: int | None = setting(
        Whole(at_least=0, at_most=1_000_000, or_none=True),
        default=None,
        doc=(
            "Create calls in the time window that the plugin declares ([declarations](providers.md)); "
            "0 = any number."
        ),
    )


@attrs.frozen(kw_only=True)
class Settings:
    """All settings of the operator.

    Attributes:
        data_dir: Folder for the default store and audio; None = the user's data folder.
        providers: The raw ``[providers.<plugin>]`` tables; `resolve` reads them once the plugins are known.
        environ: Variables that plugins declare, and those of proxies; see `musicgate.settings.environment`.
        source: The file that was read, or None.
        variables: Dotted name -> environment variable, for settings that came from one.
    """

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    assets: AssetSettings = AssetSettings()
    network: NetworkSettings = NetworkSettings()
    follow: FollowSettings = FollowSettings()
    retention: RetentionSettings = _FOREVER
    webhooks: WebhookSettings = WebhookSettings()
    limits: AccountLimits = _NO_LIMITS
    audit: AuditSettings = _NO_AUDIT
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
            ConfigError: None is set, and this user has no home folder.
        """
        return user_data_dir() if self._data_dir is None else self._data_dir

    def source_of(self, key: str) -> str | None:
        """Where a setting came from: its environment variable, else the file."""
        return self.variables.get(key, self.source)

    def limits_of(self, entries: Iterable[Account]) -> AccountLimits:
        """The limits of an account: ``[limits]`` with its overrides.

        Args:
            entries: of the account; if it has several keys, the last one that sets a limit wins.
        """
        return attrs.evolve(self.limits, **_overrides(entries, attrs.fields_dict(AccountLimits)))

    def retention_of(self, entries: Iterable[Account]) -> RetentionSettings:
        """How long an account's jobs and audio are kept: ``[retention]`` with its overrides.

        Args:
            entries: of the account; if it has several keys, the last one that sets a time wins.
        """
        return attrs.evolve(self.retention, **_overrides(entries, ("jobs_days", "audio_days")))

    @property
    def store_url(self) -> str:
        """``[store] url`` with its default filled in."""
        return self.store.url or f"sqlite:///{self.data_dir / 'musicgate.db'}"

    @property
    def assets_url(self) -> str:
        """``[assets] url`` with its default filled in."""
        return self.assets.url or (self.data_dir / "audio").absolute().as_uri()


def _overrides(entries: Iterable[Account], names: Iterable[str]) -> dict[str, Any]:
    """What the entries of an account set of these."""
    return {name: value for entry in entries for name in names if (value := getattr(entry, name)) is not None}


#: Section name -> class.
SECTIONS: Mapping[str, type[Any]] = {
    field.name: type(field.default) for field in attrs.fields(Settings) if attrs.has(type(field.default))
}


def user_data_dir() -> Path:
    """The user's data folder, as the system defines it.

    Raises:
        ConfigError: There is no home folder, as in a container whose user is not in its list of users.
    """
    try:
        folder = Path(platformdirs.user_data_dir("musicgate", appauthor=False))
    except (RuntimeError, KeyError, OSError):
        folder = Path("~")
    if folder.parts[0] == "~":
        message = "is not set, and this user has no home folder to keep jobs and audio in"
        raise ConfigError(message, key="MUSICGATE_DATA_DIR")
    return folder
