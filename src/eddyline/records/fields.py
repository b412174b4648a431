"""Reads a user's `Event` or `Label` class: its fields, their roles, and all that is wrong with them.

Each complaint names the class and the field in the user's words and ends with the line to type. Knows
nothing of bytes: `schema.py` turns what is found here into a codec.
"""

from __future__ import annotations

import sys
import types
import typing
from inspect import get_annotations
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec
from msgspec import inspect

from eddyline.records.errors import DeclarationError
from eddyline.records.numbers import is_number, plain
from eddyline.records.types import Event, Label, Role, Unit

UNSUPPORTED = (inspect.CustomType, inspect.RawType, inspect.ExtType, inspect.MemoryViewType)
TRUTHS = (inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType, inspect.LiteralType)
EXAMPLE = {Role.ID: "id: Id", Role.KEY: "card: Key", Role.TIME: "at: Time", Role.TRUTH: "fraud: Truth[bool]"}


class Field(NamedTuple):
    """One declared field: its name here and in JSON, its type without annotations, and its role if any."""

    name: str
    wire: str
    type: Any
    kind: inspect.Type
    """the type as msgspec sees it"""
    role: Role | None
    unit: Unit | None
    required: bool
    default: str
    """the default as text, empty when there is none"""


def read_fields(cls: type[Event] | type[Label]) -> tuple[Field, ...]:
    """The fields of a class in the order of its struct, checked; `DeclarationError` when they cannot work.

    >>> from eddyline.records.types import EpochSeconds, Id
    >>> class Payment(Event):
    ...     id: Id
    ...     at: EpochSeconds
    ...     amount: float
    >>> [(field.name, field.role) for field in read_fields(Payment)]
    [('id', <Role.ID: 'Id'>), ('at', <Role.TIME: 'Time'>), ('amount', None)]
    """
    _check_class(cls)
    fields = tuple(_field(cls, info, kind) for info, kind in _resolved(cls))
    for field in fields:
        _check_supported(cls, field.name, field.kind, ())
        _check_role(cls, field)
    _check_roles(cls, fields)
    return fields


def zone_of(cls: type[Event] | type[Label]) -> ZoneInfo | None:
    """Where times without an offset are, as the class says; `DeclarationError` for an unknown zone."""
    if cls.zone is None:
        return None
    try:
        return ZoneInfo(cls.zone)
    except (ValueError, TypeError, OSError, LookupError) as problem:
        raise DeclarationError(
            f"{cls.__name__}: zone {cls.zone!r} is not the name of a time zone\n"
            f"  expected an IANA name, such as 'Europe/Zurich' or 'UTC'\n"
            f'  type: zone: ClassVar[str] = "Europe/Zurich"'
        ) from problem


def show_type(hint: Any, deep: bool = False) -> str:
    """A type as its author wrote it; with `deep`, structs and enums are spelled out so that changes show.

    >>> show_type(typing.Optional[float]), show_type(dict[str, float]), show_type(Annotated[int, Role.KEY])
    ('float | None', 'dict[str, float]', 'int')
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        extras = [repr(extra) for extra in args[1:] if not isinstance(extra, Role | Unit)]
        return " & ".join([show_type(args[0], deep), *(extras if deep else [])])
    if origin in (Union, types.UnionType):
        return " | ".join(show_type(arg, deep) for arg in args)
    if origin is not None:
        inside = ", ".join(repr(arg) if origin is typing.Literal else show_type(arg, deep) for arg in args)
        return f"{getattr(origin, '__name__', str(origin))}[{inside}]"
    if hint is type(None):
        return "None"
    name = str(getattr(hint, "__name__", hint))
    if deep and isinstance(hint, type) and name not in dir(typing) and hint.__module__ != "builtins":
        return f"{name}{_inside(hint)}"
    return name


def _inside(cls: type) -> str:
    if issubclass(cls, msgspec.Struct):
        names = (f"{info.encode_name}: {show_type(info.type)}" for info in msgspec.structs.fields(cls))
        return f"({', '.join(names)})"
    members = getattr(cls, "__members__", None)
    return f"({', '.join(repr(member.value) for member in members.values())})" if members else ""


def _check_class(cls: Any) -> None:
    if not isinstance(cls, type) or not issubclass(cls, Event | Label) or cls in (Event, Label):
        name = getattr(cls, "__name__", repr(cls))
        raise DeclarationError(
            f"{name} is not a class of events or labels of yours\n"
            f"  expected a subclass of Event or Label with fields\n"
            f"  type: class {name if isinstance(cls, type) else 'Payment'}(Event): ..."
        )
    if "zone" in cls.__struct_fields__:
        raise DeclarationError(
            f"{cls.__name__}: the field 'zone' hides where the times of {cls.__name__} are\n"
            f'  for times without an offset, type: zone: ClassVar[str] = "Europe/Zurich"\n'
            f'  for data called zone, type: area: str, class {cls.__name__}(Event, rename={{"area": "zone"}})'
        )
    if cls.__struct_config__.array_like:
        raise DeclarationError(
            f"{cls.__name__}: array_like=True reads arrays; a record is an object with named fields\n"
            f"  type: class {cls.__name__}({cls.__bases__[0].__name__}): ..."
        )


def _resolved(cls: type[Event] | type[Label]) -> list[tuple[Any, inspect.Type]]:
    """msgspec's view of the fields. Names that only a calling function knows are found in its frame."""
    try:
        return _infos(cls)
    except NameError:
        _write_out_annotations(cls)
    try:
        return _infos(cls)
    except NameError as problem:
        raise _unknown_name(cls, problem) from problem


def _infos(cls: type[Event] | type[Label]) -> list[tuple[Any, inspect.Type]]:
    infos = msgspec.structs.fields(cls)
    try:
        kind = inspect.type_info(cls)
        msgspec.json.Decoder(cls)
    except TypeError as problem:
        raise DeclarationError(
            f"{cls.__name__}: {problem}\n  expected types that JSON can carry: see msgspec's supported types"
        ) from problem
    assert isinstance(kind, inspect.StructType), "a subclass of Event or Label is a struct"
    return [(info, field.type) for info, field in zip(infos, kind.fields, strict=True)]


def _write_out_annotations(cls: type) -> None:
    """Replace annotations that are text by what they mean where the class was written.

    Under `from __future__ import annotations` a class inside a function may name types that its module does
    not know; the function that declares the pipeline does, and it is still running.
    """
    names: dict[str, Any] = {}
    frame = sys._getframe(1)
    frames = [frame]
    while frame.f_back is not None:
        frame = frame.f_back
        frames.append(frame)
    for frame in reversed(frames):  # the nearest frame wins
        names |= frame.f_globals | frame.f_locals
    for base in cls.__mro__:
        hints = get_annotations(base)
        if not any(isinstance(hint, str) for hint in hints.values()):
            continue
        known = names | vars(sys.modules[base.__module__])
        try:
            base.__annotations__ = {name: eval(hint, known) if isinstance(hint, str) else hint for name, hint in hints.items()}
        except NameError as problem:
            raise _unknown_name(cls, problem) from problem


def _unknown_name(cls: type, problem: NameError) -> DeclarationError:
    return DeclarationError(
        f"{cls.__name__}: {problem.name!r}, used in its fields, means nothing in module {cls.__module__!r}\n"
        f"  import or define {problem.name!r} at the top of the file, not inside a function"
    )


def _field(cls: type, info: Any, kind: inspect.Type) -> Field:
    extras = info.type.__metadata__ if get_origin(info.type) is Annotated else ()
    roles = [extra for extra in extras if isinstance(extra, Role)]
    if len(roles) > 1:
        both = " and ".join(role.value for role in roles)
        raise DeclarationError(
            f"{cls.__name__}.{info.name} is {both}: a field has one role\n  declare two fields, one for each role"
        )
    hidden = None if roles else _hidden_role(info.type)
    if hidden is not None:
        raise DeclarationError(
            f"{cls.__name__}.{info.name}: {hidden.value} stands inside a larger type\n"
            f"  {_must_be_there(hidden)}\n"
            f"  type: {info.name}: {EXAMPLE[hidden].split(': ')[1]}"
        )
    default = ""
    if info.default is not msgspec.NODEFAULT:
        default = repr(info.default)
    elif info.default_factory is not msgspec.NODEFAULT:
        default = f"{getattr(info.default_factory, '__name__', 'made')}()"
    return Field(
        name=info.name,
        wire=info.encode_name,
        type=get_args(info.type)[0] if get_origin(info.type) is Annotated else info.type,
        kind=plain(kind),
        role=roles[0] if roles else None,
        unit=next((extra for extra in extras if isinstance(extra, Unit)), None),
        required=not default,
        default=default,
    )


def _hidden_role(hint: Any) -> Role | None:
    for arg in get_args(hint):
        if isinstance(arg, Role):
            return arg
        found = _hidden_role(arg)
        if found is not None:
            return found
    return None


def _must_be_there(role: Role) -> str:
    return f"each record has its {role.value}: it cannot be None, optional or a part of something"


def _check_supported(cls: type, name: str, kind: inspect.Type, above: tuple[type, ...]) -> None:
    kind = plain(kind)
    if isinstance(kind, UNSUPPORTED):
        what = kind.cls.__name__ if isinstance(kind, inspect.CustomType) else type(kind).__name__
        raise DeclarationError(
            f"{cls.__name__}.{name}: JSON cannot carry a {what}\n"
            f"  expected a number, text, bool, datetime, list, dict[str, ...] or msgspec.Struct of such\n"
            f"  for named numbers, type: {name}: dict[str, float]"
        )
    owner = getattr(kind, "cls", None)
    if owner in above:
        return
    above = (*above, owner) if owner is not None else above
    for part in ("types", "item_types"):
        for inner in getattr(kind, part, ()):
            _check_supported(cls, name, inner, above)
    for part in ("item_type", "key_type", "value_type"):
        if hasattr(kind, part):
            _check_supported(cls, name, getattr(kind, part), above)
    for inner in getattr(kind, "fields", ()):
        _check_supported(cls, f"{name}.{inner.name}", inner.type, above)


def _check_role(cls: type, field: Field) -> None:
    if field.role is None:
        return
    where, shown = f"{cls.__name__}.{field.name}", show_type(field.type)
    if not field.required and field.role is not Role.KEY:
        raise DeclarationError(
            f"{where}: {field.role.value} has the default {field.default}\n"
            f"  {_must_be_there(field.role)}, and two records must not share one by default\n"
            f"  type: {field.name}: {EXAMPLE[field.role].split(': ')[1]}"
        )
    kinds = field.kind.types if isinstance(field.kind, inspect.UnionType) else (field.kind,)
    if field.role in (Role.ID, Role.KEY):
        fits = all(isinstance(kind, inspect.StrType | inspect.IntType) for kind in kinds)
        expected, line = "text or a whole number", f"{field.name}: {field.role.value}"
    elif field.role is Role.TIME and field.unit is not None:
        fits, expected, line = is_number(field.kind), "a number", f"{field.name}: EpochSeconds"
    elif field.role is Role.TIME:
        fits = isinstance(field.kind, inspect.DateTimeType)
        expected = "a datetime; a number needs its unit, as EpochSeconds, EpochMillis or EpochMicros have it"
        line = f"{field.name}: {'EpochSeconds' if is_number(field.kind) else 'Time'}"
    else:
        fits = all(isinstance(kind, TRUTHS) for kind in kinds)
        expected, line = "bool, str or int for classes, float for a number", f"{field.name}: Truth[bool]"
    if not fits:
        raise DeclarationError(f"{where}: {field.role.value} cannot be {shown}\n  expected {expected}\n  type: {line}")


def _check_roles(cls: type, fields: tuple[Field, ...]) -> None:
    is_label = issubclass(cls, Label)
    for role in Role:
        named = [field.name for field in fields if field.role is role]
        needed = role in (Role.ID, Role.TIME) or (role is Role.TRUTH and is_label)
        if role is Role.TRUTH and named and not is_label:
            raise DeclarationError(
                f"{cls.__name__}.{named[0]} is the Truth, but {cls.__name__} is an Event\n"
                f"  the truth is known later than the event: declare it in a label\n"
                f"  type: class {cls.__name__}Outcome(Label): id: Id; at: Time; {named[0]}: Truth[...]"
            )
        if needed and not named:
            raise DeclarationError(
                f"{cls.__name__} has no {role.value}\n  expected exactly one field with that role\n  type: {EXAMPLE[role]}"
            )
        if len(named) > 1:
            raise DeclarationError(
                f"{cls.__name__} has {len(named)} fields that are its {role.value}: {', '.join(named)}\n"
                f"  expected one\n"
                f"  keep one of them and give the others a plain type, as in: {named[1]}: str"
            )
