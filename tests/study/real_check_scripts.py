"""The scripts of the check on real data, as modules."""

import importlib.util
import sys
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "experiments" / "studies"


def script(name: str):
    specification = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    # dataclasses look their module up
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


files, folds, pool = (script(f"real_check_{name}") for name in ("files", "folds", "pool"))
