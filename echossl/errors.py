"""The errors a user can meet. Each says which file or key, what was found, what was expected, what to do."""

from collections.abc import Sequence
from pathlib import Path

MOST_NAMES = 10


class EchosslError(Exception):
    """Something failed while working (exit code 1)."""

    exit_code = 1


class UserError(EchosslError):
    """The input is wrong and the user can mend it (exit code 2)."""

    exit_code = 2


class ConfigError(UserError):
    """A key or value in a YAML file or on the command line is wrong."""


class ManifestError(UserError):
    """A table of videos is wrong; the message lists every fault, one line each."""


class RunFolderError(UserError):
    """A run folder holds something else than what is asked for."""


class OneProcessError(EchosslError):
    """A failure of one of several training processes, which the others do not share.

    Args:
        number: of the process.
        error: what failed.
    """

    def __init__(self, number: int, error: EchosslError | OSError) -> None:
        super().__init__(f"process {number}: {error}")
        self.exit_code = getattr(error, "exit_code", EchosslError.exit_code)


class DecodeError(UserError):
    """A file cannot be turned into frames."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["DecodeError"], tuple[Path, str]]:
        """Pickle both arguments, so that the error survives the way out of a worker process."""
        return type(self), (self.path, self.reason)


class ShortVideoError(DecodeError):
    """A video is shorter than the clip that is asked of it."""


def reason_of(error: UserError, path: str | Path) -> str:
    """Why a file cannot be used, without its name, which stands beside the reason in every table.

    Of a folder of frames it names the picture that is to blame.
    """
    if isinstance(error, DecodeError):
        is_inside = Path(path) in error.path.parents
        return f"{error.path.relative_to(path)}: {error.reason}" if is_inside else error.reason
    return str(error).removeprefix(f"{path}: ")


def first_names(names: Sequence[str], separator: str = ", ") -> str:
    """The first ten of the names in a message, and how many more there are."""
    more = [f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return separator.join([*names[:MOST_NAMES], *more])
