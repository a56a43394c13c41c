"""What a pre-training does not need is not imported before it is asked for."""

import subprocess
import sys

SLOW = ("sklearn", "scipy.stats", "torch._dynamo.exc", "wandb", "tensorboard")


def test_pretraining_starts_without_what_it_may_never_need() -> None:
    program = f"import sys, echossl.training.pretrain; print([n for n in {SLOW} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
