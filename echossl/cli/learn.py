"""Commands that train and use networks."""

from pathlib import Path
from typing import Annotated

import typer

from echossl.cli.words import Out, Words, settings
from echossl.config.video import ClipPolicy
from echossl.errors import UserError


def demo(
    words: Words = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the demo.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller one, about 90 seconds.")] = False,
) -> None:
    """Run everything on synthetic patients: videos, pre-training, 1 % of the labels, intervals, one page."""
    from echossl.config.study import QUICK, DemoConfig

    given = [f"out={out}"] if out else []
    config = settings(DemoConfig, [*(words or []), *given], defaults=QUICK if quick else ())
    from echossl.study.demo import run_demo

    typer.echo(f"report: {run_demo(config)}")


def pretrain(
    words: Words = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Two real steps: memory, clips/s, time, disk; writes nothing.")
    ] = False,
) -> None:
    """Learn an encoder from unlabelled videos."""
    from echossl.config.training import PretrainConfig

    config = settings(PretrainConfig, words)
    if dry_run:
        from echossl.training.dry_run import dry_run as try_out

        found = str(try_out(config))
    else:
        from echossl.training.pretrain import pretrain as run

        found = f"encoder: {run(config)}"

    from echossl.distributed import speaks_for_all

    if speaks_for_all():
        if not dry_run:
            from echossl.report.run_papers import write_papers

            write_papers(config.out)
        typer.echo(found)


def finetune(words: Words = None) -> None:
    """Adapt an encoder with a share of the labels and predict the test split."""
    from echossl.config.adapt import FinetuneConfig

    config = settings(FinetuneConfig, words)

    from echossl.adapt import finetune as run
    from echossl.report.run_papers import write_papers

    predictions = run(config)
    write_papers(config.out)
    typer.echo(f"predictions: {predictions}")


def probe(words: Words = None) -> None:
    """Score frozen encoders side by side: AUROC with few and all labels, R2 of numbers."""
    from echossl.config.probe import ProbeConfig

    config = settings(ProbeConfig, words)

    from echossl.study.probe import run_probe

    typer.echo(run_probe(config).read_text(encoding="utf-8"))


def zeroshot(words: Words = None) -> None:
    """Predict labels by the words for them, with an encoder that has learned from reports."""
    from echossl.config.zeroshot import ZeroshotConfig

    config = settings(ZeroshotConfig, words)

    from echossl.zeroshot import zeroshot as run

    typer.echo(f"predictions: {run(config)}")


def retrieve(words: Words = None) -> None:
    """Measure how often pictures find their report and reports their pictures."""
    from echossl.config.zeroshot import RetrieveConfig

    config = settings(RetrieveConfig, words)

    from echossl.zeroshot import retrieve as run

    typer.echo(run(config).read_text(encoding="utf-8"))


def embed(
    encoder: Annotated[Path, typer.Argument(help="encoder.safetensors or a run folder.")],
    store: Annotated[Path, typer.Argument(help="Clip store.")],
    out: Out = Path("embeddings.npz"),
    clips_per_video: Annotated[int, typer.Option(min=1, help="Clips of each video.")] = 2,
    policy: Annotated[
        ClipPolicy, typer.Option(help="Which clips: evenly spread, drawn, the middle one, or end to end.")
    ] = "uniform",
    seed: Annotated[int, typer.Option(help="Seed of the policy random.")] = 0,
) -> None:
    """Write one vector per clip of every video in a store, as .npz or .parquet."""
    from echossl.adapt.embed import save_embeddings

    shape = save_embeddings(encoder, store, out, clips_per_video=clips_per_video, policy=policy, seed=seed)
    typer.echo(f"{out}: {shape[0]} clips, {shape[1]} numbers each")


def views(
    run: Annotated[Path, typer.Argument(help="A run of echossl finetune that learned views by video.")],
    manifest: Annotated[Path, typer.Argument(help="Manifest whose videos get a view.")],
    store: Annotated[Path, typer.Option(help="Clip store of these videos.")],
    out: Out,
    at_least: Annotated[
        float, typer.Option("--at-least", help="Smallest confidence of a view that is written.")
    ] = 0.8,
    only_empty: Annotated[
        bool, typer.Option("--only-empty", help="Keep the views that are there, fill the others.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N; the run's own plays no part.")
    ] = "auto",
) -> None:
    """Fill the column view of a manifest, with a confidence, by a run that learned views."""
    from echossl.adapt.views import fill_views

    filled = fill_views(
        run, manifest, store=store, out=out, at_least=at_least, only_empty=only_empty, device=device
    )
    typer.echo(filled.as_text())


def join(
    appearance: Annotated[Path, typer.Argument(help="encoder.safetensors or a run folder.")],
    motion: Annotated[Path, typer.Argument(help="The same of an encoder that sees motion.")],
    out: Out = Path("encoder.safetensors"),
    store: Annotated[
        Path | None, typer.Option(help="Clip store on which the features of both are brought to one scale.")
    ] = None,
) -> None:
    """Make one encoder of two that were trained apart; its vectors are theirs, one after the other."""
    from echossl.encoders.join import join_encoders

    joined = join_encoders(appearance, motion, out, store=store)
    typer.echo(f"{out}: {joined.as_text()}")


def export(
    encoder: Annotated[Path, typer.Argument(help="encoder.safetensors or a run folder.")],
    out: Out = Path("encoder.onnx"),
    like: Annotated[
        Path | None,
        typer.Option(
            help="A file of another tool, which the encoder started from: names and shapes as there."
        ),
    ] = None,
) -> None:
    """Write an encoder for other programs: .onnx, .safetensors with torchvision's names, or like a file."""
    if like is not None:
        from echossl.encoders.write_back import write_back

        typer.echo(write_back(encoder, like, out).as_text())
        return
    from echossl.encoders.export import export_encoder

    typer.echo(str(export_encoder(encoder, out)))


def sweep(
    words: Words = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=0, help="Runs at a time; 0 takes one per core.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the cells, the time and the disk they take; run nothing.")
    ] = False,
    slurm: Annotated[
        Path | None, typer.Option(help="Write jobs for a SLURM cluster into this folder; run nothing.")
    ] = None,
    cell: Annotated[str | None, typer.Option(help="Run this cell alone.")] = None,
    pretraining: Annotated[str | None, typer.Option(help="Run this pre-training alone.")] = None,
    pretrain_only: Annotated[bool, typer.Option("--pretrain-only", help="Run the pre-trainings.")] = False,
    fraction: Annotated[
        float | None, typer.Option(help="Run the cells of this label fraction, and what they start from.")
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Run nothing; write the table of what is finished.")
    ] = False,
) -> None:
    """Run a study: every arm, label fraction, draw and seed. Finished cells are skipped."""
    from echossl.config.study import StudyConfig

    config = settings(StudyConfig, [*(words or []), *([] if jobs is None else [f"jobs={jobs}"])])
    _one_at_most(
        plan=plan,
        slurm=slurm,
        cell=cell,
        pretraining=pretraining,
        pretrain_only=pretrain_only,
        fraction=fraction,
        collect=collect,
    )

    from echossl.study import sweep as study

    if plan:
        typer.echo(study.plan_text(config))
    elif slurm:
        typer.echo(f"submit with: bash {study.write_slurm(config, slurm)}")
    elif cell or pretraining:
        typer.echo(str(study.do_alone(config, cell or str(pretraining), is_cell=bool(cell))))
    elif collect:
        typer.echo(study.write_table(config))
        study.require_complete(config)
    else:
        failures = study.run_chosen(config, pretrain_only=pretrain_only, fraction=fraction)
        try:
            if not pretrain_only:
                typer.echo(study.write_table(config))
        finally:
            # a full disk fails runs first and the table last: the runs are what to say
            study.require_all(failures, config.out)


def _one_at_most(**options: object) -> None:
    """Refuse options of which only one can be meant."""
    given = [name.replace("_", "-") for name, value in options.items() if value not in (None, False)]
    if len(given) > 1:
        raise UserError(f"command line: --{' and --'.join(given)} exclude each other; give one of them")
