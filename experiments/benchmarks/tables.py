"""What the benchmarks of speed share: the machine in words, and tables as Markdown and JSON."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Row = Mapping[str, float | str | None]
Facts = dict[str, object]


def machine_facts(packages: Sequence[str], **more: object) -> Facts:
    """Processor, versions of the packages that are installed, and the command that runs.

    Args:
        packages: names as installed with pip.
        more: what else belongs to the figures.
    """
    script = Path(sys.argv[0]).name
    return {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        **more,
        "python": platform.python_version(),
        "versions": {name: found for name in packages if (found := _version(name))},
        "command": f"python experiments/benchmarks/{script} {shlex.join(sys.argv[1:])}",
    }


def markdown_table(rows: Mapping[str, Row]) -> list[str]:
    """Lines of a table: a line for each row, its name first; a column for each key, of any row."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(_cell(row.get(column)) for column in columns)} |")
    return lines


def write_report(
    title: str,
    tables: Mapping[str, Mapping[str, Row]],
    facts: Facts,
    path: Path,
    *,
    notes: Sequence[str] = (),
) -> None:
    """Write and print the tables: ``path`` with the suffixes .md and .json."""
    lines = [f"# {title}", "", *(line for note in notes for line in (note, ""))]
    for name, rows in tables.items():
        lines += [f"## {name}", "", *markdown_table(rows), ""]
    lines += ["```", json.dumps(facts, indent=1), "```", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")
    content = json.dumps({**facts, "tables": tables}, indent=1)
    path.with_suffix(".json").write_text(content + "\n", encoding="utf-8")
    print("\n".join(lines))


def _cell(value: float | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
