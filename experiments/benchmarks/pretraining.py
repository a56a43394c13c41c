"""Clips per second of pre-training: the whole loop, the step alone, the input alone; and what the step costs.

    .venv/bin/python experiments/benchmarks/pretraining.py --out experiments/results/pretraining

The loop is measured beside a plain one of the published design, on the same videos and with the same network.
The rows of a table are measured in turns, best of some rounds, so that what else the machine does weighs on
all alike. Memory is that of the device on a GPU, and what the tensors of a step hold on a CPU.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from plain_training import Pairs, PlainLoop, plain_loader
from tables import Row, machine_facts, write_report
from training_runs import Bench, Run

from echossl.training.compilation import why_not_compiled
from echossl.training.peak import peak_of

PACKAGES = ("echossl", "torch", "numpy", "scipy", "opencv-python-headless", "av")
Work = Callable[[], object]


def main() -> None:
    """Measure everything and write ``pretraining.md`` and ``pretraining.json``."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.make(arguments, Path(folder))
        run = bench.run()
        facts = machine_facts(
            PACKAGES,
            hardware=str(run.hardware),
            threads=torch.get_num_threads(),
            processes_that_want_to_run=round(os.getloadavg()[0], 1),
            parameters=sum(value.numel() for value in run.parts.learner.encoder.parameters()),
        )
        tables = {"Clips per second beside the published design": loops(bench, run)}
        tables["The step alone, by setting"] = settings(bench)
        if arguments.memory:
            tables["Peak memory of the step in MiB, by patients of a batch"] = memory(bench)
    write_report("Pre-training", tables, facts, arguments.out / "pretraining", notes=arguments.note)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=24, help="patients of the phantom")
    parser.add_argument("--network", choices=("r3d_18", "compact3d"), default="compact3d")
    parser.add_argument("--width", type=int, help="channels of the network's first stage")
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8, help="patients of a batch, with two clips each")
    parser.add_argument("--steps", type=int, default=3, help="steps of each figure and round")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each figure; the best counts")
    parser.add_argument("--workers", type=int, default=0, help="reader processes, of both loops")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--compile", action="store_true", help="rows of it on a CPU too, where it takes minutes"
    )
    parser.add_argument(
        "--memory", type=int, nargs="+", default=[], help="batch sizes of the table of memory"
    )
    parser.add_argument("--note", action="append", default=[], help="a line for the report")
    return parser.parse_args()


def measure(works: dict[str, Work], rounds: int, steps: int) -> dict[str, float]:
    """Seconds of a call of each, after one that warms up, taken in turns: the best round."""
    best = dict.fromkeys(works, float("inf"))
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            started = time.perf_counter()
            for _ in range(steps):
                work()
            best[name] = min(best[name], (time.perf_counter() - started) / steps)
    return best


def loops(bench: Bench, run: Run) -> dict[str, Row]:
    """Whole loop, step alone and input alone, of ours and of the published design."""
    arguments = bench.arguments
    plain = PlainLoop(run.parts.learner.encoder.metadata, run.hardware.device)
    pairs = Pairs(bench.videos, num_frames=arguments.frames, length=10**6 * arguments.batch)
    loader = plain_loader(pairs, batch_size=arguments.batch, workers=arguments.workers)
    loop, read, plain_loop, plain_read = run.batches(), run.batches(), iter(loader), iter(loader)
    cached = next(plain_read)
    seconds = measure(
        {
            "whole loop": lambda: run.step(next(loop)),
            "step alone": run.step,
            "input alone": lambda: (next(read), run.wait()),
            "plain whole loop": lambda: plain.step(next(plain_loop)),
            "plain step alone": lambda: plain.step(cached),
            "plain input alone": lambda: next(plain_read),
        },
        arguments.rounds,
        arguments.steps,
    )
    rates = {name: run.clips_per_step / value for name, value in seconds.items()}
    parts = ("whole loop", "step alone", "input alone")
    rows: dict[str, Row] = {
        "echossl": {part: rates[part] for part in parts},
        "published design": {part: rates[f"plain {part}"] for part in parts},
        "ratio": {part: rates[part] / rates[f"plain {part}"] for part in parts},
    }
    for name, prefix in (("echossl", ""), ("published design", "plain ")):
        share = rates[f"{prefix}whole loop"] / rates[f"{prefix}step alone"]
        rows[name] = {**rows[name], "loop / step": share}
    return rows


def settings(bench: Bench) -> dict[str, Row]:
    """The step with one setting more in each row, then with those that save memory."""
    batch = bench.arguments.batch
    half = max(2, batch // 2)
    runs = {"fp32, contiguous, eager": bench.run(precision="fp32", compile="off")}
    runs["bf16, contiguous, eager"] = bench.run(precision="bf16", compile="off")
    for run in runs.values():
        run.parts.learner.to(memory_format=torch.contiguous_format)
    runs["bf16, channels-last, eager"] = bench.run(precision="bf16", compile="off")
    device = runs["bf16, channels-last, eager"].hardware.device
    may_compile = (device.type == "cuda" or bench.arguments.compile) and not why_not_compiled(device)
    if may_compile:
        runs["bf16, channels-last, compiled"] = bench.run(precision="bf16", compile="on")
    last: dict[str, Any] = {"precision": "bf16", "compile": "off"}
    runs["eager, activations computed again"] = bench.run(checkpoint_activations=True, **last)
    runs[f"eager, micro batches of {half} of {batch} patients"] = bench.run(micro_batch=half, **last)
    works: dict[str, Work] = {name: run.step for name, run in runs.items()}
    seconds = measure(works, bench.arguments.rounds, bench.arguments.steps)
    peak, source = peak_of(device, "bf16")
    first = next(iter(seconds.values()))
    return {
        name: {
            "clips/s": run.clips_per_step / seconds[name],
            "of the first": first / seconds[name],
            "peak MiB": run.memory_mib(),
            "TFLOP/s": (rate := run.operations() / seconds[name]) / 1e12,
            f"share of the {source}": None if peak is None else rate / peak,
        }
        for name, run in runs.items()
    }


def memory(bench: Bench) -> dict[str, Row]:
    """Peak memory of a step against the batch size, plain and with what saves memory."""
    sizes = sorted(bench.arguments.memory)
    kinds: dict[str, dict[str, Any]] = {
        "eager": {},
        "activations computed again": {"checkpoint_activations": True},
        f"micro batches of {sizes[0]}": {"micro_batch": sizes[0]},
    }
    rows: dict[str, Row] = {}
    for name, kind in kinds.items():
        # a micro batch is smaller than the batch
        fitting = [size for size in sizes if size > kind.get("micro_batch", 0)]
        runs = {str(size): bench.run(batch_size=size, compile="off", **kind) for size in fitting}
        rows[name] = {size: run.memory_mib() for size, run in runs.items()}
    return rows


if __name__ == "__main__":
    main()
