"""Which decoder reads what: the choice made for ``auto``, and what is usable on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType
from typing import Literal

# What "auto" takes for every container and codec: PyAV. Random clips of 16 frames a second on one core, the
# file opened for every clip (in brackets: again while it is kept, see opened.py), best of several runs:
#                                 PyAV reader   torchcodec   decord   OpenCV   plain PyAV
#   MJPEG AVI 112 x 112           603 (1085)           669      248      628          692
#   H.264 MP4 600 x 800           8.8 (10.8)           9.1      6.9      3.8          8.3
#   VP9 WebM 600 x 800             2.9 (5.0)           2.7      2.5      2.4          2.9
#   HEVC MP4 600 x 800             5.1 (9.1)           4.4      3.2      3.6          4.0
#   MPEG-4 AVI 600 x 800             54 (57)            63       38       22           56
# torchcodec's figures are those without an index of its own ("approximate"), which believe the header; behind
# our index, which an exact answer needs, its lead in small files is gone. The PyAV reader is also the only
# one that is exact everywhere, and needs no optional package whose absence would change what is read.
# experiments/benchmarks/decoding.py measures it again.
FASTEST_EXACT: Literal["pyav"] = "pyav"

# a package that is installed but broken fails in as many ways as there are packages
BROKEN = (
    ImportError,
    OSError,
    RuntimeError,
    AttributeError,
    ValueError,
    TypeError,
    LookupError,
    NameError,
    SyntaxError,
    AssertionError,
)


@dataclass(frozen=True)
class BackendState:
    """Whether a decoder can be used here.

    Attributes:
        name: the decoder, as a person calls it.
        usable: whether it can be used now.
        version: of its package; empty if it is not installed.
        reason: why it cannot be used and what to do; empty if it can.
        reads: what it reads.
    """

    name: str
    usable: bool
    version: str
    reason: str
    reads: str


@dataclass(frozen=True)
class _Package:
    name: str
    module: str
    distribution: str
    install: str
    reads: str

    def state(self, check: Callable[[ModuleType], str] = lambda _: "") -> BackendState:
        """Import it, then ask ``check`` why it cannot be used; an empty answer means that it can."""
        try:
            reason = check(import_module(self.module))
        except ModuleNotFoundError as error:
            what = "is not installed" if error.name == self.module.partition(".")[0] else f"fails: {error}"
            reason = f"{what}; {self.install}"
        except BROKEN as error:
            first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
            reason = f"is installed but does not load ({first_line}); {self.install}"
        return BackendState(self.name, not reason, _version(self.distribution), reason, self.reads)


DICOM_EXTRA = 'pip install "echossl[dicom]"'
PYAV = _Package(
    "PyAV", "av", "av", "pip install --force-reinstall av", "AVI, MP4, MOV, MKV, WebM, GIF and other videos"
)
DECORD = _Package(
    "decord", "decord", "decord", 'pip install "echossl[decord]"', "the same, where it is exact (not HEVC)"
)
TORCHCODEC = _Package(
    "torchcodec",
    "torchcodec.decoders",
    "torchcodec",
    'pip install "echossl[torchcodec]" and FFmpeg\'s shared libraries (Debian: apt-get install ffmpeg)',
    "the same, where it is exact",
)
PYDICOM = _Package("pydicom", "pydicom", "pydicom", DICOM_EXTRA, "DICOM files, uncompressed")
PILLOW = _Package(
    "Pillow",
    "PIL.Image",
    "pillow",
    "pip install --force-reinstall pillow",
    "pictures and folders of pictures",
)
NIBABEL = _Package("nibabel", "nibabel", "nibabel", 'pip install "echossl[nifti]"', "NIfTI volumes")
IMAGECODECS = _Package(
    "JPEG XL", "imagecodecs", "imagecodecs", 'pip install "echossl[jpegxl]"', "DICOM files, JPEG XL"
)
# one transfer syntax of each family of DICOM's, see PS3.5 section 8
FAMILIES = {
    "JPEG": ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"),
    "JPEG lossless": ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
    "JPEG-LS": ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
    "JPEG 2000": ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
    "HTJ2K": ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203"),
    "RLE": ("1.2.840.10008.1.2.5",),
}


def describe_backends() -> list[BackendState]:
    """Every decoder and whether it can be used; never raises for a package that is missing or broken."""
    return [
        PYAV.state(),
        DECORD.state(),
        TORCHCODEC.state(),
        PYDICOM.state(),
        *(_family(name, syntaxes) for name, syntaxes in FAMILIES.items()),
        IMAGECODECS.state(_without_jpeg_xl),
        PILLOW.state(),
        NIBABEL.state(),
        BackendState("MetaImage", usable=True, version="", reason="", reads="MHD and MHA volumes"),
    ]


def _family(name: str, syntaxes: tuple[str, ...]) -> BackendState:
    package = _Package(name, "pydicom.pixels.decoders.base", "pydicom", DICOM_EXTRA, f"DICOM files, {name}")

    def missing(module: ModuleType) -> str:
        decoders = [module.get_decoder(syntax) for syntax in syntaxes]
        return "" if all(decoder.is_available for decoder in decoders) else f"no decoder; {DICOM_EXTRA}"

    return package.state(missing)


def _without_jpeg_xl(imagecodecs: ModuleType) -> str:
    return "" if imagecodecs.JPEGXL.available else "is built without JPEG XL; pip install -U imagecodecs"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
