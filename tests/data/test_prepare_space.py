"""A full disk, a quota and a limit on file sizes end in one line; the same command continues afterwards."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from echossl.data import ClipStore, prepare
from echossl.data.claim import space_needed
from echossl.errors import EchosslError

WORDS = """
import resource, sys
from echossl.config.data import PrepareConfig
from echossl.data.prepare import prepare
from echossl.errors import EchosslError
if __name__ == "__main__":
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        prepare(PrepareConfig.model_validate_json(sys.argv[1]))
    except EchosslError as error:
        print(error)
        sys.exit(error.exit_code)
"""


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# the first shard fits, the second does not; without frames the times of a shard are its largest file
@pytest.mark.parametrize(("name", "limit"), [("compressed", 200_000), ("files", 1_650)])
def test_a_limit_on_file_sizes(videos, make_config, tmp_path, name, limit):
    whole = make_config(videos, tmp_path / "whole", format=name)
    prepare(whole)
    config = make_config(videos, tmp_path / "store", format=name)
    words = [sys.executable, "-c", WORDS, config.model_dump_json(), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(f"{config.out}: no space left (File too large)")
    assert "the same command continues where it stopped" in done.stdout
    assert done.stdout.count("\n") == 1
    left = {path.name for path in config.out.iterdir()}
    assert {item for item in left if item.startswith(".")} == {".lock"}
    assert "store.json" not in left
    finished = sorted(config.out.glob("frames-*.csv"))
    assert finished
    before = [path.stat().st_mtime_ns for path in finished]
    prepare(config)
    assert [path.stat().st_mtime_ns for path in finished] == before
    assert content_of(config.out) == content_of(whole.out)
    assert ClipStore.open(config.out).verify() == []


def test_a_full_disk(tmp_path):
    with (
        pytest.raises(EchosslError, match=r"no space left \(No space left on device\); make") as raised,
        space_needed(tmp_path),
        Path("/dev/full").open("wb") as full,
    ):
        full.write(b"frames")
    assert raised.value.exit_code == 1
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EFBIG])
def test_quota_and_limit(tmp_path, code):
    with pytest.raises(EchosslError, match="no space left"), space_needed(tmp_path):
        raise OSError(code, os.strerror(code))


def test_other_errors_of_the_disk_stay_what_they_are(tmp_path):
    with pytest.raises(OSError, match="Input/output error"), space_needed(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
