"""The canonical form of a model's state, and its digest. Keeps the laws *rebuild* and *stop*.

Pickle bytes are not an identity: equal models pickle differently, because pickle remembers which equal
strings were one object and writes sets in hash order. Here an object graph is written by what it holds:
immutables by value, floats by their bits, sets and dict entries in the order of their encoded members and
keys, shared and cyclic references by the order of the first visit, classes and functions by their qualified
names. It knows no library but numpy's arrays; every other object speaks through `__reduce_ex__`, as it does
to pickle.
"""

from __future__ import annotations

import collections
import copyreg
import enum
import functools
import hashlib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np

from eddyline.models.attributes import NEW, Attributes

Derived = Mapping[type, frozenset[str]]
"""Attributes by class that follow from the others (caches), and are therefore no state."""

_pack: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_ATOMS = frozenset({float, int, str, bool, bytes, type(None)})
_SORTABLE = ({str}, {int}, {bytes})
_OFTEN_ALIKE = ({str}, {bool})
_FEW = 64
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)
_VALUES = (np.generic, enum.Enum, *_NAMED)
_FLUSH = 4096
_Order = tuple[Callable[[Mapping[Any, Any]], Sequence[Any]], bytes]
"""How objects of a class with certain attributes are written: what picks their values, and everything before those."""
_MARK = b"\xc1"
"""Starts everything that is no plain value: the one byte that never starts a MessagePack value."""


def digest(obj: object, derived: Derived | None = None) -> str:
    """The identity of an object graph: blake2b of its canonical form, 16 bytes as 32 hex characters.

    Equal states have equal digests in every process, under every `PYTHONHASHSEED` and after any number of
    saves and restores. `1`, `1.0` and `True` differ, so do `0.0` and `-0.0`. The order of a dict's keys does
    not count, unless it is an `OrderedDict`. A flat dict of half a million weights costs about half a second;
    objects about 3 µs each.

    Raises TypeError where the graph holds something that has no state to write down (a lock, a socket, a
    generator).

    >>> digest({"a": 1.0, "b": 2.0}) == digest({"b": 2.0, "a": 1.0})
    True
    >>> digest([0.0]) == digest([-0.0]), digest([1]) == digest([True])
    (False, False)
    >>> len(digest(None))
    32
    """
    return _Writer(derived or {}).digest(obj)


class _Writer:
    """Walks one object graph with its own stack, so that depth costs memory and never a RecursionError."""

    def __init__(self, derived: Derived) -> None:
        self._derived = derived
        self._hash = hashlib.blake2b(digest_size=16)
        self._parts: list[bytes] = []
        self._stack: list[Any] = []
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # a freed temporary's id could be given to another object
        self._attributes_of = Attributes()
        self._keys: dict[tuple[Any, ...], _Order | None] = {}
        self._orders: dict[tuple[type, tuple[Any, ...]], _Order | None] = {}
        self._write: dict[type, Callable[[Any], None]] = {
            list: self._list,
            dict: self._dict,
            set: self._set,
            bytearray: self._bytearray,
            collections.deque: self._deque,
            collections.OrderedDict: self._ordered,
            collections.defaultdict: self._defaultdict,
            collections.Counter: self._counter,
        }
        self._by_value: dict[type, Callable[[Any], None]] = {
            tuple: self._tuple,
            frozenset: self._set,
            type: self._named,
            types.FunctionType: self._named,
            types.BuiltinFunctionType: self._named,
            functools.partial: self._partial,
            types.MethodType: self._method,
            types.CodeType: self._code,
            _Entries: self._attributes,
            _Values: self._values,
        }

    def digest(self, root: object) -> str:
        stack, seen, parts, values, write = self._stack, self._seen, self._parts, self._by_value, self._write
        stack.append(root)
        while stack:
            obj = stack.pop()
            kind = type(obj)
            if kind in _ATOMS:
                parts.append(_atom(obj))
                continue
            by_value = values.get(kind)
            if by_value is not None:
                by_value(obj)
                continue
            if isinstance(obj, _VALUES):
                self._value(obj)
                continue
            number = seen.get(id(obj))
            if number is not None:
                parts.append(_MARK + b"r" + _pack(number))
                continue
            seen[id(obj)] = len(seen)
            self._alive.append(obj)
            write.get(kind, self._object)(obj)
            if len(parts) > _FLUSH:
                self._flush()
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        self._hash.update(b"".join(self._parts))
        self._parts.clear()

    def _sequence(self, tag: bytes, items: Sequence[Any]) -> None:
        """All plain: one MessagePack array at C speed. Otherwise the length, and the items follow from the
        stack.
        """
        if _ATOMS.issuperset(map(type, items)):
            flat = _flat(items)
            if flat is not None:
                self._parts.append(_MARK + tag + flat)
                return
        self._parts.append(_MARK + tag.upper() + _pack(len(items)))
        self._stack.extend(reversed(items))

    def _list(self, obj: list[Any]) -> None:
        self._sequence(b"l", obj)

    def _deque(self, obj: collections.deque[Any]) -> None:
        self._parts.append(_MARK + b"q" + _pack(obj.maxlen))
        self._sequence(b"l", list(obj))

    def _bytearray(self, obj: bytearray) -> None:
        self._parts.append(_MARK + b"y" + _pack(bytes(obj)))

    def _dict(self, obj: dict[Any, Any]) -> None:
        self._parts.append(_MARK + b"d")
        self._entries(obj)

    def _counter(self, obj: dict[Any, Any]) -> None:
        self._parts.append(_MARK + b"c")
        self._entries(obj)

    def _defaultdict(self, obj: collections.defaultdict[Any, Any]) -> None:
        self._parts.append(_MARK + b"f")
        self._stack.append(_Entries(obj))
        self._stack.append(obj.default_factory)

    def _ordered(self, obj: collections.OrderedDict[Any, Any]) -> None:
        self._parts.append(_MARK + b"o")
        self._sequence(b"l", list(obj))
        self._stack.append(list(obj.values()))

    def _entries(self, obj: Mapping[Any, Any]) -> None:
        """Keys in their canonical order first, then the values in the same order."""
        kinds = set(map(type, obj))
        keys: list[Any]
        if kinds in _OFTEN_ALIKE and len(obj) <= _FEW:
            known = self._of_keys(tuple(obj))
            if known is not None:
                pick, head = known
                self._parts.append(head)
                self._sequence(b"v", pick(obj))
                return
        if kinds in _SORTABLE:
            keys = sorted(obj)
        else:
            pairs = [(self._plain(key), index, key) for index, key in enumerate(obj)]
            if any(code is None for code, _, _ in pairs):
                keys = list(obj)  # objects as keys have no order but the dict's own
            else:
                pairs.sort(key=lambda pair: pair[0] or b"")
                keys = [key for _, _, key in pairs]
        values = list(map(obj.__getitem__, keys))
        self._stack.append(_Values(values))
        self._sequence(b"k", keys)

    def _of_keys(self, keys: tuple[Any, ...]) -> _Order | None:
        """How to write a dict with these keys, all text or all bool: a model has few sets of them, and many dicts of each."""
        if keys not in self._keys:
            ordered = sorted(keys)
            flat = _flat(ordered)
            self._keys[keys] = None if flat is None else (_picked(ordered), _MARK + b"k" + flat)
        return self._keys[keys]

    def _set(self, obj: set[Any] | frozenset[Any]) -> None:
        members = sorted(
            _MARK + b"i" + digest(member, self._derived).encode() if (code := self._plain(member)) is None else code
            for member in obj
        )
        self._parts.append(_MARK + (b"S" if type(obj) is set else b"Z") + _pack(members))

    def _plain(self, key: Any) -> bytes | None:
        """The bytes of an immutable value, or None where it is an object."""
        kind = type(key)
        if kind in _ATOMS:
            return _atom(key)
        if kind is tuple:
            codes = [self._plain(part) for part in key]
            if None in codes:
                return None
            return _MARK + b"t" + _pack(codes)
        if kind is frozenset:
            codes = [self._plain(part) for part in key]
            if None in codes:
                return None
            return _MARK + b"z" + _pack(sorted(code for code in codes if code is not None))
        if isinstance(key, _VALUES):
            return _MARK + b"n" + digest(key).encode()
        return None

    def _named(self, obj: Any) -> None:
        name = _name_of(obj)
        self._parts.append(_name(obj))
        owner = getattr(obj, "__self__", None)
        if isinstance(obj, types.BuiltinFunctionType) and not isinstance(owner, (types.ModuleType, type(None))):
            self._stack.append(owner)
        if "<" in name and isinstance(obj, types.FunctionType):
            # A lambda or an inner function shares its name with others: what it does belongs to it.
            cells = tuple(cell.cell_contents for cell in obj.__closure__ or ())
            self._stack.append((obj.__code__, obj.__defaults__, cells))

    def _code(self, obj: types.CodeType) -> None:
        self._parts.append(_MARK + b"x")
        self._stack.append((obj.co_code, obj.co_names, obj.co_varnames, obj.co_consts))

    def _method(self, obj: types.MethodType) -> None:
        self._parts.append(_MARK + b"m" + _pack(obj.__func__.__qualname__))
        self._stack.append(obj.__self__)

    def _partial(self, obj: functools.partial[Any]) -> None:
        self._parts.append(_MARK + b"p")
        self._stack.append((obj.func, obj.args, obj.keywords))

    def _tuple(self, obj: tuple[Any, ...]) -> None:
        self._sequence(b"t", obj)

    def _attributes(self, entries: _Entries) -> None:
        self._entries(entries.of)

    def _values(self, values: _Values) -> None:
        self._sequence(b"v", values.of)

    def _value(self, obj: Any) -> None:
        if isinstance(obj, np.generic):
            self._parts.append(_MARK + b"g" + _pack([obj.dtype.str, obj.tobytes()]))
        elif isinstance(obj, enum.Enum):
            self._parts.append(_MARK + b"e" + _pack([type(obj).__qualname__, obj.name]))
        else:
            self._named(obj)

    def _array(self, obj: np.ndarray[Any, Any]) -> None:
        turned = obj.flags.f_contiguous and not obj.flags.c_contiguous  # BLAS adds up in another order
        self._parts.append(_MARK + b"a" + _pack([str(obj.dtype.descr), list(obj.shape), turned]))
        if obj.dtype.hasobject:
            self._stack.append(obj.ravel().tolist())
        else:
            self._parts.append(_pack(obj.tobytes()))

    def _object(self, obj: Any) -> None:
        if isinstance(obj, np.ndarray):
            self._array(obj)
        else:
            self._reduced(obj)

    def _reduced(self, obj: Any) -> None:
        """Anything else, as it describes itself to pickle: how to make it, its state, its items."""
        attributes = self._attributes_of(obj)
        if attributes is not None and self._plainly(type(obj), attributes):
            return
        reducer = copyreg.dispatch_table.get(type(obj))
        reduced = reducer(obj) if reducer is not None else obj.__reduce_ex__(4)
        if isinstance(reduced, str):
            self._parts.append(_MARK + b"n" + _pack(f"{type(obj).__module__}.{reduced}"))
            return
        make, args, state, items, entries = (*reduced, None, None, None)[:5]
        self._parts.append(_MARK + b"O")
        if entries is not None:
            self._stack.append(_Entries(dict(entries)))
        if items is not None:
            self._stack.append(list(items))
        self._stack.append(self._state_of(obj, state))
        self._stack.append(args)
        self._stack.append(make)

    def _plainly(self, kind: type, attributes: Mapping[str, Any]) -> bool:
        """Writes an object that is its class and its attributes, as nearly all are; whether that could be done. How is worked
        out once for a class with these attributes.
        """
        names = tuple(attributes)
        if (kind, names) not in self._orders:
            kept = sorted(set(names).difference(self._derived.get(kind, ()))) if set(map(type, names)) == {str} else None
            keys = None if kept is None else _flat(kept)
            head = _MARK + b"O" + _name(NEW) + _MARK + b"T" + _pack(1) + _name(kind) + _MARK + b"k"
            self._orders[kind, names] = None if kept is None or keys is None else (_picked(kept), head + keys)
        order = self._orders[kind, names]
        if order is not None:
            self._parts.append(order[1])
            self._sequence(b"v", order[0](attributes))
        return order is not None

    def _state_of(self, obj: Any, state: Any) -> Any:
        derived = self._derived.get(type(obj))
        if derived and type(state) is dict:
            state = {name: value for name, value in state.items() if name not in derived}
        return _Entries(state) if type(state) is dict else state


class _Entries:
    """A dict on the stack to be written without a number of its own: an object's attributes."""

    __slots__ = ("of",)

    def __init__(self, of: Mapping[Any, Any]) -> None:
        self.of = of


class _Values:
    """The values of a dict on the stack, in the order of its keys."""

    __slots__ = ("of",)

    def __init__(self, of: list[Any]) -> None:
        self.of = of


def _name_of(obj: Any) -> str:
    return f"{getattr(obj, '__module__', None)}.{getattr(obj, '__qualname__', obj.__name__)}"


def _name(obj: Any) -> bytes:
    return _MARK + b"n" + _pack(_name_of(obj))


def _picked(names: Sequence[Any]) -> Callable[[Mapping[Any, Any]], Sequence[Any]]:
    """What takes the values of these keys out of a dict, in their order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda of: [of[name] for name in names]


def _flat(items: Iterable[Any]) -> bytes | None:
    """A sequence of plain values as one MessagePack array, or None where one of them does not fit into it."""
    try:
        return _pack(items)
    except (OverflowError, UnicodeEncodeError):
        return None


def _atom(obj: Any) -> bytes:
    """One plain value. Integers beyond 64 bits and text with lone surrogates have their own marks."""
    try:
        return _pack(obj)
    except OverflowError:
        return _MARK + b"b" + _pack(hex(obj))
    except UnicodeEncodeError:
        return _MARK + b"u" + _pack(obj.encode("utf-8", "surrogatepass"))
