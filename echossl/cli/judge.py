"""Commands that score, explain and show results."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echossl.cli.words import AsJson, Words, settings

if TYPE_CHECKING:
    from echossl.evaluation.printed import Answer


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Table of predictions, from any tool.")],
    words: Words = None,
    column: Annotated[str | None, typer.Option(help="Label column, if several have a _score.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print AUROC and AUPRC of one table with patient-clustered intervals."""
    from echossl.config.evaluation import BootstrapConfig
    from echossl.evaluation.printed import evaluate_table

    _print(evaluate_table(predictions, column, settings(BootstrapConfig, words)), as_json=as_json)


def compare(
    first: Annotated[Path, typer.Argument(help="Table of predictions.")],
    second: Annotated[Path, typer.Argument(help="Another, of the same patients.")],
    words: Words = None,
    column: Annotated[str | None, typer.Option(help="Label column, if several have a _score.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the paired difference of two tables, first minus second."""
    from echossl.config.evaluation import BootstrapConfig
    from echossl.evaluation.printed import compare_tables

    _print(compare_tables(first, second, column, settings(BootstrapConfig, words)), as_json=as_json)


def explain(words: Words = None) -> None:
    """Write saliency maps of a fine-tuned run over its test studies."""
    from echossl.config.explain import ExplainConfig

    config = settings(ExplainConfig, words)

    from echossl.saliency.explain import explain as run

    typer.echo(f"saliency: {run(config)}")


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a demo.")],
) -> None:
    """Write report.html anew from what a demo folder holds."""
    from echossl.study.demo import rewrite_report

    typer.echo(f"report: {rewrite_report(folder)}")


def options(command: Annotated[str, typer.Argument(help="Name of a command.")]) -> None:
    """List every setting of a command, with its default."""
    from echossl.config.listing import list_options

    typer.echo("\n".join(list_options(command)))


def _print(answers: "list[Answer]", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([answer.as_dict() for answer in answers], indent=2))
    else:
        typer.echo("\n".join(answer.as_text() for answer in answers))
