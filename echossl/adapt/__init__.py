"""Adaptation: a pre-trained encoder, a handful of labels, and predictions of the test split."""

from echossl.adapt.embed import embed, save_embeddings
from echossl.adapt.finetune import finetune
from echossl.encoders.classifier import load_classifier

__all__ = ["embed", "finetune", "load_classifier", "save_embeddings"]
