"""What an encoder that has learned from reports can do without labels: name findings, find reports."""

from echossl.zeroshot.classify import zeroshot
from echossl.zeroshot.retrieve import retrieve

__all__ = ["retrieve", "zeroshot"]
