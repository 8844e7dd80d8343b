"""A wrong answer is recognised by what it returns, whatever it is called inside."""

import math

import torch

from course_lib.notebook.exercises import find_exercise
from course_lib.notebook.mistakes import name_mistakes
from course_lib.notebook.recording import Recorder, agree, freeze
from course_lib.notebook.running import run_checks


def named(answer: object, name: str = "softmax") -> list[str]:
    stem, exercise = find_exercise(name)
    return [each.name for each in name_mistakes(run_checks(answer, stem, exercise), stem, exercise)]


def test_naive_softmax_written_another_way_is_recognised():
    def by_powers(x, dim):
        return torch.exp2(x / math.log(2)) / torch.exp2(x / math.log(2)).sum(dim, True)

    assert named(by_powers) == ["softmax_without_maximum"]


def test_right_answer_and_nonsense_are_no_known_mistake():
    assert named(torch.softmax) == []
    assert named(lambda x, dim: x * 17) == []


def test_a_type_error_is_recognised_by_its_words():
    def minus_a_pair(x, dim):
        scores = x - torch.max(x, dim, keepdim=True)
        return scores.exp()

    assert named(minus_a_pair) == ["softmax_minus_a_pair"]
    assert named(lambda x, dim: x.exp() / len(dim)) == []


def test_a_mistake_is_named_beside_another_in_an_answer_that_changes_its_arguments():
    def clip_each(parameters, max_norm):
        gradients = [each.grad for each in parameters if each.grad is not None]
        norms = [torch.linalg.vector_norm(each, dtype=torch.float32) for each in gradients]
        norm = torch.linalg.vector_norm(torch.stack(norms))  # fails where there is no gradient
        for gradient, own in zip(gradients, norms, strict=True):
            gradient.mul_((max_norm / own).clamp(max=1.0).to(gradient.dtype))
        return norm

    assert named(clip_each, "clip_gradients") == ["clip_each_tensor"]
    assert named(lambda parameters, max_norm: torch.tensor(17.0), "clip_gradients") == []


def test_recorder_keeps_arguments_as_they_were_before_the_call():
    def change(x):
        x += 1
        return x

    recorder = Recorder(change)
    recorder(torch.zeros(3))
    assert recorder.calls[0].args[0].tolist() == [0, 0, 0]
    assert recorder.calls[0].outcome.value.tolist() == [1, 1, 1]


def test_replay_starts_generators_from_the_same_state():
    def draw(generator):
        return torch.rand(3, generator=generator)

    recorder = Recorder(draw)
    recorder(torch.Generator().manual_seed(7))
    call = recorder.calls[0]
    assert call.outcome.agrees(call.replay(draw))
    assert not call.outcome.agrees(call.replay(lambda generator: torch.rand(3)))


def test_agreement_is_exact_in_type_shape_and_dtype_and_close_in_value():
    ones = torch.ones(2, 3)
    assert agree(ones, ones + 1e-6)
    assert not agree(ones, ones + 1e-2)
    assert not agree(ones, ones.double())
    assert not agree(ones, torch.ones(3, 2))
    assert not agree([1, 2], (1, 2))
    assert not agree({"a": 1.0}, {"a": 1})
    assert agree({"a": [float("nan")]}, {"a": [float("nan")]})


def test_frozen_values_do_not_change_with_the_original():
    original = {"list": [torch.zeros(2)]}
    frozen = freeze(original)
    original["list"][0] += 1
    assert frozen["list"][0].tolist() == [0, 0]
