"""Commands that score, explain and show results."""

import json
from pathlib import Path
from typing import Annotated

import typer

from echossl.cli.words import AsJson, Words, settings

TABLES = {".csv", ".tsv", ".txt"}
Label = Annotated[
    str | None,
    typer.Option("--column", "--label", help="Label column or cut; all that have a score unless given."),
]
Score = Annotated[
    str | None,
    typer.Option(
        help="Score column of --label, if it is not LABEL_score; of several classes what theirs start with."
    ),
]
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
    columns = TableColumns(patient=patient, study=study, split=split, label=column, score=score)
    answers = evaluate_file(
        predictions,
        config,
        columns=columns,
        manifest=None if manifest is None else read_manifest_table(manifest, columns),
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
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="A.csv B.csv [C.csv]... [FILE.yaml] [KEY=VALUE]...",
            help="Tables of the same patients, each compared with the first; settings, which "
            "`echossl options compare` lists.",
        ),
    ],
    column: Label = None,
    score: Score = None,
    patient: Patient = None,
    study: Study = None,
    split: Split = None,
    as_json: AsJson = False,
) -> None:
    """Print paired differences of tables, first minus each other one, with intervals and tests."""
    from echossl.config.evaluation import CompareConfig
    from echossl.evaluation.comparing import compare_files, family_lines
    from echossl.evaluation.findings import findings_lines, write_differences
    from echossl.evaluation.findings_paired import compare_findings
    from echossl.evaluation.tables import TableColumns

    keys = set(CompareConfig.model_fields)
    paths = [word for word in words if _is_table(word, keys)]
    config = settings(CompareConfig, [word for word in words if word not in paths])
    tables = [Path(path) for path in paths]
    columns = TableColumns(patient=patient, study=study, split=split, label=column, score=score)
    if config.together:
        together = compare_findings(tables, config, columns=columns)
        plain, lines = [one.as_dict() for one in together], [one.as_text() for one in together]
        lines += findings_lines(together)
        if config.out is not None:
            write_differences(together, config.out)
    else:
        found = compare_files(tables, config, columns=columns)
        plain, lines = [one.as_dict() for one in found], [one.as_text() for one in found]
        lines += family_lines(found)
    typer.echo(json.dumps(plain, indent=2) if as_json else "\n".join(lines))


def _is_table(word: str, keys: set[str]) -> bool:
    """A table by its name in any case of letters, or another file that is none of settings."""
    path = Path(word)
    if word.partition("=")[0] in keys and "=" in word and not path.is_file():
        return False  # out=results.csv
    settings_too = {".yaml", ".yml", ".json"}
    return path.suffix.lower() in TABLES or (path.is_file() and path.suffix.lower() not in settings_too)


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


def predict(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL STUDY... [FILE.yaml] [KEY=VALUE]...",
            help="A run of echossl finetune or its model.safetensors; folders, video files or tables "
            "of videos; settings, which `echossl options predict` lists. A folder with files right in it is "
            "one study, one without holds a study in each of its sub-folders.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="New folder to write to; predicted unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score new studies with a fine-tuned model: scores, saliency, reasons, one page. Research use only."""
    from echossl.config.predict import PredictConfig, words_of

    config = settings(PredictConfig, words_of(words or [], out=out))

    from echossl.predict import predict as run

    found = run(config)
    typer.echo(json.dumps(found.result, indent=2) if as_json else "\n".join(found.as_lines()))
    if found.refused_studies:
        raise typer.Exit(1)


def report(
    path: Annotated[
        Path,
        typer.Argument(help="Folder of a demo, a study or a finetune run, or a table of predictions."),
    ],
    words: Words = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file; report.html in or beside PATH unless given.")
    ] = None,
    checklist: Annotated[
        bool, typer.Option("--checklist", help="Also checklist.md: TRIPOD+AI, STARD-AI, CLAIM, from a run.")
    ] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    column: Label = None,
    score: Score = None,
    patient: Patient = None,
    study: Study = None,
    split: Split = None,
    validation: Annotated[
        Path | None, typer.Option(help="Predictions for the validation split, if in a table of their own.")
    ] = None,
) -> None:
    """Write report.html: curves, operating points, calibration, subgroups, saliency, on one offline page."""
    from echossl.config.report import ReportConfig
    from echossl.evaluation.tables import TableColumns

    config = settings(ReportConfig, words)

    from echossl.study.report import checklist_of, refuse_checklist, report_of

    if checklist:
        refuse_checklist(path)
    columns = TableColumns(patient=patient, study=study, split=split, label=column, score=score)
    page = report_of(path, config, out=out, columns=columns, validation=validation)
    typer.echo(f"report: {page}")
    if checklist:
        typer.echo(f"checklist: {checklist_of(path, config, page)}")
    if open_it:
        typer.launch(str(page))


def options(command: Annotated[str, typer.Argument(help="Name of a command.")]) -> None:
    """List every setting of a command, with its default."""
    from echossl.config.listing import list_options

    typer.echo("\n".join(list_options(command)))
