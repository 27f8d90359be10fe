"""Where the leading tangent vector lies, in words: on which states and cells."""

from rrjax.analysis import format as words
from rrjax.analysis.attribution import Attribution


def attribution_notes(attribution: Attribution, segment: int) -> list[str]:
    """Returns what is printed below the table of a spectrum; nothing without a finite vector.

    Args:
      attribution: Medians over the puzzles.
      segment: The segment after which the vectors were read, counted from 1.
    """
    if attribution.num_puzzles == 0:
        return []
    states = ", ".join(
        f"{words.percent(share, 0)} in {name}" for name, share in attribution.state_shares.items()
    )
    notes = [
        f"λ₁'s vector after segment {segment} ({_medians(attribution.num_puzzles)}): "
        f"{states}; spread over {attribution.effective_tokens:.1f} of {attribution.num_tokens} "
        f"tokens; {words.percent(attribution.open_share, 0)} on cells whose answer had to be "
        f"found, which are {words.percent(attribution.open_fraction, 0)} of the board."
    ]
    if attribution.num_failed:
        ratio = words.interval_in_words(attribution.wrong_to_right, ".2f")
        notes.append(
            f"In {words.count(attribution.num_failed, 'failed puzzle')} a wrong cell carries "
            f"{ratio} times the share of a right cell that had to be found."
        )
    return notes


def _medians(number: int) -> str:
    return "one puzzle" if number == 1 else f"medians of {number} puzzles"
