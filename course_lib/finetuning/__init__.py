"""Fine-tuning: teaching a trained model one task, all of its weights or a few numbers beside it."""

from course_lib.finetuning.completions import completion_batch
from course_lib.finetuning.prompt_tuning import PromptTuning, PTuning, tune_soft_prompt
from course_lib.finetuning.soft_prompts import PromptedModel, soft_prompt_logits

__all__ = [
    "PTuning",
    "PromptTuning",
    "PromptedModel",
    "completion_batch",
    "soft_prompt_logits",
    "tune_soft_prompt",
]
