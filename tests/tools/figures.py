"""What all figures owe to their readers."""

from matplotlib.figure import Figure


def assert_legends_are_clear(figure: Figure) -> None:
    """Every legend lies below its axes and their label, and inside the figure."""
    figure.draw_without_rendering()
    legends = 0
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend is None:
            continue
        legends += 1
        box = legend.get_window_extent()
        labels = [ax.xaxis.label, *ax.xaxis.get_ticklabels()]
        drawn = [text.get_window_extent() for text in labels if text.get_text()]
        lowest = min([ax.get_window_extent().y0, *(each.y0 for each in drawn)])
        assert box.y1 <= lowest, (box, lowest)
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1, (box, figure.bbox)
        assert figure.bbox.y0 <= box.y0
    assert legends
