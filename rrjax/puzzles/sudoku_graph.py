"""The graph of a Sudoku's constraints, and the cells that it decides at once."""

import numpy as np

from rrjax.puzzles.sudoku import board_size, check_boards, geometry


def peer_graphs(size: int) -> dict[str, np.ndarray]:
    """Returns which cells constrain each other: (n², n²) truth values, false on the diagonal.

    The graphs are `all`, which joins cells that share any unit, and `row`, `column` and `box`.

    Args:
      size: n, as in `geometry`.

    Example:
      >>> {name: int(graph[0].sum()) for name, graph in rrjax.puzzles.peer_graphs(9).items()}
      {'all': 20, 'row': 8, 'column': 8, 'box': 8}
    """
    units = geometry(size).units.reshape(3, size, size)
    graphs = {}
    for name, kind in zip(("row", "column", "box"), units, strict=True):
        unit_of = np.empty(size * size, np.int64)
        unit_of[kind] = np.arange(size)[:, None]
        graphs[name] = (unit_of[:, None] == unit_of) & ~np.eye(size * size, dtype=bool)
    return {"all": np.logical_or.reduce(list(graphs.values())), **graphs}


def naked_singles(boards: np.ndarray) -> np.ndarray:
    """Returns (..., n²) which blank cells have a single digit that no given peer has.

    Args:
      boards: (..., n²) with values 0..n.

    Example:
      >>> board = rrjax.puzzles.parse_board("12.4............")
      >>> rrjax.puzzles.naked_singles(board).nonzero()[0]
      array([2])
    """
    boards = check_boards(boards)
    size = board_size(boards)
    peers = boards[..., geometry(size).peers]  # (..., cells, peers)
    bits = np.bitwise_or.reduce(np.left_shift(1, peers.astype(np.int64)) >> 1, axis=-1)
    return (boards == 0) & (np.bitwise_count(bits) == size - 1)
