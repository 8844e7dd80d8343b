"""Training: losses, optimizers, schedules, and the loop that puts them together."""

from course_lib.training.accounting import matmul_peak, training_flops
from course_lib.training.loop import mean_loss, next_token_loss, train
from course_lib.training.muon import muon
from course_lib.training.optimizers import adamw, clip_gradients, parameter_groups
from course_lib.training.records import Record
from course_lib.training.schedules import warmup_cosine, warmup_stable_decay

__all__ = [
    "Record",
    "adamw",
    "clip_gradients",
    "matmul_peak",
    "mean_loss",
    "muon",
    "next_token_loss",
    "parameter_groups",
    "train",
    "training_flops",
    "warmup_cosine",
    "warmup_stable_decay",
]
