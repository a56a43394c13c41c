"""The images and the compose file, read without docker: pinned, few rights, nothing but code inside."""

import configparser
import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import echossl

TOP = Path(__file__).parents[1]
DOCKER = TOP / "docker"
IMAGES = ("cpu", "cuda")
KNOWN = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "ENTRYPOINT", "CMD"}
PINNED_IMAGE = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+[a-z0-9.-]*(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, and the number of the stage it stands in."""

    name: str
    words: str
    stage: int


def instructions(text: str) -> list[Instruction]:
    """Lines that end in a backslash are joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage = -1
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, words = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(name, words.strip(), stage))
    return found


def of(image: str, name: str | None = None) -> list[Instruction]:
    found = instructions((DOCKER / f"Dockerfile.{image}").read_text())
    return [one for one in found if name in {None, one.name}]


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: the last pattern that fits it or a folder above decides."""
    ignored = False
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    for line in (TOP / ".dockerignore").read_text().splitlines():
        pattern = line.strip().lstrip("!")
        anywhere = pattern.removeprefix("**/")
        if not pattern or pattern.startswith("#"):
            continue
        names = parts if pattern.startswith("**/") else above
        # a star stops at a slash
        if any(fnmatch.fnmatch(name, anywhere) and name.count("/") == anywhere.count("/") for name in names):
            ignored = not line.strip().startswith("!")
    return ignored


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(TOP / "setup.cfg")
    return parser


def requirements(text: str) -> set[str]:
    return {re.split(r"[<>=!~ ;]", line)[0].lower() for line in text.split() if not line.startswith("%")}


def pins() -> dict[str, str]:
    lines = [line for line in (TOP / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pairs = [line.split("==") for line in lines if line]
    assert len({name for name, _ in pairs}) == len(pairs), "a package is pinned twice"
    return {name.lower(): version for name, version in pairs}


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return content


def test_the_reader_of_dockerfiles() -> None:
    text = "# a\nFROM x:1 AS a\nRUN one \\\n    # between\n    && two\n\nFROM y:2\nUSER me\n"
    assert instructions(text) == [
        Instruction("FROM", "x:1 AS a", 0),
        Instruction("RUN", "one && two", 0),
        Instruction("FROM", "y:2", 1),
        Instruction("USER", "me", 1),
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_two_stages_on_one_pinned_base(image: str) -> None:
    assert {one.name for one in of(image)} <= KNOWN
    bases = [one.words.split()[0] for one in of(image, "FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1, "the virtual environment needs the interpreter that it was made with"
    for base in bases:
        assert PINNED_IMAGE.fullmatch(base), base
        assert "latest" not in base
    least = re.search(r">=(\d+)\.(\d+)", setup()["options"]["python_requires"])
    version = re.search(r"python:(\d+)\.(\d+)", bases[0])
    assert least
    assert version
    assert [int(part) for part in version.groups()] >= [int(part) for part in least.groups()]


@pytest.mark.parametrize("image", IMAGES)
def test_the_container_is_not_root(image: str) -> None:
    users = of(image, "USER")
    assert users[-1].stage == 1
    assert users[-1].words.split(":")[0] not in {"root", "0"}
    last_root_step = max(n for n, one in enumerate(of(image)) if "apt-get" in one.words or one.name == "COPY")
    assert of(image).index(users[-1]) > last_root_step
    runs = [one.words for one in of(image, "RUN")]
    assert any(f"useradd --uid 1000 --create-home {users[-1].words}" in words for words in runs)
    assert not any("sudo" in words or "chmod 777" in words for words in runs)


@pytest.mark.parametrize("image", IMAGES)
def test_only_named_files_that_exist_are_copied(image: str) -> None:
    for one in of(image, "COPY"):
        *sources, _place = [word for word in one.words.split() if not word.startswith("--")]
        if "--from=" in one.words:
            assert one.words.startswith("--from=build "), one.words
            continue
        for source in sources:
            assert "*" not in source, one.words
            assert source not in {".", "./", "/"}, one.words
            assert (TOP / source).exists(), f"{source} is copied and does not exist"
            assert not is_ignored(source), f"{source} is copied and kept out by .dockerignore"


@pytest.mark.parametrize("image", IMAGES)
def test_system_packages_leave_no_lists_and_nothing_is_piped_to_a_shell(image: str) -> None:
    with_apt = [one.words for one in of(image, "RUN") if "apt-get" in one.words]
    assert with_apt
    for words in with_apt:
        assert "--no-install-recommends" in words
        assert words.endswith("&& rm -rf /var/lib/apt/lists/*")
        assert "upgrade" not in words
    assert any(re.search(r"\bffmpeg\b", words) for words in with_apt), "torchcodec needs its libraries"
    assert not any(re.search(r"\b(curl|wget)\b", one.words) for one in of(image, "RUN"))


@pytest.mark.parametrize("image", IMAGES)
def test_packages_are_pinned_and_extras_exist(image: str) -> None:
    installs = [one.words for one in of(image, "RUN") if "pip install" in one.words]
    assert all("--constraint constraints.txt" in words or "--no-deps" in words for words in installs)
    wanted = requirements(setup()["options"]["install_requires"])
    (extras,) = re.findall(r'"\.\[([a-z,]+)\]"', installs[0])
    for extra in extras.split(","):
        wanted |= requirements(setup()["options.extras_require"][extra])
    assert wanted <= set(pins()), f"not pinned: {sorted(wanted - set(pins()))}"
    assert ("whl/cpu" in installs[0]) == (image == "cpu")


@pytest.mark.parametrize("image", IMAGES)
def test_the_command_is_echossl_and_gets_the_signals(image: str) -> None:
    (entry,), (command,) = of(image, "ENTRYPOINT"), of(image, "CMD")
    # a list is run as it is; text would go through a shell, which keeps SIGTERM to itself
    assert json.loads(entry.words) == ["echossl"]
    assert json.loads(command.words) == ["--help"]
    assert "echossl = echossl.cli:main" in setup()["options.entry_points"]["console_scripts"]
    assert any("PATH=/opt/venv/bin:" in one.words for one in of(image, "ENV") if one.stage == 1)


def test_both_images_differ_only_in_torch_compiler_and_driver() -> None:
    cpu, cuda = ({(one.name, one.words) for one in of(image)} for image in IMAGES)
    assert {name for name, _ in cpu ^ cuda} <= {"ARG", "ENV", "RUN"}
    assert len(cpu - cuda) <= 3


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "runs/a/encoder.safetensors",
        "data/patient.dcm",
        "manifest.csv",
        "wandb/run",
        ".env",
        "tests/test_docker.py",
        "echossl/weights.pt",
        "experiments/results/phantom_full/results.csv",
        "echossl/data/__pycache__/store.pyc",
    ],
)
def test_data_weights_and_history_stay_out(path: str) -> None:
    assert is_ignored(path)


def test_all_of_the_package_gets_in() -> None:
    package = [
        path
        for path in (TOP / "echossl").rglob("*")
        if path.suffix in {".py", ".j2", ".css", ".js", ".typed"}
    ]
    assert len(package) > 100
    assert not [path for path in package if is_ignored(path.relative_to(TOP).as_posix())]
    yamls = [path for path in (TOP / "experiments").glob("*/*.yaml") if "results" not in path.parts]
    assert not [path for path in yamls if is_ignored(path.relative_to(TOP).as_posix())]


@pytest.mark.parametrize("image", IMAGES)
def test_compose_builds_what_is_here_under_the_version_of_the_package(image: str) -> None:
    service = compose()["services"][image]
    context = (DOCKER / service["build"]["context"]).resolve()
    assert context == TOP.resolve()
    assert (context / service["build"]["dockerfile"]).name == f"Dockerfile.{image}"
    assert (context / service["build"]["dockerfile"]).is_file()
    assert service["image"] == f"echossl:{echossl.__version__}-{image}"
    assert f"--tag {service['image']}" in (DOCKER / f"Dockerfile.{image}").read_text()


@pytest.mark.parametrize("image", IMAGES)
def test_compose_mounts_data_read_only_and_gives_no_rights(image: str) -> None:
    service = compose()["services"][image]
    data, runs = service["volumes"]
    assert (data["target"], data["read_only"]) == ("/data", True)
    assert data["source"].startswith("${ECHOSSL_DATA:?")
    assert runs["target"] == "/work/runs"
    assert runs["bind"]["create_host_path"] is False
    assert service["cap_drop"] == ["ALL"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ports"} & set(service)
    assert not service["user"].startswith(("0", "root"))


def test_only_the_cuda_service_asks_for_gpus() -> None:
    services = compose()["services"]
    assert set(services) == set(IMAGES)
    (device,) = services["cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert "deploy" not in services["cpu"]
