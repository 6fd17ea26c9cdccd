"""The progress log: what a run is about to do and what became of it, on disk before anyone acts on it.

Only re-exports. Users call it the progress log; code says journal.
"""

from bulkmsg.journal.files import Disk, RealDisk, kept_damaged, log_exists
from bulkmsg.journal.fold import Fold
from bulkmsg.journal.ledger import IllegalMove
from bulkmsg.journal.log import ProgressLog, demand_identity, left_open_elsewhere, read_fold, read_salvage
from bulkmsg.journal.records import FORMAT, LogIdentity, RunInfo

__all__ = [
    "FORMAT",
    "Disk",
    "Fold",
    "IllegalMove",
    "LogIdentity",
    "ProgressLog",
    "RealDisk",
    "RunInfo",
    "demand_identity",
    "kept_damaged",
    "left_open_elsewhere",
    "log_exists",
    "read_fold",
    "read_salvage",
]
