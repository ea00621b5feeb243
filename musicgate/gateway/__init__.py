"""The use cases by their names, and `Gateway`, the facade over them.

The use cases are accept, send, follow, settle, cancel and recover. The room knows the order of things that
money depends on, and must not know HTTP servers, command lines, SQL or sockets. Start with `facade` for what
it can do, with `send` for how it does it.
"""

from musicgate.gateway.audio_keeper import ORIGINAL, Rendition
from musicgate.gateway.blocking import GeneratedMusic, generate
from musicgate.gateway.compose import check_asset_store, open_asset_store, open_importer
from musicgate.gateway.custody import (
    all_jobs,
    check_objects,
    kept_assets,
    kept_objects,
    users_of,
)
from musicgate.gateway.facade import (
    LOCAL_ACCOUNT,
    Gateway,
    account_book,
    key_admin,
    measure_gateway,
    operation_of,
)
from musicgate.gateway.handle import JobHandle
from musicgate.gateway.idempotency import IdempotencyKey
from musicgate.gateway.job_stores import (
    copy_job_store,
    has_job_store,
    inspect_job_store,
    job_store_file,
    job_store_name,
    open_job_store,
    open_job_store_to_read,
)
from musicgate.gateway.keyring import KeyAdmin, ShownKey
from musicgate.gateway.measures import Measures
from musicgate.gateway.operation import Operation

__all__ = [
    "LOCAL_ACCOUNT",
    "ORIGINAL",
    "Gateway",
    "GeneratedMusic",
    "IdempotencyKey",
    "JobHandle",
    "KeyAdmin",
    "Measures",
    "Operation",
    "Rendition",
    "ShownKey",
    "account_book",
    "all_jobs",
    "check_asset_store",
    "check_objects",
    "copy_job_store",
    "generate",
    "has_job_store",
    "inspect_job_store",
    "job_store_file",
    "job_store_name",
    "kept_assets",
    "kept_objects",
    "key_admin",
    "measure_gateway",
    "open_asset_store",
    "open_importer",
    "open_job_store",
    "open_job_store_to_read",
    "operation_of",
    "users_of",
]
