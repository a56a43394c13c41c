"""Plain statistics, the simulator and the table of differences live beside the benchmarks that print them."""

import sys
from pathlib import Path

# last, so that no module of the tests is hidden
sys.path.append(str(Path(__file__).parents[2] / "experiments" / "benchmarks"))
