"""Commands of a script in processes forked from one that has imported everything: seconds, not a minute.

Run with the path of a socket it is the server; :func:`write_client` writes the programs that a script calls
in the place of echossl and of Python. A command is as alone in its process as one that is started anew.
"""

import json
import os
import runpy
import socket
import sys
import traceback
from importlib import import_module
from pathlib import Path

import torch

from echossl.cli import main

# what commands import on their way
WANTED = (
    *("sklearn.linear_model", "torchvision.models.video", "tokenizers", "echossl.training.pretrain"),
    *("echossl.adapt.finetune", "echossl.study.probe", "echossl.report.run_papers"),
    *("echossl.phantom.folder", "echossl.data.prepare", "echossl.evaluation.panel_answers"),
)
CLIENT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as talk:
    talk.connect({address!r})
    talk.sendall(json.dumps([{kind!r}, sys.argv[1:], os.getcwd()]).encode() + b"\\n")
    socket.send_fds(talk, [b"."], [1, 2])
    sys.exit(int(talk.recv(16) or b"99"))
"""


def write_client(path: Path, address: Path, kind: str) -> Path:
    """A program that has its words done by the server; ``kind`` is echossl or python."""
    path.write_text(CLIENT.format(python=sys.executable, address=str(address), kind=kind))
    path.chmod(0o755)
    return path


def serve(address: Path) -> None:
    """Answer until the test ends the process."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        while True:
            talk, _ = listener.accept()
            with talk:
                line = b""
                while not line.endswith(b"\n"):
                    line += talk.recv(1)
                _, streams, _, _ = socket.recv_fds(talk, 1, 2)
                child = os.fork()
                if child == 0:
                    listener.close()
                    work(*json.loads(line), streams)
                for stream in streams:
                    os.close(stream)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                talk.sendall(str(code).encode())


def work(kind: str, words: list[str], folder: str, streams: list[int]) -> None:
    """One command, and the end of this process."""
    code: object = 1
    try:
        for number, stream in zip((1, 2), streams, strict=True):
            os.dup2(stream, number)
        os.chdir(folder)
        if kind == "echossl":
            sys.argv = ["echossl", *words]
            main()
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
        code = 0
    except SystemExit as leaving:
        code = leaving.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # noqa: BLE001 - a forked process must not go on into the server's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    for name in WANTED:
        import_module(name)
    torch.set_num_threads(1)
    serve(Path(sys.argv[1]))
