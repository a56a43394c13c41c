"""The command line: one function per command that reads its settings, calls the stage and prints.

Heavy imports happen inside the functions, so that help and errors in a setting appear at once.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from echossl.config import load_config
from echossl.errors import ConfigError, EchosslError

if TYPE_CHECKING:
    from echossl.evaluation.printed import Answer

app = typer.Typer(
    name="echossl",
    help="Self-supervised learning from echocardiogram videos, with few labels and honest intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE.yaml] [KEY=VALUE]...", help="Settings; `echossl options COMMAND` lists them."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where the result is written.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Read by :func:`main`, which needs it outside of any command."""
    del debug


@app.command()
def demo(
    words: Words = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the demo.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller one, about 90 seconds.")] = False,
) -> None:
    """Run everything on synthetic patients: videos, pre-training, 1 % of the labels, intervals, one page."""
    from echossl.config.study import QUICK, DemoConfig

    given = [f"out={out}"] if out else []
    config = _settings(DemoConfig, [*(words or []), *given], defaults=QUICK if quick else ())
    from echossl.study.demo import run_demo

    typer.echo(f"report: {run_demo(config)}")


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    words: Words = None,
    patients: Annotated[int, typer.Option(help="Number of patients.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed.")] = 0,
) -> None:
    """Write synthetic patients as real video files with known truth."""
    from echossl.config.phantom import PhantomConfig

    given = [f"patients={patients}", f"seed={seed}"]
    config = _settings(PhantomConfig, [*given, *(words or []), f"out={out}"])

    from echossl.phantom import generate

    generate(config)
    typer.echo(f"phantom: {out}, {config.patients} patients")


@app.command()
def index(
    source: Annotated[str, typer.Argument(help="Layout of the folder: phantom or folder.")],
    root: Annotated[Path, typer.Argument(help="The folder.")],
    out: Out = Path("manifest.csv"),
    split: Annotated[list[str] | None, typer.Option(help="Split and share, for example train=0.8.")] = None,
    stratify: Annotated[str | None, typer.Option(help="Label column that is split evenly.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
    patient_pattern: Annotated[
        str | None, typer.Option(help="folder: regular expression whose first group is the patient.")
    ] = None,
) -> None:
    """List the videos of a folder in a manifest."""
    from echossl.data.sources import index_source

    shares = _shares(split or [])
    table = index_source(
        source,
        root,
        out=out,
        patient_pattern=patient_pattern,
        split_shares=shares,
        stratify=stratify,
        seed=seed,
    )
    typer.echo(f"{out}: {len(table)} videos of {table['patient_id'].nunique()} patients")
    if note := table.attrs.get("note"):
        typer.echo(note)


@app.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="The manifest.")],
    out: Out = Path("check.csv"),
    workers: Annotated[int, typer.Option(help="Processes; 0 takes one per core.")] = 0,
) -> None:
    """Open every video of a manifest and name what cannot be used. Exit code 1 if there is any."""
    from echossl.data.check import check as check_manifest

    table = check_manifest(manifest, workers=workers)
    table.to_csv(out, index=False)
    bad = table[table["problem"] != ""]
    for path, problem in zip(bad["path"], bad["problem"], strict=True):
        typer.echo(problem if str(path) in problem else f"{path}: {problem}")
    typer.echo(f"{out}: {len(table) - len(bad)} of {len(table)} videos can be used")
    if short := int((table["note"] != "").sum()):
        typer.echo(f"{short} of them are shorter than a clip, or single pictures, and would be repeated")
    if len(bad):
        raise typer.Exit(1)


@app.command()
def prepare(words: Words = None) -> None:
    """Decode every video once into the clip store."""
    from echossl.config.data import PrepareConfig

    config = _settings(PrepareConfig, words)

    from echossl.data.prepare import prepare as prepare_store

    summary = prepare_store(config)
    typer.echo(f"{config.out}: {summary.stored} videos stored, {summary.rejected} rejected")


@app.command()
def pretrain(words: Words = None) -> None:
    """Learn an encoder from unlabelled videos."""
    from echossl.config.training import PretrainConfig

    config = _settings(PretrainConfig, words)

    from echossl.training.pretrain import pretrain as run

    typer.echo(f"encoder: {run(config)}")


@app.command()
def finetune(words: Words = None) -> None:
    """Adapt an encoder with a share of the labels and predict the test split."""
    from echossl.config.adapt import FinetuneConfig

    config = _settings(FinetuneConfig, words)

    from echossl.adapt import finetune as run

    typer.echo(f"predictions: {run(config)}")


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Table of predictions, from any tool.")],
    words: Words = None,
    column: Annotated[str | None, typer.Option(help="Label column, if several have a _score.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print AUROC and AUPRC of one table with patient-clustered intervals."""
    from echossl.config.evaluation import BootstrapConfig
    from echossl.evaluation.printed import evaluate_table

    _print(evaluate_table(predictions, column, _settings(BootstrapConfig, words)), as_json=as_json)


@app.command()
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

    _print(compare_tables(first, second, column, _settings(BootstrapConfig, words)), as_json=as_json)


@app.command()
def explain(words: Words = None) -> None:
    """Write saliency maps of a fine-tuned run over its test studies."""
    from echossl.config.explain import ExplainConfig

    config = _settings(ExplainConfig, words)

    from echossl.saliency.explain import explain as run

    typer.echo(f"saliency: {run(config)}")


@app.command()
def embed(
    encoder: Annotated[Path, typer.Argument(help="encoder.safetensors or a run folder.")],
    store: Annotated[Path, typer.Argument(help="Clip store.")],
    out: Out = Path("embeddings.npz"),
    clips_per_video: Annotated[int, typer.Option(help="Clips of each video.")] = 2,
) -> None:
    """Write one vector per clip of every video in a store."""
    from echossl.adapt.embed import save_embeddings

    shape = save_embeddings(encoder, store, out, clips_per_video=clips_per_video)
    typer.echo(f"{out}: {shape[0]} videos, {shape[1]} clips each, {shape[2]} numbers per clip")


@app.command()
def sweep(words: Words = None) -> None:
    """Run a study: every arm, label fraction, draw and seed. Finished cells are skipped."""
    from echossl.config.study import StudyConfig

    config = _settings(StudyConfig, words)

    from echossl.study import collect, run_study, summarise

    run_study(config)
    typer.echo(summarise(config, collect(config)).read_text(encoding="utf-8"))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a demo.")],
) -> None:
    """Write report.html anew from what a demo folder holds."""
    from echossl.study.demo import rewrite_report

    typer.echo(f"report: {rewrite_report(folder)}")


@app.command()
def options(command: Annotated[str, typer.Argument(help="Name of a command.")]) -> None:
    """List every setting of a command, with its default."""
    from echossl.config.listing import list_options

    typer.echo("\n".join(list_options(command)))


def _settings(model: Any, words: list[str] | None, defaults: tuple[str, ...] = ()) -> Any:
    """Read ``[FILE.yaml] [KEY=VALUE]...``; ``defaults`` come before what the user says."""
    words = words or []
    files = [word for word in words if "=" not in word]
    if len(files) > 1:
        raise ConfigError(
            f"command line: found {len(files)} files ({', '.join(files)}), expected one at most"
        )
    overrides = [word for word in words if "=" in word]
    return load_config(model, Path(files[0]) if files else None, [*defaults, *overrides])


def _shares(words: list[str]) -> dict[str, float]:
    shares = {}
    for word in words:
        name, _, share = word.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise ConfigError(f"--split {word}: expected NAME=SHARE, for example train=0.8") from None
    return shares


def _print(answers: "list[Answer]", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([answer.as_dict() for answer in answers], indent=2))
    else:
        typer.echo("\n".join(answer.as_text() for answer in answers))


def main() -> None:
    """Entry point: 0 done, 1 a failure while working, 2 the user's input is wrong, 130 interrupted."""
    try:
        app()
    except EchosslError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"echossl: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("echossl: interrupted; the same command continues", err=True)
        sys.exit(130)
