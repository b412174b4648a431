"""Golden answers as a file: JSON lines, read with the line named where one cannot be read. Judges nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec

from eddyline.policies.gates import Expected
from eddyline.records.errors import DeclarationError

_decode = msgspec.json.Decoder(Expected).decode


def read_golden(path: Path) -> list[Expected]:
    """The golden answers of a file, in order; empty lines are skipped.

    Raises DeclarationError when there is no such file, or with the line that is none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "golden.jsonl"
    >>> _ = path.write_text('{"features": {"amount": 12.5}, "value": true}\\n')
    >>> read_golden(path)
    [Expected(features={'amount': 12.5}, value=True, scores=None, within=None)]
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DeclarationError(
            f"golden answers: {path} cannot be read ({error.strerror})\ngive its path from the folder of the file that names it"
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = _decode(line)
        except msgspec.MsgspecError as error:
            raise DeclarationError(
                f"golden answers: {path.name}, line {number}: {error}\n"
                'write {"features": {"amount": 12.5}, "value": true}, one a line'
            ) from error
        if one.value is None and not one.scores:
            raise DeclarationError(
                f'golden answers: {path.name}, line {number} expects nothing\nwrite "value" or "scores" beside "features"'
            )
        found.append(one)
    return found
