"""One small model per key, as one model: `per="key"` makes it of the declared model.

The key travels among the features under a name that no user's feature may have (`KEY_FEATURE`), so whoever answers again,
learns again or audits needs nothing but the features as served. Keeps *still* (a key that was never learned is answered by
the fresh model, and nothing is noted down), *finite* and *rebuild*. It knows no event, no stage and no store, and of the
models it holds only the contract.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from eddyline.ports import Model
from eddyline.records import KEY_FEATURE, Features, Output, Task
from eddyline.records.errors import StoreCorrupt

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[bytes, list[tuple[str, bytes]]]).decode

MOST_KEYS = 1_000_000
"""So many keys may have models of their own; on Flink, in each shard."""


class PerKey:
    """A model for each key, all made from one recipe; each learns from the examples of its own key alone.

    Choose it for many small things that are alike in kind and not in numbers: one machine, one shop, one patient a key. It
    learns nothing from one key for another, so a key with few labels is better off with one model for all. What it costs:
    each key that was learned holds a model of its own, and its bytes beside it (see docs/per-key.md for what that was
    measured to be), and none is thrown away, so keys that are invented without end (sessions, requests) are no keys for
    this. There is room for `most` of them: the truths of a further key are refused, and the fresh model answers it. `save`
    writes only those again that learned since; a version holds all of them.

    >>> from river import dummy, stats
    >>> from eddyline.models import adapt
    >>> model = PerKey(adapt(dummy.StatisticRegressor(stats.Mean())))
    >>> model.learn({"@key": "oven-1", "hour": 3.0}, 180.0)
    >>> model.predict({"@key": "oven-1", "hour": 4.0}).value, model.predict({"@key": "oven-2", "hour": 4.0}).value
    (180.0, 0.0)
    >>> model.learned(), model.restored(model.save()).digest() == model.digest()
    (['oven-1'], True)
    """

    def __init__(self, recipe: Model, *, most: int = MOST_KEYS) -> None:
        self._fresh, self._most = recipe, most
        self._fresh_state, self._fresh_digest = recipe.save(), recipe.digest()
        self._models: dict[str, Model] = {}
        self._states: dict[str, bytes] = {}  # of every key that did not learn since it was last written
        self._digests: dict[str, str] = {}  # the same
        self._count = 0
        self._written: bytes | None = None

    @property
    def task(self) -> Task:
        """What each of them answers."""
        return self._fresh.task

    @property
    def binary(self) -> bool:
        """Whether each of them is a classifier that knows true and false alone."""
        return bool(getattr(self._fresh, "binary", False))

    @property
    def classes(self) -> list[Any] | None:
        """The classes that each of them was told beforehand."""
        return getattr(self._fresh, "classes", None)

    def learned(self) -> list[str]:
        """The keys that have a model of their own, sorted."""
        return sorted(self._models.keys() | self._states.keys())

    def of(self, key: str) -> Model:
        """The model of one key, for looking at; the fresh one where the key was never learned."""
        model = self._known(key)
        return self._fresh if model is None else model

    def predict(self, features: Features) -> Output:
        """Answers by the model of the key; by the fresh one where the key was never learned."""
        key, seen = _apart(features)
        model = self._known(key)
        return (self._fresh if model is None else model).predict(seen)

    def learn(self, features: Features, truth: Any) -> None:
        """Learns one example into the model of its key, and touches no other."""
        key, seen = _apart(features)
        model = self._known(key)
        if model is None:
            model = self._models[key] = self._another()
        self._states.pop(key, None)
        self._digests.pop(key, None)
        self._written = None
        model.learn(seen, truth)

    def sound(self, features: Features) -> bool:
        """Right after `learn(features, ...)`: whether the model of that key is."""
        key, seen = _apart(features)
        return self._models[key].sound(seen)

    def save(self) -> bytes:
        """The whole state: the fresh model, and each key's, sorted by key. Only those that learned since are written anew."""
        if self._written is None:
            states = self._states
            for key in self._models.keys() - states.keys():
                states[key] = self._models[key].save()
            self._written = _pack((self._fresh_state, sorted(states.items())))
        return self._written

    def restored(self, state: bytes) -> PerKey:
        """The models with this saved state; each is made when its key is first asked for.

        Raises StoreMismatch when another version of their library wrote them.
        """
        fresh, states = _read(state)
        other = object.__new__(PerKey)
        other._most = self._most
        # Whether these bytes can be read is told by the fresh model's: all were written by one library.
        other._fresh = self._fresh if fresh == self._fresh_state else self._fresh.restored(fresh)
        other._fresh_state, other._fresh_digest = fresh, self._fresh_digest
        if other._fresh is not self._fresh:
            other._fresh_digest = other._fresh.digest()
        other._models, other._states, other._digests = {}, dict(states), {}
        other._count = len(states)
        other._written = state
        return other

    def joined(self, others: Iterable[PerKey]) -> PerKey:
        """These keys' models and those of others of the same recipe, as one; no key may be in two of them."""
        states, digests = dict[str, bytes](), dict[str, str]()
        for one in (self, *others):
            one.save()
            one.digest()  # while its models are made: of the joined ones only the bytes are there
            assert states.keys().isdisjoint(one._states), "the model of a key is in one place"
            states |= one._states
            digests |= one._digests
        joined = self.restored(_pack((self._fresh_state, sorted(states.items()))))
        joined._digests = digests
        return joined

    def digest(self) -> str:
        """The identity of the state: the digests of all keys' models in the order of the keys, whoever learned first."""
        digests, parts = self._digests, [self._fresh_digest]
        for key in self.learned():
            if key not in digests:
                digests[key] = self.of(key).digest()
            parts += key, digests[key]
        return hashlib.blake2b(_pack(parts), digest_size=16).hexdigest()

    def recipe(self) -> dict[str, Any]:
        """How each key's model is made, and that there is one for each."""
        return {"per": "key", **self._fresh.recipe()}

    def _another(self) -> Model:
        """A fresh model for a key that learns for the first time."""
        if self._count >= self._most:
            raise ValueError(f"{self._most:,} keys have models of their own already, and there is no room for another")
        self._count += 1
        return self._fresh.restored(self._fresh_state)

    def _known(self, key: str) -> Model | None:
        """The model of a key that was learned; made from its bytes where it was not asked for yet."""
        model = self._models.get(key)
        if model is None and (state := self._states.get(key)) is not None:
            model = self._models[key] = self._fresh.restored(state)
        return model


def _apart(features: Features) -> tuple[str, Features]:
    """The key, and what the model of that key sees."""
    seen = features.copy()
    key = seen.pop(KEY_FEATURE, None)
    if type(key) is not str:
        raise ValueError(f"the features have no {KEY_FEATURE!r}, which says whose model it is; give it as text")
    return key, seen


def _read(state: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    try:
        return _unpack(state)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(f"model: these bytes are no models by key ({error})\nrebuild from the examples log") from error
