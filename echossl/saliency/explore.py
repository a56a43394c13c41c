"""A run under one's hands in a notebook: a study, a layer and a moment chosen by widgets, or laid out."""

from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from echossl.saliency.viewer import Viewer, side_by_side


def explore(
    viewer: Viewer, layers: Sequence[str], study_ids: Sequence[str], *, widgets: bool | None = None
) -> Any:
    """Move through studies, layers and time.

    Args:
        viewer: the run.
        layers: to choose from; the last is shown first.
        study_ids: to choose from; the first is shown first.
        widgets: whether to use ipywidgets; None does so where they are installed.

    Returns:
        A box of widgets; without them a picture: the first study, a row per layer, time from left to right.
    """
    if widgets is None:
        widgets = find_spec("ipywidgets") is not None
    if widgets:
        return _widgets(viewer, layers, study_ids)
    rows = {f"layer {number}": viewer.at_layer(layer) for number, layer in enumerate(layers, start=1)}
    return side_by_side(rows, study_ids[0])


def _widgets(viewer: Viewer, layers: Sequence[str], study_ids: Sequence[str]) -> Any:
    import ipywidgets

    study = ipywidgets.Dropdown(options=list(study_ids), description="study")
    layer = ipywidgets.Dropdown(options=list(layers), value=layers[-1], description="layer")
    frame = ipywidgets.IntSlider(min=0, max=viewer.explainer.clip.num_frames - 1, description="frame")
    play = ipywidgets.Play(min=0, max=frame.max, interval=150)
    ipywidgets.jslink((play, "value"), (frame, "value"))
    picture = ipywidgets.Image(format="png")
    drawn: dict[tuple[str, str], list[bytes]] = {}

    def show(_change: object = None) -> None:
        key = (study.value, layer.value)
        if key not in drawn:
            drawn[key] = [_png(one) for one in viewer.at_layer(layer.value).pictures(study.value)]
        picture.value = drawn[key][frame.value]

    for one in (study, layer, frame):
        one.observe(show, names="value")
    show()
    return ipywidgets.VBox([study, layer, ipywidgets.HBox([play, frame]), picture])


def _png(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    written = BytesIO()
    Image.fromarray(picture).save(written, format="PNG")
    return written.getvalue()
