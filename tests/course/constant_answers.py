"""Answers that look at nothing, in a module of their own: ranks import it, and nothing else."""


def returns_none(*args, **kwargs):
    return None


def returns_zero(*args, **kwargs):
    return 0


def returns_its_input(*args, **kwargs):
    return args[0] if args else next(iter(kwargs.values()))


def returns_an_empty_list(*args, **kwargs):
    return []


CONSTANT_ANSWERS = [returns_none, returns_zero, returns_its_input, returns_an_empty_list]
