"""Patches: bytes as what changed since other bytes, by zstandard with those as its dictionary. No format of our own.

Refuses to know what the bytes are.
"""

from __future__ import annotations

import zstandard

_LEVEL = 6
_SMALLEST, _LARGEST = 17, 27
_FINEST = 24
"""The largest table of places, as a power of two: 64 MiB while a patch is made."""


def patch(base: bytes, new: bytes) -> bytes:
    """What makes `new` out of `base`.

    It costs about five times what compressing `new` costs, because every place of `base` is looked up. Worth it where most
    of `new` stands in `base`, in the same order.

    >>> base = bytes(range(256)) * 40
    >>> new = base[:5_000] + b"!" + base[5_000:]
    >>> len(patch(base, new)) < 60, patched(base, patch(base, new), len(new)) == new
    (True, True)
    """
    bits = (len(base) + len(new)).bit_length()
    places = max(_SMALLEST, min(_FINEST, bits - 2))  # with fewer, the earlier parts of the base are forgotten
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=max(_SMALLEST, min(_LARGEST, bits)), hash_log=places, chain_log=places, write_checksum=True
    )
    return zstandard.ZstdCompressor(dict_data=_dictionary(base), compression_params=parameters).compress(new)


def patched(base: bytes, raw: bytes, size: int) -> bytes:
    """What `patch` was given, of so many bytes. Raises `zstandard.ZstdError` where the base is another one."""
    made = zstandard.ZstdDecompressor(dict_data=_dictionary(base), max_window_size=1 << _LARGEST)
    return made.decompress(raw, max_output_size=size)


def _dictionary(base: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
