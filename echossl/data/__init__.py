"""Frames become batches: the table of videos, who is used for what, and the clip store.

Nothing here imports torch; batches are in ``echossl.data.clips``.
"""

from echossl.data.check import check
from echossl.data.labels import (
    CLASS_MAPS,
    ClassMap,
    apply_class_map,
    describe,
    encode_labels,
    encode_multilabel,
)
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import PrepareSummary, prepare
from echossl.data.splits import LabelSubset, assign_splits, label_subset, patient_labels, split_validation
from echossl.data.store import ClipStore
from echossl.data.verify import VerifySummary, verify_store

__all__ = [
    "CLASS_MAPS",
    "ClassMap",
    "ClipStore",
    "LabelSubset",
    "PrepareSummary",
    "VerifySummary",
    "apply_class_map",
    "assign_splits",
    "check",
    "describe",
    "encode_labels",
    "encode_multilabel",
    "label_subset",
    "patient_labels",
    "prepare",
    "read_manifest",
    "split_validation",
    "verify_store",
    "write_manifest",
]
