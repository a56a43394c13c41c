"""One of two processes fails, the other waits for something that never comes."""

import sys
import time

from echossl.distributed import rank
from echossl.errors import EchosslError
from echossl.training.distributed import process_group

if __name__ == "__main__":
    with process_group():
        if rank() == int(sys.argv[1]):
            raise EchosslError("the disk is full")
        time.sleep(600)
