"""Values: embeddings, and every segment from the golden carry before it.

These maps stretch errors, so the ends of long runs would differ between any two implementations.
"""

import jax
import numpy as np
import pytest

from tests.parity import golden
from tests.parity.golden import EACH, SEGMENTS, max_error

TOLERANCE = 2e-4


@pytest.mark.parametrize("name", EACH)
def test_input_embeddings(name: str):
    expected = golden.arrays(name, "golden")["input_embeddings"]
    assert max_error(golden.forward(name)[0].embeddings, expected) <= 1e-6


@pytest.mark.parametrize("t", range(SEGMENTS))
@pytest.mark.parametrize("name", EACH)
def test_segment(name: str, t: int):
    expected, found = golden.arrays(name, "golden"), golden.forward(name)[t]
    pairs = {f"carry/{field}": leaf for field, leaf in found.state._asdict().items()}
    pairs |= {
        "logits": found.readout.logits,
        "q_halt_logits": found.readout.q_halt,
        "q_continue_logits": found.readout.q_continue,
    }
    prefix = f"eval/{t}/carry/"
    fields = {key.removeprefix(prefix) for key in expected if key.startswith(prefix)}
    assert fields == set(found.state._fields)
    errors = {key: max_error(leaf, expected[f"eval/{t}/{key}"]) for key, leaf in pairs.items()}
    assert max(errors.values()) <= TOLERANCE, errors


@pytest.mark.parametrize("name", EACH)
def test_answers(name: str):
    expected = golden.arrays(name, "golden")
    for t, found in enumerate(golden.forward(name)):
        preds = expected.get(f"eval/{t}/preds", expected[f"eval/{t}/logits"].argmax(-1))
        np.testing.assert_array_equal(found.readout.logits.argmax(-1), preds)


@pytest.mark.parametrize("name", ["trm_mlp", "trm_att", "hrm"])
def test_a_batch_is_a_loop_over_puzzles(name: str):
    with golden.precision("float64"):
        case = golden.load_case(name, "float64")
        start = golden.initial_state(case)
        together = golden.run_batch(case, start)
        for row in range(len(case.batch.inputs)):
            tokens, puzzle_id = case.batch.inputs[row], case.batch.puzzle_ids[row]
            state = jax.tree.map(lambda leaf, row=row: leaf[row], start)
            alone = golden.run_one(case.config, case.params, tokens, puzzle_id, state)
            for one, many in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
                np.testing.assert_allclose(one, many[row], rtol=0, atol=1e-11)
