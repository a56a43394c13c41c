"""Commands that score, explain and show results."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echossl.cli.words import AsJson, Words, settings

if TYPE_CHECKING:
    from echossl.evaluation.printed import Answer


Label = Annotated[
    str | None,
    typer.Option("--column", "--label", help="Label column or cut; all that have a score unless given."),
]
Score = Annotated[str | None, typer.Option(help="Score column of --label, if it is not LABEL_score.")]
Patient = Annotated[str | None, typer.Option(help="Column of patients, if it is not patient_id.")]
Study = Annotated[
    str | None, typer.Option(help="Column of studies, if not study_id; without any a patient is one study.")
]
Split = Annotated[str | None, typer.Option("--split", help="Column of splits, if it is not split.")]


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Table of predictions, from any tool.")],
    words: Words = None,
    column: Label = None,
    score: Score = None,
    patient: Patient = None,
    study: Study = None,
    split: Split = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Table of videos or studies with columns for subgroups, measurements.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Predictions for the validation split, if they are in a table of their own."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for results.csv, assessment.json and summary.md."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a table of predictions: areas, operating points, calibration, subgroups, with intervals."""
    from echossl.config.evaluation import EvaluationConfig
    from echossl.evaluation.files import evaluate_file
    from echossl.evaluation.spoken import as_text, write_answers
    from echossl.evaluation.tables import TableColumns, read_manifest_table

    config = settings(EvaluationConfig, words)
    answers = evaluate_file(
        predictions,
        config,
        columns=TableColumns(patient=patient, study=study, split=split, label=column, score=score),
        manifest=None if manifest is None else read_manifest_table(manifest),
        validation=validation,
    )
    if as_json:
        typer.echo(json.dumps([answer.as_dict() for answer in answers], indent=2))
    else:
        typer.echo("\n".join(as_text(answer) for answer in answers))
    if out is not None:
        for path in write_answers(answers, out):
            typer.echo(f"written: {path}", err=True)


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
