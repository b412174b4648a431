"""What decide is made of: verdicts that may be looked at any time, and policies as small declared values.

Pairs of answers go into a `Contest` in event order (`InOrder` sees to that); its `Verdict` is better, worse or
inconclusive. A policy looks at `Now` and may ask for an `Action`; it is pure and without memory. None knows an engine, a
clock or a store.
"""

from eddyline.policies.action import Action, Now, Trial
from eddyline.policies.contest import Contest
from eddyline.policies.detector import ErrorDetector
from eddyline.policies.freeze_learning import FreezeLearning
from eddyline.policies.health import Health, Pulse
from eddyline.policies.losses import Answer, Loss, absolute, brier, log_loss, loss_of, own, pinball, squared, zero_one
from eddyline.policies.notify import Notify
from eddyline.policies.order import InOrder
from eddyline.policies.policy import Policy
from eddyline.policies.promote import Promote
from eddyline.policies.quarantine import Quarantine
from eddyline.policies.retrain import Retrain
from eddyline.policies.roll_back import RollBack
from eddyline.policies.spending import ELond
from eddyline.policies.split import SplitContest
from eddyline.policies.verdict import Verdict, recomputed

__all__ = [
    "Action",
    "Answer",
    "Contest",
    "ELond",
    "ErrorDetector",
    "FreezeLearning",
    "Health",
    "InOrder",
    "Loss",
    "Notify",
    "Now",
    "Policy",
    "Promote",
    "Pulse",
    "Quarantine",
    "Retrain",
    "RollBack",
    "SplitContest",
    "Trial",
    "Verdict",
    "absolute",
    "brier",
    "log_loss",
    "loss_of",
    "own",
    "pinball",
    "recomputed",
    "squared",
    "zero_one",
]
