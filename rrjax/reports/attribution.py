"""In words: on which states and cells the leading tangent vector lies."""

from rrjax.analysis.attribution import Attribution


def attribution_notes(found: Attribution, segment: int) -> list[str]:
    """What to print below the table: states, spread and cells; none without a finite vector."""
    if found.num_puzzles == 0:
        return []
    states = ", ".join(f"{_percent(v)} in {name}" for name, v in found.state_shares.items())
    notes = [
        f"λ1's vector after segment {segment} (medians of {found.num_puzzles} puzzles): {states}; "
        f"spread over {found.effective_tokens:.1f} of {found.num_tokens} tokens (1/Σp²); "
        f"{_percent(found.open_share)} on cells whose answer had to be found, "
        f"{_percent(found.open_fraction)} of the board"
    ]
    if found.num_failed:
        ratio = found.wrong_to_right
        notes.append(
            f"{found.num_failed} failed puzzles: {_percent(found.wrong_share)} on wrong cells "
            f"against {_percent(1 - found.wrong_share)} on right ones that had to be found; wrong "
            f"are {_percent(found.wrong_fraction)} of these cells, and each carries "
            f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] times a right one"
        )
    return notes


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"
