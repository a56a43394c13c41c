"""From YAML and ``key=value`` words to one frozen, checked model, or one clear line about what is wrong."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from echossl.errors import ConfigError

Model = TypeVar("Model", bound="Config")


class Config(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def load_config(model: type[Model], path: Path | None, overrides: Sequence[str] = ()) -> Model:
    """Read a YAML (or JSON, or ``run.json``) file, apply overrides, validate.

    Args:
        model: the settings class of the command.
        path: the file; None starts from the defaults.
        overrides: words such as ``optimiser.steps=100``. What stands after the first ``=`` is taken as it is
            where the setting is a text or a path (nothing, or ``null``, for none), else read as YAML.

    Raises:
        ConfigError: one line per fault, each naming the file, the key and what to do.
    """
    values = _read(path) if path else {}
    for word in overrides:
        _apply(model, values, word)
    _fill(model, values, None)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        given = {word.partition("=")[0] for word in overrides}
        lines = [
            f"{_where(path, given, fault)}: {_explain(model, fault)}" for fault in _innermost(error.errors())
        ]
        raise ConfigError("\n".join(lines)) from error


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give a YAML file or a run.json")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # what stands there is not quoted: it may be a table of patients
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(
            f"{path}: not a YAML file{place}; a file of settings comes first, other files are given as "
            f"key=value, for example manifest={path.name}"
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found {type(values).__name__}, expected keys and values")
    # a run.json keeps the settings under "config", so that a finished run can be repeated from it
    return values["config"] if path.name == "run.json" and "config" in values else values


def _apply(model: type[BaseModel], values: dict[str, Any], word: str) -> None:
    key, separator, text = word.partition("=")
    if not separator or not key:
        raise ConfigError(f"command line: {word!r} is not key=value, for example optimiser.steps=100")
    *parents, last = key.split(".")
    here: Any = values
    for parent in parents:
        here = _child(here, parent, word)
    kinds: set[Any] = {model}
    for part in [*parents, last]:
        kinds = {inner for kind in kinds for inner in _part_kinds(kind, part)}
    value = _value(text, kinds, word)
    if isinstance(here, list):
        here[_position(here, last, word)] = value
    else:
        here[last] = value


def _value(text: str, kinds: set[Any], word: str) -> Any:
    """What a word says, read as the kinds of value ask for that its key may have."""
    if kinds and kinds <= {str, Path, NoneType}:
        # a pattern or a name of a file may look like anything; no name is no path, and not the current folder
        is_none = (not text and kinds != {str}) or (text == "null" and NoneType in kinds)
        return None if is_none else text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"command line: {word!r} has a value that is not YAML") from error


def _kinds(annotation: Any) -> set[Any]:
    """The alternatives of an annotation: ``str | None`` is a text or nothing."""
    if isinstance(annotation, type) or get_origin(annotation) in {dict, list, tuple, Literal}:
        return {annotation}
    return {kind for part in get_args(annotation) for kind in _kinds(part)}


def _part_kinds(kind: Any, key: str) -> set[Any]:
    """The kinds of value below a key of a value of this kind; none if it can have no such part."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _kinds(kind.model_fields[key].annotation) if key in kind.model_fields else set()
    items = get_args(kind)[1:] if get_origin(kind) is dict else get_args(kind)
    return {inner for item in items for inner in _kinds(item)}


def _fill(model: type[BaseModel], values: dict[str, Any], default: BaseModel | None) -> None:
    """Complete what was given in part: ``phantom.patients=9`` keeps the rest of the default phantom.

    Args:
        model: the settings class.
        values: what the user gave for it; changed in place.
        default: the settings that the user's replace in part, or None for the class's own defaults.
    """
    for name, field in model.model_fields.items():
        base = getattr(default, name) if default else field.default
        given = values.get(name)
        if isinstance(given, dict) and isinstance(base, BaseModel):
            # of a union, a part of another member is no part of the default
            if given.get("name", getattr(base, "name", None)) == getattr(base, "name", None):
                _fill(type(base), given, base)
        elif name not in values and default:
            values[name] = base


def _child(here: Any, key: str, word: str) -> Any:
    if isinstance(here, list):
        return here[_position(here, key, word)]
    child = here.setdefault(key, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"command line: {word!r}: {key} is a single value, it has no parts")
    return child


def _position(here: list[Any], key: str, word: str) -> int:
    if not key.isdigit() or int(key) >= len(here):
        raise ConfigError(f"command line: {word!r}: {key} must be a number from 0 to {len(here) - 1}")
    return int(key)


def _where(path: Path | None, given: set[str], fault: ErrorDetails) -> str:
    """Whether a fault stands in the file or in a word of the command line."""
    key = ".".join(str(part) for part in fault["loc"])
    is_word = any(key == word or key.startswith(f"{word}.") for word in given)
    return str(path) if path and not is_word else "command line"


def _innermost(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what only follows from another: a list with a bad item is also told to be too short."""
    places = [fault["loc"] for fault in faults]
    return [
        fault
        for fault, place in zip(faults, places, strict=True)
        if not any(other[: len(place)] == place and len(other) > len(place) for other in places)
    ]


def _explain(model: type[BaseModel], fault: ErrorDetails) -> str:
    """Turn one pydantic fault into one sentence."""
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _known_keys(model), n=1)
        hint = f", did you mean {near[0]}?" if near else "; see --help for the options"
        return f"{key}: no such option{hint}"
    if fault["type"] == "missing":
        return f"{key}: this option is required and was not given"
    if fault["type"] == "union_tag_not_found":
        return f"{key}: which one is meant? add {key}.name; `echossl options` lists the names"
    return f"{key}: found {fault['input']!r}; {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _known_keys(model: type[BaseModel]) -> set[str]:
    """Every key anywhere below ``model``: good enough to guess what a typo meant."""
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(name)
        for kind in _models_in(field.annotation):
            keys |= _known_keys(kind)
    return keys


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models_in(part)}
