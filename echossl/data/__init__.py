"""Frames become batches: the table of videos, who is used for what, and the clip store.

Nothing here imports torch; batches are in ``echossl.data.clips``.
"""

from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.splits import LabelSubset, assign_splits, label_subset, patient_labels, split_validation

__all__ = [
    "LabelSubset",
    "assign_splits",
    "label_subset",
    "patient_labels",
    "read_manifest",
    "split_validation",
    "write_manifest",
]
