"""Flags from frozen dataclasses: one field, one flag, and back.

A field becomes a flag of its name. A field without a default becomes a required flag. The types are
`str`, `int`, `float`, `bool`, `Path`, `tuple[T, ...]` of str, int or float (comma-separated),
`Literal[...]` and `X | None` of those. `field(metadata=...)` may hold `help`, `choices` (sequence
of str), `lower` and `upper` (numbers).
"""

import types
import typing
from collections.abc import Collection, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from absl import flags

Options = TypeVar("Options")

# TensorFlow imports absl.logging, which defines these after our flags are parsed.
_RESERVED = frozenset(
    "alsologtostderr log_dir logger_levels logtostderr showprefixforinfo stderrthreshold v "
    "verbosity".split()
)

# The flags belong to the binary that calls, not to this module.
flags.disclaim_key_flags()


class _PathParser(flags.ArgumentParser):
    """A file or folder; `~` is the home folder, also after `=` where the shell leaves it alone."""

    def parse(self, argument: Any) -> Path:
        """The path."""
        if str(argument) == "":
            raise ValueError("a path cannot be empty")
        try:
            return Path(argument).expanduser()
        except RuntimeError as error:  # the home of a user that there is not
            raise ValueError(str(error)) from None

    def flag_type(self) -> str:
        """The word for the help page."""
        return "path"


class _ChoicesParser(flags.ListParser):
    """A comma-separated list of words out of a fixed set."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__()
        self._choices = choices

    def parse(self, argument: Any) -> list[str]:
        """The words."""
        words: list[str] = super().parse(argument)
        for word in words:
            if word not in self._choices:
                raise ValueError(f"{word!r} is not one of {', '.join(self._choices)}")
        return words


class _NumbersParser(flags.ListParser):
    """A comma-separated list of numbers."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self._kind = kind

    def parse(self, argument: Any) -> list[Any]:
        """The numbers."""
        numbers = []
        for word in super().parse(argument):
            try:
                numbers.append(self._kind(word))
            except ValueError:
                raise ValueError(f"{word!r} is not a number ({self._kind.__name__})") from None
        return numbers


def define_flags(options: type, skip: Collection[str] = ()) -> None:
    """Defines a flag for every field of a frozen dataclass.

    Args:
        options: The dataclass.
        skip: Fields that are no flags; `build` must be given their values.

    Raises:
        TypeError: A field has a type that no flag has.
        ValueError: A field has the name of a flag of the logging library.
    """
    hints = typing.get_type_hints(options)
    required = []
    for field, default in _flag_fields(options, skip):
        if field.name in _RESERVED:
            raise ValueError(f"{options.__name__}.{field.name}: a logging flag has this name")
        parser, serializer = _parser(options, field, hints[field.name])
        text = field.metadata.get("help", "")
        if default is MISSING:
            required.append(field.name)
            text = f"{text} (required)".strip()
            default = None
        if isinstance(default, tuple):
            default = list(default)
        if isinstance(parser, flags.BooleanParser):
            flags.DEFINE_boolean(field.name, default, text)
        else:
            flags.DEFINE(parser, field.name, default, text, serializer=serializer)
    if required:
        flags.register_multi_flags_validator(required, _require_all)


def build(options: type[Options], values: flags.FlagValues, **given: object) -> Options:
    """Makes the dataclass from the parsed flags.

    Args:
        options: A dataclass for which `define_flags` was called.
        values: The parsed flags, as `main` receives them.
        **given: Values of the fields that are no flags.

    Returns:
        The options.
    """
    read = {field.name: values[field.name].value for field, _ in _flag_fields(options, given)}
    tuples = {
        name: tuple(value) if isinstance(value, list) else value for name, value in read.items()
    }
    return options(**tuples, **given)


def _require_all(values: dict[str, object]) -> bool:
    missing = [f"--{name}" for name, value in values.items() if value is None]
    if missing:
        raise flags.ValidationError(f"required: {', '.join(missing)}")
    return True


def _flag_fields(options: Any, skip: Collection[str]) -> Iterator[tuple[Field[Any], Any]]:
    """Every field that is a flag with its default, or MISSING if it is required."""
    for field in fields(options):
        if field.init and field.name not in skip:
            factory = field.default_factory
            yield field, field.default if factory is MISSING else factory()


def _parser(
    options: type, field: Field[Any], hint: Any
) -> tuple[flags.ArgumentParser, flags.ArgumentSerializer | None]:
    """The parser of a field's type, with its serializer for flagfiles."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        hints = [item for item in typing.get_args(hint) if item is not type(None)]
        hint = hints[0] if len(hints) == 1 else hint
    choices = field.metadata.get("choices")
    if typing.get_origin(hint) is Literal:
        hint, choices = str, typing.get_args(hint)
    bounds = {f"{k}_bound": field.metadata[k] for k in ("lower", "upper") if k in field.metadata}
    plain = flags.ArgumentSerializer()
    if hint is str:
        return (flags.EnumParser(choices) if choices else flags.ArgumentParser()), plain
    if hint is int:
        return flags.IntegerParser(**bounds), plain
    if hint is float:
        return flags.FloatParser(**bounds), plain
    if hint is bool:
        return flags.BooleanParser(), plain
    if hint is Path:
        return _PathParser(), plain
    lists = {
        tuple[str, ...]: _ChoicesParser(choices) if choices else flags.ListParser(),
        tuple[int, ...]: _NumbersParser(int),
        tuple[float, ...]: _NumbersParser(float),
    }
    if hint in lists:
        return lists[hint], flags.ListSerializer(",")
    raise TypeError(f"{options.__name__}.{field.name}: no flag has the type {hint}")
