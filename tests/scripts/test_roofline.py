"""The estimate of a program's time: its kernels are read right, and priced as the chip is."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from scripts.accelerators import hlo, roofline

CHIP = roofline.Chip(
    "a chip", {"float32": 2e12, "bf16": 8e12}, 1e11, {"float32": 1e12, "bf16": 4e12}, 1e-6
)
TEXT = (Path(__file__).parent / "gpu_program.hlo").read_text()
"""What XLA prints for a GPU, shortened: five trips around a product in float32 and an update in
place, then a choice, a product of a library, and a scatter."""


def test_kernels_have_their_trips_bytes_and_operations():
    product, update, copy, library, scatter = roofline.kernels(TEXT)
    assert (product.kind, product.trips, product.product) == ("product", 5, "float32")
    assert product.work == 2 * 100 * 20 * 30
    assert product.moved == 4 * (100 * 20 + 20 * 30 + 100 * 30)
    assert product.source == "jit(run)/while/body/dot_general"
    # an update in place reads what it writes, and not the whole stack
    assert (update.kind, update.trips, update.moved) == ("elementwise", 5, 2 * 4 * 100 * 30 + 4)
    assert (copy.kind, copy.trips, copy.moved) == ("copy", 1, 80)
    assert (library.kind, library.product) == ("product (library)", "bf16")
    assert library.work == 2 * 40 * 50 * 60
    assert library.moved == 2 * (40 * 50 + 60 * 50 + 40 * 60)
    assert (scatter.kind, scatter.moved) == ("scatter", 2 * 2 * 11 * 8 + 4 * 9 + 2 * 9 * 8)


def test_seconds_are_the_longer_of_computing_and_moving_and_a_launch():
    product, update, *_ = roofline.kernels(TEXT)
    computing, moving = product.work / 1e12, product.moved / 1e11
    assert moving > computing
    assert roofline.seconds(CHIP, product) == pytest.approx(5 * (moving + 1e-6))
    busy = roofline.Kernel("product", 2, 8, 10**9, "bf16", "", "")
    assert roofline.seconds(CHIP, busy) == pytest.approx(2 * (10**9 / 4e12 + 1e-6))
    assert roofline.seconds(CHIP, update) == pytest.approx(5 * (update.moved / 1e11 + 1e-6))


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ("", "default"),
        (", operand_precision={highest,highest}", "float32"),
        (", algorithm=dot_tf32_tf32_f32", "tf32"),
        (", algorithm=dot_tf32_tf32_f32_x3", "tf32 x 3"),
        (", algorithm=dot_bf16_bf16_f32_x9", "bf16 x 9"),
        (', backend_config={"operand_precision":["HIGHEST","HIGHEST"]}', "float32"),
        (', backend_config={"algorithm":"ALG_DOT_TF32_TF32_F32"}', "tf32"),
    ],
)
def test_how_a_product_is_computed(attributes, kind):
    highest = ", operand_precision={highest,highest}"
    kernel = roofline.kernels(TEXT.replace(highest, attributes))[0]
    assert kernel.product == kind


def test_the_program_of_a_processor_has_the_products_that_were_asked_for():
    def run(x, weights):
        def step(x, _):
            return jnp.tanh(x @ weights), x

        return jax.lax.scan(step, x, length=7)

    x, weights = jnp.ones((64, 32)), jnp.ones((32, 32))
    kernels = roofline.kernels(jax.jit(run).lower(x, weights).compile().as_text())
    assert sum(kernel.trips * kernel.work for kernel in kernels) == 7 * 2 * 64 * 32 * 32


def test_text_without_a_program_is_refused():
    with pytest.raises(ValueError, match="no ENTRY"):
        hlo.parse("HloModule empty")


def test_the_bound_is_the_longer_of_computing_and_moving():
    work = {"float32": 4 * 10**9, "bf16": 8 * 10**9}
    assert roofline.bound(CHIP, work, 10**8) == pytest.approx(3e-3)
    assert roofline.bound(CHIP, work, 10**9) == pytest.approx(1e-2)
    with pytest.raises(ValueError, match="no rate of a chip for products of kind tf32"):
        roofline.bound(CHIP, {"tf32": 1}, 1)
