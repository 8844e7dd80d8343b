"""Models in the ecosystem's formats: LLaMA checkpoints written and read, SmolLM2 read."""

from course_lib.hub.checkpoint import load_pretrained, save_pretrained
from course_lib.hub.shipped import load_course_model
from course_lib.hub.smollm2 import load_smollm2

__all__ = ["load_course_model", "load_pretrained", "load_smollm2", "save_pretrained"]
