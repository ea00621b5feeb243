"""Open the object store that a URL names: a folder, S3 and what speaks it, GCS, Azure, or memory.

It knows URLs and options, and imports obstore only for a store that needs it (60 ms, 10 MB).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from musicgate.assets.folder import FolderObjects
from musicgate.assets.patience import Patience
from musicgate.assets.port import is_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from obstore.store import AzureStore, GCSStore, S3Store

    from musicgate.assets.port import ObjectStore

#: Prefix of the options of each kind of store, which may be left out.
_PREFIXES: Final = {"s3": "aws_", "gs": "google_", "az": "azure_"}
#: Variables that are options, too. obstore reads them (and those for roles and workload identities) from the
#: process's environment by itself, which cannot be switched off; what is passed to it wins.
_VARIABLES: Final = {
    "s3": (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    ),
    "gs": (
        "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS",
    ),
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_TENANT_ID",
        "AZURE_STORAGE_ENDPOINT",
    ),
}  # fmt: skip
#: One option has one name, so that an option is seen to replace a variable.
_SAME: Final = {
    "aws_endpoint": "aws_endpoint_url",
    "azure_endpoint": "azure_storage_endpoint",
    "azure_account_name": "azure_storage_account_name",
    "azure_account_key": "azure_storage_account_key",
    "azure_access_key": "azure_storage_account_key",
}
#: Options of the HTTP client, which have no prefix.
_CLIENT_OPTIONS: Final = frozenset(
    {
        "allow_http", "allow_invalid_certificates", "connect_timeout", "proxy_ca_certificate", "proxy_excludes",
        "proxy_url", "root_certificate", "timeout", "user_agent",
    }
)  # fmt: skip
_TRUE: Final = frozenset({"1", "true", "on", "yes", "y"})
_UNKNOWN_KEY: Final = re.compile(r"Configuration key: '([^']*)'")


def open_objects(
    url: str,
    *,
    environ: Mapping[str, str],
    options: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> ObjectStore:
    """Open a store; it is not asked anything yet (`ObjectStore.check` does that).

    Args:
        url: ``file:///folder``, ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``, or
            ``memory:``, which forgets everything.
        environ: where the variables of the clouds' own tools are read: ``AWS_ACCESS_KEY_ID``,
            ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_KEY`` ...
        options: obstore's names, with or without the cloud's prefix: ``region``, ``endpoint``,
            ``allow_http``, ``access_key_id`` ...; they beat the variables.
        patience: time limits; None = the defaults.

    Raises:
        ValueError: the URL or an option is wrong; it is named, and its value is not shown.
    """
    parts = urlsplit(url)
    given = dict(options or {})
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "the URL of an object store has a scheme, a bucket and a folder only; credentials are options"
        )
    if parts.scheme == "file":
        _refuse_options(given, "file:")
        return FolderObjects(_folder(parts))
    if url.rstrip("/") in {"memory:", "memory"}:
        from obstore.store import MemoryStore

        from musicgate.assets.cloud import CloudObjects

        _refuse_options(given, "memory:")
        return CloudObjects(MemoryStore(), "memory:", patience or Patience())
    if parts.scheme not in _PREFIXES:
        raise ValueError("the URL of an object store begins with file:, s3:, gs:, az: or memory:")
    return _cloud(parts, environ, given, patience or Patience())


def _folder(parts: SplitResult) -> Path:
    path = Path(unquote(parts.path))
    if parts.netloc not in {"", "localhost"} or not path.is_absolute() or path == Path("/"):
        raise ValueError(
            "the URL of a folder is file:// and an absolute path, as in file:///var/lib/musicgate"
        )
    return path


def _cloud(
    parts: SplitResult, environ: Mapping[str, str], options: Mapping[str, str], patience: Patience
) -> ObjectStore:
    from musicgate.assets.cloud import CloudObjects

    bucket, prefix = parts.netloc, unquote(parts.path).strip("/")
    if not bucket or (prefix and not is_name(prefix)):
        raise ValueError(
            f"the URL of an object store is {parts.scheme}:// and a bucket, and may have a folder of letters,"
            " digits, '-', '_' and '.'"
        )
    config = _config(parts.scheme, environ, options)
    store = _opened(parts.scheme, bucket, prefix or None, config, patience)
    label = f"{parts.scheme}://{bucket}" + (f"/{prefix}" if prefix else "")
    return CloudObjects(store, label, patience, secret=config.get("aws_secret_access_key"))


def _config(scheme: str, environ: Mapping[str, str], options: Mapping[str, str]) -> dict[str, str]:
    """Options and variables under one name each."""
    names = (variable for variable in _VARIABLES[scheme] if environ.get(variable))
    config = {_canonical(scheme, name): environ[name] for name in names}
    chosen = {_canonical(scheme, name): value for name, value in options.items()}
    if "aws_endpoint_url" in chosen:
        config.pop("aws_endpoint_url_s3", None)
        chosen.setdefault(
            "aws_endpoint_url_s3", chosen["aws_endpoint_url"]
        )  # beats the process's environment
    config |= chosen
    for name in ("aws_endpoint_url", "aws_endpoint_url_s3", "azure_storage_endpoint"):
        endpoint = config.get(name)
        if endpoint is None:
            continue
        if urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).netloc:
            raise ValueError("the option endpoint of an object store is not an http or https URL")
        allows_http = config.get("allow_http", "").lower() in _TRUE
        if urlsplit(endpoint).scheme == "http" and not allows_http:
            raise ValueError("the option endpoint of an object store is http:, which needs allow_http = true")
    if scheme == "s3":
        # One request a name is what every store understands; the bulk call is not (Alibaba, GCS).
        config.setdefault("aws_disable_bulk_delete", "true")
    return config


def _canonical(scheme: str, name: str) -> str:
    bare = name.lower().removeprefix(_PREFIXES[scheme])
    if bare in _CLIENT_OPTIONS:
        return bare
    name = f"{_PREFIXES[scheme]}{bare}"
    return _SAME.get(name, name)


def _opened(
    scheme: str, bucket: str, prefix: str | None, config: Mapping[str, str], patience: Patience
) -> AzureStore | GCSStore | S3Store:
    from obstore.exceptions import BaseError, UnknownConfigurationKeyError

    try:
        return _constructed(scheme, bucket, prefix, config, patience)
    except UnknownConfigurationKeyError as exc:
        found = _UNKNOWN_KEY.search(str(exc))
        named = found[1].removeprefix(_PREFIXES[scheme]) if found else "given"
        raise ValueError(f"an object store of {scheme}:// has no option {named!r}") from None
    except (BaseError, ValueError, OSError):
        pass
    # obstore does not say which value it could not read: it is the one without which the store opens.
    for name in config:
        others = {key: value for key, value in config.items() if key != name}
        try:
            _constructed(scheme, bucket, prefix, others, patience)
        except (BaseError, ValueError, OSError):
            continue
        raise ValueError(
            f"the option {name.removeprefix(_PREFIXES[scheme])} of the object store has a value that cannot be used"
        )
    raise ValueError(f"the object store of {scheme}:// cannot be opened with these options")


def _constructed(
    scheme: str, bucket: str, prefix: str | None, config: Mapping[str, str], patience: Patience
) -> AzureStore | GCSStore | S3Store:
    from datetime import timedelta

    from obstore.store import AzureStore, GCSStore, S3Store

    kinds: Mapping[str, Callable[..., AzureStore | GCSStore | S3Store]]
    kinds = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    return kinds[scheme](
        bucket,
        prefix=prefix,
        config=dict(config),
        client_options={
            "connect_timeout": timedelta(seconds=patience.connect_s),
            "timeout": timedelta(seconds=patience.request_s),
        },
        retry_config={
            "max_retries": patience.retries,
            "retry_timeout": timedelta(seconds=patience.retry_s),
            "backoff": {
                "init_backoff": timedelta(seconds=patience.pause_s),
                "max_backoff": timedelta(seconds=5),
                "base": 2,
            },
        },
    )


def _refuse_options(options: Mapping[str, str], kind: str) -> None:
    if options:
        raise ValueError(f"an object store of {kind} has no option {min(options)!r}")
