"""How videos became clips when a classifier was trained, so that new videos can be treated alike."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from echossl.config.predict import VideoUse
from echossl.data.store_tables import INDEX_FILE, read_store_file, read_table
from echossl.encoders.files import read_metadata
from echossl.errors import UserError

USE_KEY = "echossl_use"
CLIP_KEYS = ("clips_per_video", "clip_policy", "seed")


def use_of_run(folder: Path) -> VideoUse | None:
    """What the record of a fine-tuning run and its clip store say; None without either.

    Args:
        folder: the run, which need not be finished.
    """
    config = _settings_of_run(folder)
    store = config.get("data", {}).get("store")
    return None if store is None else use_of_store(Path(store), **_clips(config))


def use_of_store(store: Path, **clips: Any) -> VideoUse | None:
    """What a clip store says of its videos; None if there is no finished one.

    Args:
        store: its folder.
        clips: settings of the clips.
    """
    content = read_store_file(store)
    if content is None or not (store / INDEX_FILE).is_file():
        return None
    table = read_table(store / INDEX_FILE, ["outline", "doppler", "num_frames"])
    how = {key: content["settings"][key] for key in ("sector", "doppler", "backend")}
    return VideoUse.model_validate(
        {
            **how,
            **clips,
            "num_videos": len(table),
            "with_sector": int((table["outline"] != "").sum()),
            "with_doppler": int(table["doppler"].sum()),
            "stills": int((table["num_frames"] == 1).sum()),
        }
    )


def load_use(file: Path, *, store: Path | None = None) -> VideoUse:
    """How videos are made into clips for a classifier.

    Args:
        file: ``model.safetensors``; one of an earlier version says nothing, then the run beside it is asked.
        store: clip store of training, for a file that says nothing and lies in no run.

    Raises:
        UserError: if nobody knows.
    """
    text = read_metadata(file).get(USE_KEY)
    if text is not None:
        try:
            return VideoUse.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            raise UserError(
                f"{file}: what it says of its videos cannot be used by this version of echossl "
                f"({fault['msg']})"
            ) from error
    if store is None:
        found = use_of_run(file.parent)
    else:
        found = use_of_store(store, **_clips(_settings_of_run(file.parent)))
    if found is None:
        where = f"{store} is no finished clip store" if store else "the clip store of its run is not there"
        raise UserError(
            f"{file}: does not say how its videos were prepared, and {where}; give store=FOLDER, the clip "
            "store that it was trained on"
        )
    return found


def _clips(config: dict[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in CLIP_KEYS if key in config}


def _settings_of_run(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    if not path.is_file():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, Any] = record.get("config", {}) if record.get("command") == "finetune" else {}
    return found
