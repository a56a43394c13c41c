"""``echossl sweep --slurm DIR``: a study as jobs of a SLURM cluster, each run by a command of its own."""

import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from echossl.config.study import StudyConfig
from echossl.errors import UserError
from echossl.files import write_text
from echossl.study.tasks import left_to_do, plan_tasks

MOST_ARRAY_TASKS = 1000  # clusters refuse longer arrays unless they are set up for them
STUDY_NAME = "study.yaml"


def write_slurm(config: StudyConfig, folder: Path) -> Path:
    """Write the jobs for what is not finished yet: an array of pre-trainings, one of cells, and the table.

    Args:
        config: the study; its paths are those that the cluster's machines see from the working folder.
        folder: where the scripts go; scripts that are there are replaced.

    Returns:
        ``submit.sh``, which hands all of them to SLURM. What is given to it goes to every ``sbatch``.

    Raises:
        UserError: if nothing is left to do.
    """
    tasks = left_to_do(plan_tasks(config))
    if not tasks:
        raise UserError(f"{config.out}: every cell is finished; echossl sweep --collect writes the table")
    folder = folder.absolute()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_text(folder / STUDY_NAME, settings)
    _write_array(folder, "pretraining", [task.name for task in tasks if task.cell is None])
    _write_array(folder, "cell", [task.name for task in tasks if task.cell])
    write_text(folder / "collect.sh", _collect_script(folder))
    write_text(folder / "submit.sh", _submit_script(folder))
    return folder / "submit.sh"


def _write_array(folder: Path, option: str, names: Sequence[str]) -> None:
    """The names, one a line, and the script of the array that runs them; neither if there are none."""
    script, listing = folder / f"{option}.sh", folder / f"{option}s.txt"
    if not names:
        script.unlink(missing_ok=True)
        listing.unlink(missing_ok=True)
        return
    tasks = min(len(names), MOST_ARRAY_TASKS)
    each = math.ceil(len(names) / tasks)
    write_text(listing, "".join(f"{name}\n" for name in names))
    listed = shlex.quote(str(listing))
    lines = [
        *_head(folder, option, f"#SBATCH --array=1-{tasks}", log="%x-%a.log"),
        f"# {len(names)} runs, at most {each} for each of {tasks} array tasks",
        f"mine='(NR - 1) % {tasks} + 1 == task'",
        f'mapfile -t names < <(awk -v task="$SLURM_ARRAY_TASK_ID" "$mine" {listed})',
        "failed=0",
        'for name in "${names[@]}"; do',
        f'    run=("${{echossl[@]}}" sweep {shlex.quote(str(folder / STUDY_NAME))} --{option} "$name")',
        "    # a run that fails is tried once more; what it had saved is not done again",
        '    "${run[@]}" || "${run[@]}" || failed=1',
        "done",
        'exit "$failed"',
    ]
    write_text(script, "\n".join(lines) + "\n")


def _collect_script(folder: Path) -> str:
    study = shlex.quote(str(folder / STUDY_NAME))
    return "\n".join([*_head(folder, "collect"), f'exec "${{echossl[@]}}" sweep {study} --collect']) + "\n"


def _submit_script(folder: Path) -> str:
    """Cells begin after all pre-trainings have ended, however they did: one that failed costs its own."""
    here = shlex.quote(str(folder))
    return f"""#!/usr/bin/env bash
# Hand the study to SLURM. Options go to every job: bash submit.sh --partition gpu --gpus 1 --time 4:00:00
# Submitting again continues: what is finished returns at once.
set -euo pipefail
cd {here}

after=()
if [[ -f pretraining.sh ]]; then
    job="$(sbatch --parsable "$@" pretraining.sh)"
    after=(--dependency "afterany:${{job%%;*}}")
fi
if [[ -f cell.sh ]]; then
    job="$(sbatch --parsable "$@" ${{after[@]+"${{after[@]}}"}} cell.sh)"
    after=(--dependency "afterany:${{job%%;*}}")
fi
sbatch --parsable "$@" ${{after[@]+"${{after[@]}}"}} collect.sh
"""


def _head(folder: Path, name: str, *options: str, log: str = "%x.log") -> list[str]:
    """First lines of a job: what SLURM reads, and the folder that relative paths of the study start from."""
    command = shlex.join([sys.executable, "-m", "echossl"])
    return [
        "#!/usr/bin/env bash",
        f"#SBATCH --job-name=echossl-{name}",
        *options,
        f"#SBATCH --output={folder}/logs/{log}",
        "#SBATCH --open-mode=append",
        "set -euo pipefail",
        f"cd {shlex.quote(str(Path.cwd()))}",
        f'read -ra echossl <<< "${{ECHOSSL:-{command}}}"',
        'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"',
    ]
