"""Settings of the layouts of data sets that ``echossl index`` knows."""

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from echossl.config.base import Config

EjectionFractionLabel = Literal["ef_below_50", "ef_below_40"]
StenosisLabel = Literal["as_acc_aha_2020", "as_eacvi_ase_2017", "as_severe", "as_significant", "as_any"]
TmedLabel = Literal["tmed_3class", "tmed_binary", "tmed_mod_severe", "tmed_4class", "tmed_5class"]
STENOSIS_LABELS = ", ".join(get_args(StenosisLabel))


class FolderSource(Config):
    """Any folder of videos; the patient is read from the path."""

    name: Literal["folder"] = "folder"
    patient_pattern: str | None = Field(
        None,
        description="Regular expression searched in the path below the root; its first group is the patient. "
        "Without one the patient is the first folder.",
    )
    frame_folders: bool = Field(False, description="Take every folder of pictures as one video.")
    fps: float | None = Field(None, gt=0, description="Frame rate of what does not state one.")


class CsvSource(Config):
    """The user's own table; ROOT is the table."""

    name: Literal["csv"] = "csv"
    columns: dict[str, str] = Field(
        {}, description="Manifest column to the table's column, for example {path: File, patient_id: MRN}."
    )
    videos: Path | None = Field(
        None, description="Folder that the paths start at; empty starts at the table's folder."
    )
    suffix: str = Field("", description="Added to paths that have no suffix, for example .avi.")


class DicomSource(Config):
    """A tree of DICOM files; patients and studies are salted hashes of the header's ids."""

    name: Literal["dicom"] = "dicom"
    salt_file: Path = Field(
        Path("echossl_salt.txt"),
        description="File with the secret of the hashes; made at the first call, kept to index again alike. "
        "Where it is not given it lies beside the manifest.",
    )


class PhantomSource(Config):
    """A folder made by ``echossl phantom``."""

    name: Literal["phantom"] = "phantom"
    labels: tuple[StenosisLabel, ...] = Field(
        (), description=f"Class maps whose columns are added to severe_as and as_grade: {STENOSIS_LABELS}."
    )


class EchonetDynamicSource(Config):
    """EchoNet-Dynamic: ``FileList.csv`` and ``Videos/``."""

    name: Literal["echonet_dynamic"] = "echonet_dynamic"
    labels: tuple[EjectionFractionLabel, ...] = Field(
        ("ef_below_50", "ef_below_40"), description="Class maps of the ejection fraction that become columns."
    )


class EchonetLvhSource(Config):
    """EchoNet-LVH: ``MeasurementsList.csv`` and ``Batch1/`` to ``Batch4/``."""

    name: Literal["echonet_lvh"] = "echonet_lvh"


class EchonetPediatricSource(Config):
    """EchoNet-Pediatric: ``A4C/`` and ``PSAX/``, each with ``FileList.csv`` and ``Videos/``."""

    name: Literal["echonet_pediatric"] = "echonet_pediatric"
    views: tuple[Literal["A4C", "PSAX"], ...] = Field(("A4C", "PSAX"), description="Views to take.")
    labels: tuple[EjectionFractionLabel, ...] = Field(
        ("ef_below_50",), description="Class maps of the ejection fraction that become columns."
    )
    validation_fold: int = Field(8, ge=0, le=9, description="Fold that becomes the split val.")
    test_fold: int = Field(9, ge=0, le=9, description="Fold that becomes the split test.")


class Tmed2Source(Config):
    """TMED-2: ``labels_per_image.csv`` and folders of stills, one row per picture."""

    name: Literal["tmed2"] = "tmed2"
    fold: int = Field(0, ge=0, le=2, description="Which of the published splits.")
    subset: Literal["DEV479", "DEV165", "DEV56"] = Field("DEV479", description="Which published subset.")
    unlabelled: bool = Field(True, description="Take the pictures without a diagnosis too.")
    labels: tuple[TmedLabel, ...] = Field(
        ("tmed_3class", "tmed_5class", "tmed_binary"),
        description=f"Class maps of the diagnosis that become columns: {', '.join(get_args(TmedLabel))}.",
    )


class CamusSource(Config):
    """CAMUS: a folder per patient with NIfTI or MHD/RAW files and ``Info_2CH.cfg``, ``Info_4CH.cfg``."""

    name: Literal["camus"] = "camus"
    views: tuple[Literal["2CH", "4CH"], ...] = Field(("2CH", "4CH"), description="Views to take.")
    labels: tuple[EjectionFractionLabel, ...] = Field(
        ("ef_below_50", "ef_below_40"), description="Class maps of the ejection fraction that become columns."
    )
    fps: float | None = Field(
        None, gt=0, description="Frame rate of the sequences whose Info file does not state one."
    )


class MimicIvEchoSource(Config):
    """MIMIC-IV-ECHO: the tree of DICOM files, the record list and the structured measurements."""

    name: Literal["mimic_iv_echo"] = "mimic_iv_echo"
    measurements: Path | None = Field(
        None, description="structured-measurement.csv(.gz); empty looks for it below the root."
    )
    days: float = Field(2.0, ge=0, description="Days between a study and its measurements, at most.")
    test_types: tuple[str, ...] = Field(("tte",), description="Kinds of studies whose measurements count.")
    labels: tuple[StenosisLabel | Literal["panecho_as"], ...] = Field(
        ("as_acc_aha_2020", "as_severe"),
        description=f"Class maps that become columns: {STENOSIS_LABELS} from the measurements, panecho_as "
        "from the reader's word.",
    )
    discordant: Literal["keep", "drop"] = Field(
        "keep",
        description="Studies whose valve area and flow disagree about severe: keep the grade by flow, or "
        "drop it and leave its cells empty; the column discordant is 1 either way.",
    )
    views: Path | None = Field(
        None, description="Table of predicted views with a path and a view column, for example ECHOVIEW's."
    )


Unmentioned = Literal["empty", "zero"]
UNMENTIONED = "What a finding that the report does not mention is: empty (not assessed), or zero."
FRONTAL = "Frontal pictures only."


class ChestXray14Source(Config):
    """ChestX-ray14: ``Data_Entry_2017.csv``, two lists of splits, folders of pictures; all frontal."""

    name: Literal["chestxray14"] = "chestxray14"


class ChexpertSource(Config):
    """CheXpert: ``train.csv``, ``valid.csv`` and folders of patients."""

    name: Literal["chexpert"] = "chexpert"
    frontal: bool = Field(True, description=FRONTAL)
    unmentioned: Unmentioned = Field("empty", description=UNMENTIONED)


class MimicCxrSource(Config):
    """MIMIC-CXR-JPG: the tables of metadata, splits and labels, and ``files/``."""

    name: Literal["mimic_cxr"] = "mimic_cxr"
    labeller: Literal["chexpert", "negbio"] = Field("chexpert", description="Whose labels of the reports.")
    frontal: bool = Field(True, description=FRONTAL)
    unmentioned: Unmentioned = Field("empty", description=UNMENTIONED)


class VindrCxrSource(Config):
    """VinDr-CXR: ``image_labels_train.csv``, ``image_labels_test.csv``, DICOM files; all frontal."""

    name: Literal["vindr_cxr"] = "vindr_cxr"
    reader: str = Field(
        "majority",
        min_length=1,
        description="Of the readers of a training picture: majority (half is uncertain), any, or the id "
        "of one.",
    )


class PadChestSource(Config):
    """PadChest: the table of 160,000 pictures and the folders of pictures; no published splits."""

    name: Literal["padchest"] = "padchest"
    frontal: bool = Field(True, description=FRONTAL)
    labels_by: Literal["all", "physician"] = Field(
        "all", description="Labels of physicians and of a network, or of physicians alone."
    )


Source = (
    FolderSource
    | CsvSource
    | DicomSource
    | PhantomSource
    | EchonetDynamicSource
    | EchonetLvhSource
    | EchonetPediatricSource
    | Tmed2Source
    | CamusSource
    | MimicIvEchoSource
    | ChestXray14Source
    | ChexpertSource
    | MimicCxrSource
    | VindrCxrSource
    | PadChestSource
)
