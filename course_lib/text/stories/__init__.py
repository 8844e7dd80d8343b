"""The story world: one event told in English and in Russian, with every fact of it known."""

from course_lib.text.stories.corpus import Story, load_stories, make_story
from course_lib.text.stories.reading import read_trace, story_mistakes
from course_lib.text.stories.russian_words import russian_morphs
from course_lib.text.stories.world import Trace, make_trace, trace_entropy, trace_log_probability

__all__ = [
    "Story",
    "Trace",
    "load_stories",
    "make_story",
    "make_trace",
    "read_trace",
    "russian_morphs",
    "story_mistakes",
    "trace_entropy",
    "trace_log_probability",
]
