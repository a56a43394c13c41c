"""The command line: one function per command that reads its settings, calls the stage and prints.

Heavy imports happen inside the functions, so that help and errors in a setting appear at once.
"""

import os
import sys
from typing import Annotated

import typer

from echossl.cli import data, judge, learn
from echossl.errors import EchosslError, OneProcessError

# in the order of the help, which is that of the work
COMMANDS = (
    learn.demo,
    data.phantom,
    data.index,
    data.check,
    data.prepare,
    data.augment_preview,
    learn.pretrain,
    learn.finetune,
    learn.probe,
    learn.zeroshot,
    learn.retrieve,
    judge.evaluate,
    judge.compare,
    judge.explain,
    judge.predict,
    learn.embed,
    learn.views,
    learn.export,
    learn.join,
    learn.sweep,
    judge.report,
    judge.options,
    data.doctor,
)
app = typer.Typer(
    name="echossl",
    help="Self-supervised learning from echocardiogram videos, with few labels and honest intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in COMMANDS:
    app.command()(command)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Read by :func:`main`, which needs it outside of any command."""
    del debug


def main() -> None:
    """Entry point: 0 done, 1 a failure while working, 2 the user's input is wrong, 130 interrupted."""
    try:
        app()
    except EchosslError as error:
        if "--debug" in sys.argv:
            raise
        if _speaks_here() or isinstance(error, OneProcessError):
            typer.echo(f"echossl: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if "--debug" in sys.argv or error.filename is None:
            raise
        if _speaks_here():
            typer.echo(
                f"echossl: {error.filename}: {error.strerror}; check the path and its permissions", err=True
            )
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("echossl: interrupted; the same command continues", err=True)
        sys.exit(130)


def _speaks_here() -> bool:
    """Whether this is the process, of those of a launch on this machine, that says what all of them meet."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("LOCAL_RANK", "0") == "0"
