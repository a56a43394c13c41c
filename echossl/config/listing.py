"""The settings of a command as text: the one source of help is the description of each field."""

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from echossl.config.adapt import FinetuneConfig
from echossl.config.base import Config
from echossl.config.data import CheckConfig, PrepareConfig
from echossl.config.evaluation import CompareConfig, EvaluationConfig
from echossl.config.explain import ExplainConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.predict import PredictConfig
from echossl.config.probe import ProbeConfig
from echossl.config.report import ReportConfig
from echossl.config.sources import Source
from echossl.config.study import DemoConfig, StudyConfig
from echossl.config.training import AugmentConfig, PretrainConfig
from echossl.config.zeroshot import RetrieveConfig, ZeroshotConfig
from echossl.errors import ConfigError

COMMANDS: dict[str, type[Config]] = {
    "demo": DemoConfig,
    "phantom": PhantomConfig,
    "check": CheckConfig,
    "prepare": PrepareConfig,
    "augment-preview": AugmentConfig,
    "pretrain": PretrainConfig,
    "finetune": FinetuneConfig,
    "probe": ProbeConfig,
    "zeroshot": ZeroshotConfig,
    "retrieve": RetrieveConfig,
    "evaluate": EvaluationConfig,
    "compare": CompareConfig,
    "explain": ExplainConfig,
    "predict": PredictConfig,
    "report": ReportConfig,
    "sweep": StudyConfig,
}


def list_options(command: str) -> list[str]:
    """One line per setting: key, default, description.

    Raises:
        ConfigError: if no command of that name takes settings.
    """
    if command == "index":
        return list(_source_lines())
    if command not in COMMANDS:
        known = ", ".join([*COMMANDS, "index"])
        raise ConfigError(f"options: no command {command!r} with settings; there are {known}")
    return list(_lines(COMMANDS[command], ""))


def _source_lines() -> Iterator[str]:
    """Every layout of data sets, with its own settings below it."""
    for source in get_args(Source):
        yield f"{_name(source)}  # {source.__doc__}"
        yield from (line for line in _lines(source, "  ") if not line.startswith("  name ="))


def _lines(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        # only the word that chooses one of several blocks has no description of its own
        yield f"{prefix}{name} = {_default(field)}  # {field.description or 'chooses this block'}"
        choices = [part for part in _models(field.annotation) if part is not model]
        for choice in choices:
            inner = f"{prefix}{name}." if len(choices) == 1 else f"{prefix}{name}<{_name(choice)}>."
            yield from _lines(choice, inner)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    if isinstance(field.default, BaseModel) or _models(field.annotation):
        return "..."
    return json.dumps(field.default, default=str)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _name(model: type[BaseModel]) -> str:
    default = model.model_fields["name"].default if "name" in model.model_fields else None
    return str(default) if isinstance(default, str) else model.__name__
