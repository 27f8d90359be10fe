"""Estimates what a program needs on a chip, from its matrix products and from its kernels.

`bound` is a limit from below: the operations of a traced program's products at the peak rate, or
the bytes that they move at the memory's full bandwidth. `kernels` and `seconds` are an estimate: a
kernel of the optimised program takes its operations at the rate that large products reach, or its
bytes at the bandwidth, whichever is longer, and its launch, times the trips of the loops around it.
They know nothing of bad tiles, of atomics that collide, or of what autotuning would choose.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.accelerators import hlo
from scripts.accelerators.hlo import Instruction, Program


@dataclass(frozen=True)
class Chip:
    """What a chip can do.

    Attributes:
      name: The name of the chip.
      rates: Peak rates in operations/s by the kind of product, the keys of `counting.flops`.
      bandwidth: The bytes/s of its memory.
      sustained: The rates that large products reach; empty where no kernel is estimated.
      launch: The seconds that pass between two kernels.
    """

    name: str
    rates: Mapping[str, float]
    bandwidth: float
    sustained: Mapping[str, float]
    launch: float


H100 = Chip(
    # NVIDIA H100 Tensor Core GPU datasheet, SXM5, dense (half of what it quotes with sparsity)
    "H100 SXM",
    {
        "float64": 66.9e12,
        "float32": 66.9e12,
        "default": 494.7e12,
        "tf32": 494.7e12,
        "tf32 x 3": 494.7e12 / 3,
        "bf16 x 9": 989.4e12 / 9,
        "bf16": 989.4e12,
        "float16": 989.4e12,
    },
    3.35e12,
    # An H200, which has the same cores, reached 49.6 TFLOP/s in float32. These rates gave spectra
    # 12 % below the times that were measured there.
    {
        "float64": 60e12,
        "float32": 50e12,
        "default": 400e12,
        "tf32": 400e12,
        "tf32 x 3": 133e12,
        "bf16 x 9": 89e12,
        "bf16": 800e12,
        "float16": 800e12,
    },
    2.5e-6,
)
TPU_V5E = Chip(
    # Google Cloud's page on TPU v5e: 197 TFLOP/s in bf16, 819 GB/s. Its matrix unit multiplies
    # bf16; XLA composes a float32 product at the highest precision of six such passes.
    "TPU v5e",
    {"float32": 197e12 / 6, "default": 197e12, "tf32": 197e12 / 3, "bf16": 197e12},
    819e9,
    {},
    0.0,
)


@dataclass(frozen=True)
class Kernel:
    """One kernel of an optimised program.

    Attributes:
      kind: `product`, `scatter`, `elementwise`, or the instruction's own name.
      trips: How often it runs.
      moved: The bytes that it reads and writes in one run.
      work: The operations of its matrix products in one run.
      product: How its products are computed, a key of `Chip.sustained`.
      type: The type of its result.
      source: The operation of the JAX program that it stems from.
    """

    kind: str
    trips: int
    moved: int
    work: int
    product: str
    type: str
    source: str


def bound(chip: Chip, work: Mapping[str, int], moved: int) -> float:
    """Returns the least seconds of a program's matrix products on a chip.

    Args:
      chip: The chip.
      work: The operations by kind (`counting.flops`).
      moved: The bytes of operands and results (`counting.traffic`).

    Raises:
      ValueError: The rate of a kind of product is not known for the chip.
    """
    unknown = set(work) - set(chip.rates)
    if unknown:
        raise ValueError(f"no rate of {chip.name} for products of kind {', '.join(unknown)}")
    compute = sum(number / chip.rates[kind] for kind, number in work.items())
    return max(compute, moved / chip.bandwidth)


def seconds(chip: Chip, kernel: Kernel) -> float:
    """Returns the estimated seconds of all runs of a kernel on a chip."""
    compute = kernel.work / chip.sustained[kernel.product]
    return kernel.trips * (max(compute, kernel.moved / chip.bandwidth) + chip.launch)


def kernels(text: str) -> list[Kernel]:
    """Returns the kernels of an optimised program, in the order in which they first run.

    Of a choice only the branch that moves the fewest bytes counts, since the other is a fallback.
    """
    program = hlo.parse(text)
    return list(_kernels(program, program.entry, 1))


_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "iota"),
    *("after-all", "partition-id", "replica-id"),
}
_CALLS = {"call", "async-start"}
_LIBRARY = ("cublas", "matmul", "gemm")


def _kernels(program: Program, name: str, trips: int) -> Iterator[Kernel]:
    instructions = program.computations[name]
    table = {instruction.name: instruction for instruction in instructions}
    for instruction in instructions:
        called = [name for name in instruction.called if name in program.computations]
        if instruction.opcode in _FREE:
            continue
        if instruction.opcode == "while":
            yield from _kernels(program, called[-1], trips * instruction.trips)
        elif instruction.opcode == "conditional":
            branches = [list(_kernels(program, branch, trips)) for branch in called]
            yield from min(branches, key=lambda branch: sum(k.trips * k.moved for k in branch))
        elif instruction.opcode in _CALLS and called:
            yield from _kernels(program, called[0], trips)
        else:
            body = program.computations[called[0]] if called else []
            kind, moved, work, product = _cost(instruction, table, body)
            source = instruction.attribute(r'op_name="([^"]*)"') or ""
            yield Kernel(kind, trips, moved, work, product, instruction.type, source)


def _cost(
    instruction: Instruction, table: Mapping[str, Instruction], body: Sequence[Instruction]
) -> tuple[str, int, int, str]:
    """Returns the kind, bytes, operations and kind of product of one kernel."""
    operands = [table[name] for name in instruction.operands if name in table]
    if instruction.opcode == "fusion":
        return _cost_of_fusion(body)
    if instruction.opcode == "dot":
        moved = sum(hlo.size_in_bytes(item.type) for item in (instruction, *operands))
        return "product", moved, _operations(instruction, table), _product(instruction, table)
    target = instruction.attribute(r'custom_call_target="([^"]*)"') or ""
    if any(name in target for name in _LIBRARY):
        result = instruction.type.split(", s8")[0]  # without the library's workspace
        moved = hlo.size_in_bytes(result) + sum(hlo.size_in_bytes(o.type) for o in operands[:2])
        work = _operations(instruction, table)
        return "product (library)", moved, work, _product(instruction, table)
    if instruction.opcode == "dynamic-slice":
        moved = 2 * hlo.size_in_bytes(instruction.type)
    elif instruction.opcode == "dynamic-update-slice":
        moved = 2 * hlo.size_in_bytes(operands[1].type)
    else:
        moved = sum(hlo.size_in_bytes(item.type) for item in (instruction, *operands))
    return instruction.opcode, moved, 0, "float32"


def _cost_of_fusion(body: Sequence[Instruction]) -> tuple[str, int, int, str]:
    table = {item.name: item for item in body}
    moved = _bytes_of_fusion(body, table)
    products = [item for item in body if item.opcode == "dot"]
    if products:
        work = sum(_operations(item, table) for item in products)
        return "product", moved, work, _product(products[0], table)
    scatters = any(item.opcode == "scatter" for item in body)
    return "scatter" if scatters else "elementwise", moved, 0, "float32"


def _operations(product: Instruction, table: Mapping[str, Instruction]) -> int:
    """Counts a multiplication and an addition for every term of a product's sums."""
    contracted = product.numbers("lhs_contracting_dims", "lhs_contracting_dimensions")
    left = hlo.shape(table[product.operands[0]].type)[1]
    work = 2
    for size in (*hlo.shape(product.type)[1], *(left[axis] for axis in contracted)):
        work *= size
    return work


_ALGORITHMS = {
    "tf32_tf32_f32_x3": "tf32 x 3",
    "tf32_tf32_f32": "tf32",
    "bf16_bf16_f32_x9": "bf16 x 9",
    "bf16_bf16_f32": "bf16",
}


def _product(product: Instruction, table: Mapping[str, Instruction]) -> str:
    """Returns how a product is computed, a key of `Chip.sustained`."""
    dtype = hlo.shape(table[product.operands[0]].type)[0]
    if dtype != "f32":
        return {"f64": "float64", "f16": "float16"}.get(dtype, "bf16")
    algorithm = product.attribute(r'algorithm"?[=:]"?(?:dot|ALG_DOT)_(\w+)')
    if algorithm:
        return _ALGORITHMS[algorithm.lower()]
    precision = product.attribute(r'operand_precision"?[=:][{\["]*(\w+)') or ""
    return "float32" if precision.lower() == "highest" else "default"


def _bytes_of_fusion(body: Sequence[Instruction], table: Mapping[str, Instruction]) -> int:
    """Counts what a fusion reads and writes: of a slice and of an update in place only the part."""
    users = defaultdict(list)
    for item in body:
        for operand in item.operands:
            users[operand].append(item)
    read = sum(_bytes_read(item, users) for item in body if item.opcode == "parameter")
    root = next(item for item in body if item.is_root)
    roots = [table[name] for name in root.operands] if root.opcode == "tuple" else [root]
    return read + sum(_bytes_written(item, table) for item in roots)


def _bytes_read(item: Instruction, users: Mapping[str, list[Instruction]]) -> int:
    using = users[item.name]
    if using and all(user.opcode in ("dynamic-slice", "slice", "gather") for user in using):
        return sum(hlo.size_in_bytes(user.type) for user in using)
    updates = (user.opcode == "dynamic-update-slice" for user in using)
    if using and all(updates) and all(user.operands[0] == item.name for user in using):
        return 0
    if using and all(user.opcode in ("bitcast", "copy", "reshape") for user in using):
        return max(_bytes_read(user, users) for user in using)
    return hlo.size_in_bytes(item.type)


def _bytes_written(item: Instruction, table: Mapping[str, Instruction]) -> int:
    while item.opcode in ("bitcast", "copy") and item.operands:
        item = table[item.operands[0]]
    updated = item.opcode == "dynamic-update-slice"
    return hlo.size_in_bytes(table[item.operands[1]].type if updated else item.type)
