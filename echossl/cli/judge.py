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


def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN] [FILE.yaml] [KEY=VALUE]...",
            help="A folder of echossl finetune; settings; `echossl options explain` lists them.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write to; RUN/saliency unless given.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split whose studies are explained.")] = None,
    studies: Annotated[int | None, typer.Option("--n", min=1, help="Studies, half of them positive.")] = None,
    region: Annotated[
        Path | None, typer.Option(help="Table of boxes or masks (.csv), or a phantom folder.")
    ] = None,
    methods: Annotated[str | None, typer.Option(help="Names of methods, with commas; all takes all.")] = None,
    checks: Annotated[bool, typer.Option("--checks", help="Make every check of the methods.")] = False,
) -> None:
    """Write saliency maps of a fine-tuned run over its test studies, and say which method to believe."""
    from echossl.config.explain import ExplainConfig, words_of

    options = {"out": out, "split": split, "studies": studies, "region": region}
    config = settings(ExplainConfig, words_of(words or [], options, methods=methods, checks=checks))

    from echossl.study.explain import explain_run as run

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
