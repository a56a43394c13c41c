"""Frames become batches: the table of videos, who is used for what, and the clip store.

Nothing here imports torch; batches are in ``echossl.data.clips``.
"""

from echossl.data.check import check
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import PrepareSummary, prepare
from echossl.data.splits import LabelSubset, assign_splits, label_subset, patient_labels, split_validation
from echossl.data.store import ClipStore

__all__ = [
    "ClipStore",
    "LabelSubset",
    "PrepareSummary",
    "assign_splits",
    "check",
    "label_subset",
    "patient_labels",
    "prepare",
    "read_manifest",
    "split_validation",
    "write_manifest",
]
