"""Commands from video files to the clip store."""

import json
from pathlib import Path
from typing import Annotated

import typer

from echossl.cli.words import AsJson, Out, Words, settings
from echossl.config import load_config
from echossl.errors import ConfigError, UserError


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    words: Words = None,
    patients: Annotated[int | None, typer.Option(help="Number of patients; 40 unless set.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; 0 unless set.")] = None,
) -> None:
    """Write synthetic patients as real video files with known truth."""
    from echossl.config.phantom import PhantomConfig

    options = {"patients": patients, "seed": seed}
    # a file of settings has the word unless an option is given
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    config = settings(PhantomConfig, [*given, *(words or []), f"out={out}"])

    from echossl.phantom import generate

    generate(config)
    typer.echo(f"phantom: {out}, {config.patients} patients")


def index(
    source: Annotated[str, typer.Argument(help="Layout; `echossl options index` lists them.")],
    root: Annotated[Path, typer.Argument(help="The folder; for csv the table.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the layout.")
    ] = None,
    out: Out = Path("manifest.csv"),
    split: Annotated[list[str] | None, typer.Option(help="Split and share, for example train=0.8.")] = None,
    stratify: Annotated[str | None, typer.Option(help="Label column that is split evenly.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a manifest that is there.")] = False,
) -> None:
    """List the videos of a data set or a folder in a manifest."""
    if out.exists() and not overwrite:
        raise UserError(
            f"{out}: is there already, perhaps with labels of yours; give another -o, or --overwrite"
        )
    if stratify and not split:
        raise UserError("--stratify: there is nothing to split; add --split train=0.8 --split test=0.2")
    from echossl.data.sources import index_source

    shares = _shares(split or [])
    table = index_source(
        source, root, out=out, options=words or [], split_shares=shares, stratify=stratify, seed=seed
    )
    typer.echo(f"{out}: {len(table)} videos of {table['patient_id'].nunique()} patients")
    if note := table.attrs.get("note"):
        typer.echo(note)


def check(
    manifest: Annotated[Path, typer.Argument(help="The manifest.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings; `echossl options check` lists them."),
    ] = None,
    out: Out = Path("check.csv"),
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one per core.")] = 0,
) -> None:
    """Decode every video of a manifest and name what cannot be used. Exit code 1 if there is any."""
    from echossl.config.data import CheckConfig

    config = load_config(CheckConfig, None, [f"manifest={manifest}", f"workers={workers}", *(words or [])])

    from echossl.data.check import check as check_manifest
    from echossl.data.check import refuse_other_table, summarise_check, write_check

    refuse_other_table(out)
    table = check_manifest(config)
    write_check(table, out)
    typer.echo("\n".join([*summarise_check(table), f"details: {out}"]))
    if (table["problem"] != "").any():
        raise typer.Exit(1)


def prepare(
    words: Words = None,
    verify: Annotated[
        Path | None,
        typer.Option(
            help="Only compare this finished store's checksums; damage is listed for the next prepare."
        ),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(help="Also draw this PNG: 100 random videos before and after, for a person to look at."),
    ] = None,
) -> None:
    """Decode every video once into the clip store."""
    if verify:
        from echossl.data.verify import verify_store

        found = verify_store(verify)
        typer.echo(found.as_text())
        raise typer.Exit(1 if found.damaged else 0)

    from echossl.config.data import PrepareConfig

    config = settings(PrepareConfig, words)

    from echossl.data.prepare import prepare as prepare_store

    summary = prepare_store(config)
    typer.echo(f"{config.out}: {summary.as_text()}")
    if audit and summary.missing_shards:
        typer.echo(f"{audit}: not drawn, the store is not finished; the last part can draw it")
    elif audit:
        from echossl.data.audit import write_audit

        count = write_audit(config.out, audit)
        typer.echo(f"{audit}: {count} videos before and after; look for text that survived")


def augment_preview(
    store: Annotated[Path, typer.Argument(help="Clip store.")],
    words: Words = None,
    out: Out = Path("preview.png"),
    clips: Annotated[int, typer.Option(min=1, help="Clips that are shown.")] = 4,
    draws: Annotated[int, typer.Option(min=1, help="Draws of each.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
) -> None:
    """Draw what each augmentation does to some clips of a store."""
    from echossl.config.training import AugmentConfig

    config = settings(AugmentConfig, words)

    from echossl.augment.preview import write_preview

    count = write_preview(store, out, config=config, clips=clips, draws=draws, seed=seed)
    typer.echo(f"{out}: {count} clips")


def doctor(as_json: AsJson = False) -> None:
    """Say which decoders are usable here, what to install for the others, and what training would run on."""
    from dataclasses import asdict

    from echossl.config.training import HardwareConfig
    from echossl.training.hardware import Hardware
    from echossl.video.backends import describe_backends

    states = describe_backends()
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2))
        return
    for state in states:
        verdict = f"ok {state.version}".rstrip() if state.usable else f"not usable: {state.reason}"
        typer.echo(f"{state.name:<24} {verdict}\n{'':<24} {state.reads}")
    typer.echo(f"{'hardware':<24} {Hardware.resolve(HardwareConfig())}")


def _shares(words: list[str]) -> dict[str, float]:
    shares = {}
    for word in words:
        name, _, share = word.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise ConfigError(f"--split {word}: expected NAME=SHARE, for example train=0.8") from None
    return shares
