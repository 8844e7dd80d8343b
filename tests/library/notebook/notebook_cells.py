"""Cells, notebooks and a small chapter to test with."""

import copy

STUB = "def causal_mask(size):\n    raise NotImplementedError"
ANSWER = "def causal_mask(size):\n    return torch.ones(size, size).tril()"


def code(cell_id, source, **more):
    return {
        "cell_type": "code",
        "id": cell_id,
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    } | more


def text(cell_id, source, **more):
    return {"cell_type": "markdown", "id": cell_id, "source": source, "metadata": {}} | more


def notebook(*cells):
    return {
        "cells": [copy.deepcopy(cell) for cell in cells],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def sources(merged):
    return [cell["source"] for cell in merged["cells"]]


def ids(merged):
    return [cell["id"] for cell in merged["cells"]]


HEAD = text("head", "# Attention")
TASK = text("task", "## The mask\nWrite it.")
STUB_CELL = code("stub", STUB)
CHECK = code("check", "causal_mask = check(causal_mask)")
BASE = notebook(HEAD, TASK, STUB_CELL, CHECK)
