"""The contract of job stores: what `musicgate.store.JobStore` promises, as tests that any store runs.

A store's test file is about ten lines::

    import pytest
    from example_store import ExampleJobStore
    from musicgate.testing.store_contract import JobStoreContract


    class TestContract(JobStoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: ExampleJobStore.open(tmp_path / "jobs")

``open_store`` makes an empty place and returns what opens the store there: an asynchronous context manager.
A check is a coroutine function ``check_<fact>(subject)`` that raises `AssertionError`. It needs pytest, and
no plugin of it.
"""

import pytest

# Before they are imported: a check is a plain assertion, and its message is pytest's.
_MODULES = (
    *("books", "claims", "damage", "durability", "jobs", "keys", "lists", "outbox", "references", "shares"),
)
pytest.register_assert_rewrite(*(f"{__name__}.checks_{name}" for name in _MODULES))

from musicgate.testing.store_contract.checks import CHECKS, Check, name_of  # noqa: E402
from musicgate.testing.store_contract.pytest_class import JobStoreContract  # noqa: E402
from musicgate.testing.store_contract.subject import StoreUnderTest  # noqa: E402

__all__ = ["CHECKS", "Check", "JobStoreContract", "StoreUnderTest", "name_of"]
