"""Every setting of every command, as frozen typed models. One file per room; nothing here imports torch."""

from echossl.config.base import Config, load_config

__all__ = ["Config", "load_config"]
