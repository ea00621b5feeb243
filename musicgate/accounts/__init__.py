"""Accounts and API keys that change while the server runs: values, rules, and what is in force now.

It knows who may call and within which limits, and must not know HTTP, SQL or a clock. Start with `values`,
then `edits`, where every change is a pure function; `book` merges the accounts of the settings with those of
the store, and is what everything else asks.
"""

from musicgate.accounts.book import ADMIN_KEY_ID, AccountBook
from musicgate.accounts.documents import FIELDS as ACCOUNT_FIELDS
from musicgate.accounts.documents import account_from_text, account_text
from musicgate.accounts.edits import (
    add_account,
    add_key,
    change_account,
    change_key,
    check_way_in,
    remove_account,
    revoke_key,
    rotate_key,
)
from musicgate.accounts.tokens import digest_of, id_of, make_key
from musicgate.accounts.values import ApiKey, Caller, Keyring, KeyringChange, ManagedAccount

__all__ = [
    "ACCOUNT_FIELDS",
    "ADMIN_KEY_ID",
    "AccountBook",
    "ApiKey",
    "Caller",
    "Keyring",
    "KeyringChange",
    "ManagedAccount",
    "account_from_text",
    "account_text",
    "add_account",
    "add_key",
    "change_account",
    "change_key",
    "check_way_in",
    "digest_of",
    "id_of",
    "make_key",
    "remove_account",
    "revoke_key",
    "rotate_key",
]
