"""Drafts of new plugin distributions: name checks, and templates to render. It loads no plugin."""

from musicgate.scaffold.names import Names, objection
from musicgate.scaffold.project import (
    Kind,
    render,
    write,
)

__all__ = [
    "Kind",
    "Names",
    "objection",
    "render",
    "write",
]
