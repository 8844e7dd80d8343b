"""Hypothesis has no time limit here: on a busy machine it would be a timing assertion."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
