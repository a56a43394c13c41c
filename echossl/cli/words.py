"""The words of a command line that several commands share, and how settings are read from them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from echossl.config import load_config
from echossl.errors import ConfigError

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE.yaml] [KEY=VALUE]...", help="Settings; `echossl options COMMAND` lists them."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where the result is written.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def settings(model: Any, words: list[str] | None, defaults: tuple[str, ...] = ()) -> Any:
    """Read ``[FILE.yaml] [KEY=VALUE]...``; ``defaults`` come before what the user says."""
    words = words or []
    files = [word for word in words if "=" not in word]
    if len(files) > 1:
        raise ConfigError(
            f"command line: found {len(files)} files ({', '.join(files)}), expected one at most"
        )
    overrides = [word for word in words if "=" in word]
    return load_config(model, Path(files[0]) if files else None, [*defaults, *overrides])
