"""For all tests: W&B writes only where a test asks for it."""

import os

# read by wandb.mode=auto, in this process and in those that tests start
os.environ["WANDB_MODE"] = "disabled"
