"""Stored documents as values: a damaged one costs itself and no other, and a page of them ends before it is too large."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from musicgate.errors import StorageError

_T = TypeVar("_T")
#: A key, the document, and whatever else was asked for.
Row = tuple[Any, ...]
_logger = logging.getLogger(__name__)


def readable(rows: Iterable[Row], load: Callable[[str], _T], what: str) -> Iterator[_T]:
    """The values of rows. One that cannot be read is logged and left out."""
    return (value for _, value in readable_pairs(rows, load, what))


def readable_pairs(rows: Iterable[Row], load: Callable[[str], _T], what: str) -> Iterator[tuple[Any, _T]]:
    """The keys and values of rows. One that cannot be read is logged and left out."""
    for key, doc, *_ in rows:
        try:
            yield key, load(doc)
        except StorageError as error:
            _logger.error("%s %s is left out: %s", what, key, error)  # noqa: TRY400 - the sentence says it all


def loaded(key: object, doc: str, load: Callable[[str], _T], what: str) -> _T:
    """The value of one row.

    Raises:
        StorageError: it cannot be read; names the row.
    """
    try:
        return load(doc)
    except StorageError as exc:
        message = f"{what} {key}: {exc}"
        raise StorageError(message) from exc


def up_to(rows: Iterable[Row], max_bytes: int | None) -> Iterator[Row]:
    """The first rows, one at least, whose documents have so many bytes together; None = all of them."""
    total = 0
    for row in rows:
        size = len(row[1])  # documents are ASCII
        total += size
        if max_bytes is not None and max_bytes < total != size:
            return
        yield row
