"""Two thousand damaged files of all kinds: each ends in frames or in words, none takes anything along."""

import warnings
from pathlib import Path

import pytest
from fuzz_look import MOST_NEW_BYTES, FuzzJob, Outcome, look_at, look_at_all, without, written
from fuzz_mutants import NAMES, Mutant, good, mutants_of

from echossl.config.video import Backend
from echossl.data.workers import run_jobs

MUTANTS_PER_JOB = 24
CONTAINERS = [name for name in NAMES if name.endswith((".avi", ".mp4", ".webm", ".mkv", ".mpg", ".gif"))]
LONGEST_SECONDS = 10.0


@pytest.mark.parametrize("name", NAMES)
def test_the_good_file_is_read(name, tmp_path):
    outcome = look_at(written(Mutant(name, name, good(name)), tmp_path), name)
    assert (outcome.end, outcome.words) == ("frames", "")


def test_there_are_two_thousand_and_the_same_at_every_run():
    labels = [mutant.label for name in NAMES for mutant in mutants_of(name)]
    assert len(labels) == len(set(labels)) >= 2000
    assert mutants_of("ffv1.mkv") == mutants_of("ffv1.mkv")


@pytest.mark.parametrize("name", NAMES)
def test_every_damaged_file_ends_in_frames_or_in_words(name, tmp_path):
    outcomes = look_at_mutants(mutants_of(name), tmp_path)
    bad = [(outcome.label, outcome.words) for outcome in outcomes if outcome.end in {"fault", "ended"}]
    assert bad == []
    assert [outcome.label for outcome in outcomes if outcome.leaked > 0] == []
    assert max(outcome.peak_bytes for outcome in outcomes) < MOST_NEW_BYTES
    # damage is not so harsh that nothing is ever read, nor so mild that nothing is refused
    assert {"frames", "refused"} <= {outcome.end for outcome in outcomes}


@pytest.mark.parametrize("backend", ["decord", "torchcodec"])
def test_other_backends_may_crash_but_take_nothing_along(backend, tmp_path):
    mutants = [Mutant("good", "good.mp4", good("h264.mp4"))]
    mutants += [mutant for name in CONTAINERS for mutant in mutants_of(name)[::4]]
    outcomes = look_at_mutants(mutants, tmp_path, backend)
    assert [outcome.label for outcome in outcomes] == [mutant.label for mutant in mutants]
    if outcomes[0].words.startswith("UserError"):
        pytest.skip(f"{backend} is not usable here")
    assert outcomes[0].end == "frames"
    for outcome in outcomes:
        if outcome.end == "ended":
            warnings.warn(f"{backend} ended its process: {outcome.label}: {outcome.words}", stacklevel=1)
    assert [(outcome.label, outcome.words) for outcome in outcomes if outcome.end == "fault"] == []
    assert {"frames", "refused"} <= {outcome.end for outcome in outcomes}


def look_at_mutants(mutants: list[Mutant], folder: Path, backend: Backend = "auto") -> list[Outcome]:
    """Look at damaged files in a process of their own; in the order given."""
    jobs = [
        FuzzJob(folder / str(first), tuple(mutants[first : first + MUTANTS_PER_JOB]), backend)
        for first in range(0, len(mutants), MUTANTS_PER_JOB)
    ]
    found = dict(run_jobs(look_at_all, jobs, workers=1, without=without, item_seconds=LONGEST_SECONDS))
    return [outcome for number in sorted(found) for outcome in found[number]]
