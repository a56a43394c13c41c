"""The secret of the hashes that stand for patients: made once, readable by its owner only."""

import os
import secrets
import tempfile
from pathlib import Path

from echossl.errors import UserError
from echossl.files import flush_to_disk

SALT_BYTES = 32
# the key of blake2b holds 64 bytes at most; fewer than 16 are no secret
SALT_LENGTHS = range(16, 65)


def keep_salt(path: Path) -> tuple[str, str]:
    """The secret that a file holds, which is made if there is none.

    Returns:
        The secret, and in words where it is and whether it is new.

    Raises:
        UserError: if the file cannot be read or written, or holds no secret.
    """
    where = path.absolute()
    if path.exists():
        return _salt(path), f"the ids are hashes with the secret of {where}, which was there"
    salt = _salt(path)
    return salt, f"a new secret of the ids was made: {where}; keep it to index again alike, do not share it"


def _salt(path: Path) -> str:
    """The secret of the hashes; made at the first call, readable by its owner only.

    Raises:
        UserError: if the file cannot be read or written, or holds no secret.
    """
    try:
        if not path.exists():
            _write_salt(path)
        salt = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"{path}: cannot be used for the salt ({error.strerror}); set salt_file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no salt but some other file; set salt_file") from error
    if len(salt.encode()) not in SALT_LENGTHS:
        raise UserError(
            f"{path}: found a salt of {len(salt)} characters, expected 16 to 64; set salt_file, or remove "
            "the file to have a new one made, which gives other ids"
        )
    return salt


def _write_salt(path: Path) -> None:
    """Make a salt file; if another process is first, its salt stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes files that only their owner reads
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{secrets.token_hex(SALT_BYTES)}\n")
        flush_to_disk(temporary)
        # unlike a renaming, a link never replaces a file
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
