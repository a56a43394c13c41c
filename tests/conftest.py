"""For all tests: W&B writes only where a test asks for it, and Ctrl-C is heard."""

import os
import signal

# read by wandb.mode=auto, in this process and in those that tests start
os.environ["WANDB_MODE"] = "disabled"
# a shell that starts the tests in the background has them, and all that they start, ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)
