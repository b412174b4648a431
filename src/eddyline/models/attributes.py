"""The attributes of plain objects, read and given back without making their `__dict__`.

Since 3.11 a Python object keeps its attributes in a row of values, and makes a dict of them when somebody asks for
`__dict__`, as `pickle` does of each object that it writes, and of each that it reads. From then on every access to it is
slower: a forest that was saved once took a tenth more time for each event, for good. Knows no library and no model.
"""

from __future__ import annotations

import copyreg
import gc
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final

_Read = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]
_HOOKS: Final = (
    *("__getattr__", "__getattribute__", "__setattr__", "__slots__", "__getstate__", "__setstate__"),
    *("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__"),
)
"""With one of these a class may know better: what it calls an attribute, how it is saved."""
NEW: Final = copyreg.__newobj__  # type: ignore[attr-defined]
"""What `pickle` makes an object with that is its class and its attributes."""


class Attributes:
    """Reads the attributes of objects whose class says nothing of its own about them.

    Which attributes the objects of a class have is learned from the first one, by its dict. Of another object these are all
    there are when it has each of them, none can come from the class, and it refers to as many things besides its class.

    Of objects of the classes `besides` it says nothing.

    >>> class Leaf:
    ...     def __init__(self, depth, counts):
    ...         self.depth, self.counts = depth, counts
    >>> read = Attributes()
    >>> read(Leaf(1, {})), read(Leaf(2, {}))
    ({'depth': 1, 'counts': {}}, {'depth': 2, 'counts': {}})
    """

    def __init__(self, besides: Iterable[type] = ()) -> None:
        self._known: dict[type, _Read | None] = dict.fromkeys(besides)

    def __call__(self, obj: Any) -> dict[str, Any] | None:
        """Its attributes by name; None where it has to be asked in the ordinary way."""
        try:
            known = self._known[type(obj)]
        except KeyError:
            known = self._known[type(obj)] = _learned(obj)
        if known is None:
            return None
        names, read = known
        if len(gc.get_referents(obj)) == len(names) + 1:
            try:
                return dict(zip(names, read(obj)))  # noqa: B905 - one reads the other: they are as long
            except AttributeError:
                pass
        attributes = vars(obj)
        return attributes if attributes.keys() == set(names) else None


def give(obj: Any, attributes: dict[str, Any]) -> None:
    """Gives a new object its attributes, one by one. Saved bytes name this function: it stays here."""
    for name, value in attributes.items():
        setattr(obj, name, value)


def _learned(obj: Any) -> _Read | None:
    """How to read objects of this one's class; None where the class may know better, and where there is no use in it."""
    kind: Any = type(obj)
    *classes, top = kind.__mro__
    if top is not object or kind in copyreg.dispatch_table or any(one.__dict__.get(hook) for one in classes for hook in _HOOKS):
        return None
    attributes = getattr(obj, "__dict__", {})
    names = tuple(attributes)
    if len(names) < 2 or not all(type(name) is str and "." not in name for name in names):
        return None  # one alone could be mistaken for the dict
    if any(name in one.__dict__ for one in kind.__mro__ for name in names) or not _is_plain(obj, attributes):
        return None
    return names, attrgetter(*names)


def _is_plain(obj: Any, attributes: dict[str, Any]) -> bool:
    """Whether `pickle` would write nothing but its class and its attributes."""
    try:
        made, arguments, state, *more = obj.__reduce_ex__(4)
    except Exception:  # it says itself why it cannot be saved, when it is
        return False
    return made is NEW and arguments == (type(obj),) and state is attributes and more == [None, None]
