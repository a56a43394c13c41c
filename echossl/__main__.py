"""``python -m echossl`` is the command line, as ``torchrun -m echossl`` needs it."""

from echossl.cli import main

if __name__ == "__main__":
    main()
