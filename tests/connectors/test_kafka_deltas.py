"""Versions told as what changed: when they are, what a reader gets, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_128

import msgspec
import pytest

from eddyline.connectors.kafka import wire
from eddyline.connectors.kafka.deltas import LARGEST, WORTH, Chain, Reader, links
from eddyline.connectors.kafka.wire import Base
from eddyline.records import ModelVersion
from eddyline.records.errors import SourceError


def random(seed: str, size: int = 2 * WORTH) -> bytes:
    return shake_128(seed.encode()).digest(size)


def version(position: int) -> ModelVersion:
    return ModelVersion("m", position, f"digest-{position}", "r", None, "f")


def changed(state: bytes, position: int) -> bytes:
    return state[: position * 10] + b"changed" + state[position * 10 :]


def told(chain: Chain, states: list[bytes]) -> dict[int, bytes]:
    return {position: chain.told(version(position), state) for position, state in enumerate(states)}


def bases(messages: dict[int, bytes]) -> list[int | None]:
    return [wire.peek_version(raw).base for raw in messages.values()]


STATES = [changed(random("weights"), position) for position in range(9)]


def test_a_chain_is_whole_every_so_many_versions() -> None:
    assert bases(told(Chain(whole_every=4), STATES)) == [None, 0, 1, 2, None, 4, 5, 6, None]
    assert bases(told(Chain(whole_every=1), STATES)) == [None] * 9


def test_a_patch_is_a_small_part_of_the_whole() -> None:
    messages = told(Chain(), STATES)
    assert len(messages[5]) < len(messages[0]) / 20


@pytest.mark.parametrize("order", [range(9), range(8, -1, -1), [7, 0, 8, 8, 2]])
def test_versions_are_read_in_any_order_to_the_byte(order: Sequence[int]) -> None:
    messages, reader = told(Chain(whole_every=4), STATES), Reader()
    for position in order:
        assert reader.version(messages[position], lambda line, n: [messages[n]]) == (version(position), STATES[position])


def test_where_patches_save_nothing_versions_are_whole() -> None:
    messages = told(Chain(whole_every=3), [random(f"another {n}") for n in range(5)])
    assert bases(messages) == [None] * 5


def test_after_a_patch_that_saved_nothing_one_is_tried_in_the_next_round() -> None:
    states = [random("a"), random("b"), changed(random("b"), 1), changed(random("b"), 2), changed(random("b"), 3)]
    assert bases(told(Chain(whole_every=3), states)) == [None, None, None, None, 3]


def test_small_states_and_very_large_ones_are_whole() -> None:
    small = [changed(random("few", WORTH - 100), position) for position in range(3)]
    assert bases(told(Chain(), small)) == [None] * 3
    large = bytes(LARGEST // 2 + 1)
    assert bases(told(Chain(), [large, large])) == [None] * 2


def test_whoever_starts_anew_starts_whole() -> None:
    first, again = Chain(), Chain()
    first.told(version(0), STATES[0])
    assert wire.peek_version(again.told(version(1), STATES[1])).whole


def test_a_version_is_whole_again_for_who_asks_for_it_alone() -> None:
    messages = told(Chain(), STATES)
    whole = Reader().whole(messages[6], lambda line, n: [messages[n]])
    assert wire.peek_version(whole).whole
    assert wire.decode_version(whole) == (version(6), STATES[6])


def test_a_base_that_was_sent_again_with_other_bytes_is_told_apart() -> None:
    messages = told(Chain(), STATES)
    other = wire.encode_version(version(1), random("the same model, pickled otherwise"))
    stored = {**{n: [raw] for n, raw in messages.items()}, 1: [other, messages[1]]}
    assert Reader().version(messages[4], lambda line, n: stored[n]) == (version(4), STATES[4])
    with pytest.raises(SourceError, match=r"m@2 is told as what changed since m@1, which is not there"):
        links(messages[4], lambda line, n: [other] if n == 1 else stored[n])


def test_a_patch_on_another_base_is_refused_and_never_read() -> None:
    raw = told(Chain(), STATES)[3]
    with pytest.raises(
        SourceError, match="m@3 is told as what changed since m@2, and what is here by that name has other bytes"
    ):
        wire.decode_version(raw, STATES[1])
    with pytest.raises(SourceError, match="and that is not here"):
        wire.decode_version(raw)


def test_a_message_that_was_changed_is_refused() -> None:
    wires = msgspec.json.Decoder(wire.VersionWire)
    raw = wire.encode_version(version(3), STATES[3], base=Base(2, STATES[2]))
    good = wires.decode(raw)
    other = wire.encode_version(version(3), STATES[4], base=Base(2, STATES[2]))
    swapped = msgspec.json.encode(msgspec.structs.replace(good, patch=wires.decode(other).patch, size=len(STATES[4])))
    with pytest.raises(SourceError, match="the state of m@3 is not the one that was written"):
        wire.decode_version(swapped, STATES[2])
    assert good.patch is not None
    cut = msgspec.json.encode(msgspec.structs.replace(good, patch=good.patch[:-9]))
    with pytest.raises(SourceError, match="m@3 is told as what changed since m@2, and that cannot be read"):
        wire.decode_version(cut, STATES[2])
    whole = msgspec.structs.replace(wires.decode(wire.encode_version(version(3), STATES[3])), sum="0" * 32)
    with pytest.raises(SourceError, match="the state of m@3 is not the one that was written"):
        wire.decode_version(msgspec.json.encode(whole))


def test_a_format_of_tomorrow_is_refused_by_name() -> None:
    raw = msgspec.json.decode(wire.encode_version(version(3), STATES[3]))
    with pytest.raises(SourceError, match="m@3 in format 3, and this Eddyline reads formats up to 2"):
        wire.decode_version(msgspec.json.encode(raw | {"format": 3}))


def test_what_was_written_before_there_were_patches_is_read() -> None:
    raw = msgspec.json.decode(wire.encode_version(version(3), STATES[3]))
    del raw["sum"]
    assert wire.decode_version(msgspec.json.encode(raw)) == (version(3), STATES[3])
    assert "format" not in raw
