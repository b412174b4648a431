"""Every exception a user can meet, in one tree.

    EddylineError
    ├── DeclarationError     a pipeline, a type or a stage was declared wrongly       exit 2
    ├── SourceError          a source cannot be opened or read at all                 exit 3
    ├── StoreError           the store cannot be used                                 exit 4
    │   ├── StoreLocked      another runner owns it
    │   ├── StoreMismatch    written by another pipeline, schema or library version
    │   └── StoreCorrupt     bytes on disk are not the bytes that were written
    ├── Rejected             one record cannot be accepted; the loop goes on          exit 5
    ├── NotFound             no such event, version or dead letter                    exit 6
    └── FlinkError           Flink is not there, or refused (engines.flink.rest)      exit 7

Beside it stands `StoreWarning`: what was asked for was done, and something else has to be made up for.

A message says what happened in the user's names, what was expected and what to type next. `exit_code` is what the
command line returns, so that a script can tell them apart.
"""

from __future__ import annotations


class EddylineError(Exception):
    """The root: catch this to catch everything Eddyline raises on purpose."""

    exit_code = 1


class DeclarationError(EddylineError):
    """Something in the pipeline file cannot work; raised while the file is being read."""

    exit_code = 2


class SourceError(EddylineError):
    """A source cannot be opened or read."""

    exit_code = 3


class StoreError(EddylineError):
    """The store cannot be used."""

    exit_code = 4


class StoreLocked(StoreError):  # noqa: N818 - a state, in the words of the message
    """Another runner owns this store; it names the process and the host."""


class StoreMismatch(StoreError):  # noqa: N818
    """The store was written by another pipeline, another schema version or another library version."""


class StoreCorrupt(StoreError):  # noqa: N818
    """Bytes in the store are not the bytes that were written."""


class Rejected(EddylineError):  # noqa: N818
    """One record was not accepted. It is in the dead letters under `reason`; the loop goes on.

    `reason` is one of the codes of `eddyline.records.Reason`.
    """

    exit_code = 5

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class NotFound(EddylineError):  # noqa: N818
    """No such event, version or dead letter."""

    exit_code = 6


class StoreWarning(UserWarning):
    """Something could not be kept beside what was committed; recovery makes up for it, and nothing is lost."""
