"""The house keeps its floors: imports go down only, and each room knows no more than it may."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "echossl"
FLOORS = (
    {"errors", "files", "progress", "config", "runs", "distributed"},
    {"video"},
    {"data", "phantom"},
    {"augment", "encoders", "evaluation", "text"},
    {"objectives", "saliency"},
    {"training", "adapt", "zeroshot"},
    {"report"},
    {"study", "predict"},
    {"cli", "__main__"},
)
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 300
# they unpickle what their own worker processes send them through a pipe, never a file
TALKS_TO_ITS_WORKERS = {"echossl.data.crew", "echossl.data.worker_process"}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor_of(room: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room in floor)


def imports_of(path: Path) -> Iterator[str]:
    """Every module of the package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(name_of(path))
    if room == "__init__":
        return
    for module in imports_of(path):
        if module.startswith("echossl."):
            assert floor_of(room_of(module)) <= floor_of(room), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("room", ["config", "video", "data", "phantom", "evaluation", "report"])
def test_rooms_without_torch(room: str) -> None:
    may_use_torch = {"echossl.data.clips"}  # where frames become batches
    for path in (PACKAGE / room).rglob("*.py"):
        if name_of(path) not in may_use_torch:
            assert "torch" not in {module.split(".")[0] for module in imports_of(path)}, name_of(path)


@pytest.mark.parametrize(
    "room", ["data", "augment", "encoders", "objectives", "training", "adapt", "evaluation"]
)
def test_the_phantoms_truth_is_out_of_reach_of_what_learns_and_scores(room: str) -> None:
    paths = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").is_file() else (PACKAGE / room).rglob("*.py")
    for path in paths:
        assert not any(module.startswith("echossl.phantom") for module in imports_of(path)), name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_are_short_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, f"{path} does not say what it is for"


def test_trap_32_nothing_is_unpickled() -> None:
    for path in MODULES:
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in calls:
            text = ast.unparse(call)
            is_foreign = name_of(path) not in TALKS_TO_ITS_WORKERS
            assert not (is_foreign and text.startswith(("pickle.load", "joblib.load"))), name_of(path)
            assert "allow_pickle=True" not in text, name_of(path)
            assert not text.startswith("torch.load(") or "weights_only=True" in text, name_of(path)
