"""Synthetic patients: real encoded video files whose causes are known.

``echossl.phantom.truth`` reads those causes back; nothing that trains may import it.
"""

from echossl.phantom.generate import generate

__all__ = ["generate"]
