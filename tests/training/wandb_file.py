"""Read back what W&B wrote offline: a log of protobuf records in blocks, as LevelDB's are."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER_BYTES, BLOCK_BYTES, RECORD_HEADER_BYTES = 7, 32 * 1024, 7
FULL, FIRST, LAST = 1, 2, 4


def chunks(content: bytes) -> Iterator[bytes]:
    """The records, put together where they go over the end of a block."""
    place, parts = HEADER_BYTES, b""
    while place + RECORD_HEADER_BYTES <= len(content):
        if BLOCK_BYTES - place % BLOCK_BYTES < RECORD_HEADER_BYTES:
            place += BLOCK_BYTES - place % BLOCK_BYTES
            continue
        length = int.from_bytes(content[place + 4 : place + 6], "little")
        kind = content[place + 6]
        start = place + RECORD_HEADER_BYTES
        parts = content[start : start + length] if kind in {FULL, FIRST} else parts + content[start:][:length]
        place = start + length
        if kind in {FULL, LAST}:
            yield parts


def records(path: Path) -> list[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    return [Record.FromString(chunk) for chunk in chunks(path.read_bytes())]


def finished_records(path: Path, *, seconds: float = 20) -> list[Any]:
    """All records, once W&B's own process has written the last: the exit code of the run."""
    deadline = time.monotonic() + seconds
    while True:
        found = records(path)
        if any(record.HasField("exit") for record in found):
            return found
        assert time.monotonic() < deadline, "the run was never finished"
        time.sleep(0.05)


def history(found: list[Any]) -> list[dict[str, Any]]:
    """One dictionary per step, with the step itself; W&B's own entries start with an underscore."""
    rows = []
    for record in found:
        if record.HasField("history"):
            row: dict[str, Any] = {"step": record.history.step.num}
            for item in record.history.item:
                *parents, last = item.nested_key or [item.key]
                place = row
                for name in parents:
                    place = place.setdefault(name, {})
                place[last] = json.loads(item.value_json)
            rows.append(row)
    return rows


def config_of(found: list[Any]) -> dict[str, Any]:
    """The settings that were sent when the run began."""
    run = next(record.run for record in found if record.HasField("run"))
    return {item.key: json.loads(item.value_json) for item in run.config.update}
