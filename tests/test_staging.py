"""Files that are being written: each has a folder of its own, and nothing is left of it."""

import os
import time
from pathlib import Path

import pytest

from musicgate.assets import Staging
from musicgate.errors import StorageError


def test_a_staged_file_is_empty_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with Staging(tmp_path / "in").file("m1", 0) as path:
        assert path.read_bytes() == b""
        assert path.stat().st_mode & 0o777 == 0o600
        path.with_name("converted").write_bytes(b"audio")
    assert list((tmp_path / "in").iterdir()) == []


def test_two_files_of_one_track_do_not_meet(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    with staging.file("m1", 0) as one, staging.file("m1", 0) as other:
        assert one.parent != other.parent


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "../m1", ".m1", "m\0"])
def test_no_id_leads_out_of_the_folder(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(StorageError, match="id"), Staging(tmp_path / "in").file(job_id, 0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_leftovers_of_a_crash_are_removed_at_a_start(tmp_path: Path) -> None:
    for name, age_s in (("old", 3700), ("young", 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "audio").write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    Staging(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["young"]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="audio folder"), Staging(tmp_path / "file").file("m1", 0):
        pass
