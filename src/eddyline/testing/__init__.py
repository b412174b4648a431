"""What a test of a pipeline needs: the loop without a disk, the engine with one, made-up streams, scenarios as tables.

Public: your own pipelines can be held to the same laws. `play` reads a scenario from an aligned table, `Journey` runs a
pipeline in memory, `Voyage` on a real store that may be stopped or may crash anywhere, `Stream` makes records that come
late, twice or out of order, and `Account` is everything a run says, for comparing two of them.
"""

from eddyline.testing.account import Account, account_of
from eddyline.testing.memory import Journey, MemoryLedger, run_in_memory
from eddyline.testing.stream import Stream
from eddyline.testing.tables import Case, Verdict, play
from eddyline.testing.voyage import Voyage

__all__ = [
    "Account",
    "Case",
    "Journey",
    "MemoryLedger",
    "Stream",
    "Verdict",
    "Voyage",
    "account_of",
    "play",
    "run_in_memory",
]
