"""Drafts of new plugin distributions: checks and templates. It loads no plugin."""

from musicgate.scaffold.names import Names, objection
from musicgate.scaffold.project import render, write
from musicgate.scaffold.vendor import Callback, Kind, Vendor

__all__ = [
    "Callback",
    "Kind",
    "Names",
    "Vendor",
    "objection",
    "render",
    "write",
]
