"""A figure is shown with its description, closed, and readable on any background."""

import matplotlib
import matplotlib.pyplot as plt
import pytest

from course_lib.notebook.plots import HOUSE_STYLE, INK, OKABE_ITO, figure_html, png, show

matplotlib.use("agg")


def contrast(one, other):
    """WCAG 2's contrast of two colours, 1 to 21."""

    def luminance(color):
        channels = matplotlib.colors.to_rgb(color)
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_description_is_escaped_and_the_size_written_out():
    html = figure_html(plt.figure(figsize=(2, 1)), '5 < 6 & "so"')
    assert 'alt="5 &lt; 6 &amp; &quot;so&quot;" width="192" height="96"' in html


def test_a_shown_figure_is_closed_and_described_in_text(capsys):
    before = plt.get_fignums()
    show(plt.figure(), alt="nothing yet")
    assert plt.get_fignums() == before
    assert capsys.readouterr().out == "[figure: nothing yet]\n"


def test_a_figure_without_a_description_is_refused():
    with pytest.raises(ValueError, match="say in a sentence"):
        show(plt.figure(), alt=" ")


def test_the_same_figure_gives_the_same_bytes():
    figure, axes = plt.subplots()
    axes.plot([1, 3, 2])
    assert png(figure, dpi=50) == png(figure, dpi=50)


def test_ink_and_lines_stand_out_from_the_card():
    with matplotlib.rc_context(HOUSE_STYLE):
        card = matplotlib.rcParams["figure.facecolor"]
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == list(OKABE_ITO)
    assert contrast(INK, card) > 7
    assert all(contrast(color, card) > 2 for color in OKABE_ITO)
