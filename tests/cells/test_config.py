"""Architectures: official blocks are read in full, and anything else is refused by name."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rrjax.cells import Arch, Config, config_from_dict, config_to_dict, parse_arch
from rrjax.checks import nearest

GOLDEN = Path(__file__).parents[1] / "golden"
OFFICIAL = sorted(path.parent.name for path in GOLDEN.glob("*/all_config.yaml"))
TRM = "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1"


def official(case: str = "trm_mlp") -> dict:
    return yaml.safe_load((GOLDEN / case / "all_config.yaml").read_text())["arch"]


def test_all_ten_official_cases_are_here():
    assert len(OFFICIAL) == 10


@pytest.mark.parametrize("case", OFFICIAL)
def test_an_official_block_is_read_in_full(case):
    block = official(case)
    arch = parse_arch(block)
    loss = block.pop("loss")
    assert arch.loss_type == loss["loss_type"]
    name = block.pop("name")
    assert arch.name == parse_arch(official(case) | {"name": arch.name}).name
    assert name not in ("trm", "hrm")
    assert {key: getattr(arch, key) for key in block} == block


def test_the_cells_of_the_official_cases():
    names = {case: parse_arch(official(case)).name for case in OFFICIAL}
    expected = {case: "hrm" if "hrm" in case else "trm" for case in OFFICIAL}
    expected |= {name: name for name in ("transformer", "trm_singlez", "trm_hier6")}
    assert names == expected


@pytest.mark.parametrize("case", OFFICIAL)
def test_a_config_goes_through_json_and_back(case):
    config = Config(parse_arch(official(case)), seq_len=16, vocab_size=6)
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config


def test_upstream_defaults_where_a_block_leaves_keys_out():
    block = official()
    del block["puzzle_emb_len"], block["forward_dtype"], block["loss"]
    arch = parse_arch(block)
    assert (arch.puzzle_emb_len, arch.forward_dtype) == (16, "bfloat16")
    assert arch.loss_type == "stablemax_cross_entropy"
    assert parse_arch(block | {"puzzle_emb_ndim": 0}).puzzle_emb_len == 0


@pytest.mark.parametrize(
    ("key", "text", "number"),
    [("rms_norm_eps", "1e-4", 1e-4), ("rope_theta", "5e5", 5e5), ("expansion", "4", 4.0)],
)
def test_numbers_that_yaml_reads_as_strings(key, text, number):
    value = yaml.safe_load(f"'{text}'")
    assert getattr(parse_arch(official() | {key: value}), key) == number


def test_yaml_itself_reads_such_a_number_as_a_string():
    assert yaml.safe_load("1e-4") == "1e-4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"L_cylces": 6}, "arch has no key 'L_cylces' for trm; did you mean 'L_cycles'"),
        ({"mlp": True}, "arch has no key 'mlp' for trm; did you mean 'mlp_t'"),
        ({7: True}, "arch has no key 7 for trm; known: H_cycles"),
        ({None: True}, "arch has no key None"),
        ({"pos_encodings": "ropes"}, "pos_encodings must be one of .*did you mean 'rope'"),
        (
            {"pos_encodings": None},
            "pos_encodings must be one of rope, rope2d, learned, none; got None",
        ),
        ({"forward_dtype": "float16"}, "forward_dtype must be one of .*got 'float16'"),
        ({"name": "trn"}, "arch.name 'trn' is not a known cell; did you mean 'trm'"),
        ({"name": None}, "the arch block has no `name`"),
        ({"loss": "stablemax"}, "arch.loss must be a mapping, got 'stablemax'"),
        ({"loss": {"loss_typ": "x"}}, "arch.loss has no key 'loss_typ'; did you mean 'loss_type'"),
        ({"loss": {3: "x"}}, "arch.loss has no key 3"),
        ({"loss": {"loss_type": "softmax"}}, "loss_type must be one of .*'softmax_cross_entropy'"),
        ({"loss": {"name": "losses@Other"}}, "arch.loss.name must be 'losses@ACTLossHead'"),
        ({"hidden_size": "32"}, "arch.hidden_size must be an integer, got '32'"),
        ({"hidden_size": 32.0}, "arch.hidden_size must be an integer, got 32.0"),
        ({"hidden_size": 0}, "arch.hidden_size must be at least 1, got 0"),
        ({"H_cycles": True}, "arch.H_cycles must be an integer, got True"),
        ({"mlp_t": "yes"}, "arch.mlp_t must be true or false, got 'yes'"),
        ({"expansion": "wide"}, "arch.expansion must be a number, got 'wide'"),
        ({"expansion": True}, "arch.expansion must be a number, got True"),
        ({"expansion": "nan"}, "arch.expansion must be above 0 and at most 1000, got nan"),
        ({"rope_theta": 10**400}, "arch.rope_theta must be a number, got 1000"),
        ({"rms_norm_eps": float("inf")}, "arch.rms_norm_eps must be finite and above 0, got inf"),
        (
            {"halt_exploration_prob": 1.5},
            "exploration_prob must be at least 0 and at most 1, got 1.5",
        ),
        ({"L_layers": 10**9}, "arch.L_layers must be at most 1000, got 1000000000"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        parse_arch(official() | change)


@pytest.mark.parametrize("key", ["hidden_size", "num_heads", "L_cycles", "L_layers", "expansion"])
def test_a_missing_key_is_named(key):
    block = official()
    del block[key]
    with pytest.raises(ValueError, match=f"the arch block of trm lacks {key}$"):
        parse_arch(block)


def test_hrm_and_transformer_need_their_answer_layers():
    for case, name in (("hrm", "hrm"), ("transformer", "transformer")):
        block = official(case)
        del block["H_layers"]
        with pytest.raises(ValueError, match=f"of {name} lacks H_layers"):
            parse_arch(block)


@pytest.mark.parametrize(
    ("case", "key"),
    [("hrm", "mlp_t"), ("hrm", "puzzle_emb_len"), ("transformer", "L_cycles")],
)
def test_keys_of_other_cells_are_unknown(case, key):
    with pytest.raises(ValueError, match=f"arch has no key {key!r}"):
        parse_arch(official(case) | {key: 1})


OURS: dict[str, dict] = {
    "srm": {"L_cycles": 2, "L_layers": 3, "H_cycles": 1, "kappa": "9e-1", "kappa_max": 0.95},
    "lstm": {"H_layers": 3},
    "mixer": {"H_layers": 2, "expansion": 4},
}
COMMON = {
    "hidden_size": 8,
    "pos_encodings": "learned",
    "halt_max_steps": 1,
    "halt_exploration_prob": 0,
}


@pytest.mark.parametrize("name", OURS)
def test_blocks_of_the_cells_without_an_upstream(name):
    block = {"name": name} | COMMON | OURS[name]
    arch = parse_arch(block)
    found = {key: getattr(arch, key) for key in block}
    assert found == block | ({"kappa": 0.9} if name == "srm" else {})
    for key in OURS[name]:
        if not key.startswith("kappa"):
            with pytest.raises(ValueError, match=f"block of {name} lacks {key}$"):
                parse_arch({k: v for k, v in block.items() if k != key})


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("srm", "num_heads", "no key 'num_heads' for srm"),
        ("srm", "expansion", "no key 'expansion' for srm"),
        ("srm", "kapa", "no key 'kapa' for srm; did you mean 'kappa'"),
        ("lstm", "L_layers", "no key 'L_layers' for lstm; did you mean 'H_layers'"),
        ("lstm", "kappa", "no key 'kappa' for lstm"),
        ("mixer", "mlp_t", "no key 'mlp_t' for mixer"),
    ],
)
def test_keys_that_they_do_not_read_are_unknown(name, key, message):
    with pytest.raises(ValueError, match=message):
        parse_arch({"name": name} | COMMON | OURS[name] | {key: 1})


@pytest.mark.parametrize("case", ["trm_mlp", "hrm", "transformer"])
def test_srm_keys_are_unknown_to_upstreams_cells(case):
    with pytest.raises(ValueError, match="arch has no key 'alpha'"):
        parse_arch(official(case) | {"alpha": 0.5})


def test_only_an_srm_writes_its_keys():
    srm = config_to_dict(Config(Arch("srm", kappa=0.5)))["arch"]
    trm = config_to_dict(Config())["arch"]
    assert set(srm) - set(trm) == {"kappa", "kappa_max", "alpha", "eta"}
    config = Config(Arch("srm", kappa=0.5, eta=2.0))
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config


@pytest.mark.parametrize(("switch", "default"), [("act_enabled", True), ("act_inference", False)])
def test_the_baselines_other_ways_of_halting_are_refused(switch, default):
    block = official("transformer")
    assert parse_arch(block | {switch: default}) == parse_arch(block)
    with pytest.raises(ValueError, match=f"arch.{switch} must be {default}"):
        parse_arch(block | {switch: not default})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"L_layers": 0}, "arch.L_layers must be at least 1"),
        ({"name": "hrm"}, "arch.H_layers must be at least 1"),
        ({"name": "transformer", "H_layers": 1, "mlp_t": True}, "mixes tokens by attention only"),
        ({"name": "trm_hier6", "L_cycles": 7}, "L_cycles of trm_hier6 is at most 6, got 7"),
        (
            {"name": "hrm", "H_layers": 1, "puzzle_emb_ndim": 512, "puzzle_emb_len": 2},
            "puzzle_emb_len belongs to TRM; hrm derives it",
        ),
        ({"name": "transformer", "H_layers": 1, "puzzle_emb_len": 2}, "transformer derives it"),
        ({"name": "lstm"}, "arch.H_layers must be at least 1"),
        ({"name": "mixer"}, "arch.H_layers must be at least 1"),
        ({"name": "srm", "L_layers": 0}, "arch.L_layers must be at least 1"),
        ({"name": "lstm", "H_layers": 1, "mlp_t": True}, "LSTM .* by its recurrence only"),
        ({"name": "lstm", "H_layers": 1, "hidden_size": 7}, "of lstm must be even, got 7"),
        ({"kappa": 0.9}, "arch.kappa belongs to srm; trm leaves it at 0.86, got 0.9"),
        ({"eta": 2.0}, "arch.eta belongs to srm; trm leaves it at 1.0, got 2.0"),
        ({"name": "hrm", "H_layers": 1, "alpha": 0.5}, "arch.alpha belongs to srm; hrm"),
        ({"name": "srm", "kappa": 1.0}, "arch.kappa must be above 0 and below 1, got 1.0"),
        ({"name": "srm", "kappa": 0.0}, "arch.kappa must be above 0 and below 1, got 0.0"),
        ({"name": "srm", "kappa": float("nan")}, "arch.kappa must be above 0 and below 1, got nan"),
        ({"name": "srm", "kappa_max": 0.86}, "or lie between arch.kappa 0.86 and 1, got 0.86"),
        ({"name": "srm", "kappa_max": 1.0}, "or lie between arch.kappa 0.86 and 1, got 1.0"),
        ({"name": "srm", "alpha": 0.0}, "arch.alpha must be above 0 and at most 1, got 0.0"),
        ({"name": "srm", "alpha": 1.5}, "arch.alpha must be above 0 and at most 1, got 1.5"),
        ({"name": "srm", "eta": 0.0}, "arch.eta must be at least 1e-06 and at most 1e.06, got 0.0"),
        (
            {"name": "srm", "eta": float("inf")},
            "eta must be at least 1e-06 and at most 1e.06, got inf",
        ),
        ({"puzzle_emb_len": 2}, "puzzle_emb_len must be 0 where puzzle_emb_ndim is 0"),
        ({"puzzle_emb_len": 2, "puzzle_emb_ndim": 1025}, "cannot hold puzzle_emb_ndim 1025"),
        ({"register_tokens": 1, "puzzle_emb_ndim": 512}, "which has puzzle_emb_ndim 512; set one"),
        ({"register_tokens": -1}, "arch.register_tokens must be"),
        ({"name": "srm", "swiglu": "normed"}, "arch.swiglu: srm has no SwiGLU"),
        ({"damping": 1.0}, "arch.damping must be at least 0 and below 1, got 1.0"),
        ({"name": "mixer", "H_layers": 1, "damping": 0.1}, "arch.damping belongs to .*; mixer"),
        ({"num_heads": 1024}, "splits hidden_size 512 into heads of 0"),
        ({"hidden_size": 24, "num_heads": 8}, "heads of 3; rotary attention needs"),
        (
            {"hidden_size": 12, "num_heads": 2, "pos_encodings": "rope2d"},
            "heads of 6; rotary attention needs a multiple of 4",
        ),
    ],
)
def test_combinations_that_no_cell_can_have(fields, message):
    with pytest.raises(ValueError, match=message):
        Arch(**fields)


def test_rows_and_columns_need_a_square():
    arch = Arch(hidden_size=8, num_heads=2, pos_encodings="rope2d")
    assert Config(arch, seq_len=81).num_tokens == 81
    with pytest.raises(ValueError, match=r"rope2d needs puzzles that are squares.* have 80 tokens"):
        Config(arch, seq_len=80)


def test_their_neighbours_are_fine():
    assert Arch(puzzle_emb_len=2, puzzle_emb_ndim=1024).puzzle_emb_len == 2
    assert Arch(hidden_size=24, num_heads=8, pos_encodings="learned").num_heads == 8
    assert Arch(hidden_size=24, num_heads=8, mlp_t=True).mlp_t
    assert Arch(name="trm_hier6", L_cycles=6).L_cycles == 6
    assert Arch(L_layers=1000).L_layers == 1000
    assert Arch("lstm", hidden_size=6, num_heads=4, H_layers=1).hidden_size == 6
    assert not Arch("lstm", hidden_size=6, num_heads=4, H_layers=1).attends
    assert Arch("mixer", hidden_size=7, num_heads=8, H_layers=1).mixes_along_tokens
    assert Arch("srm", hidden_size=7, num_heads=8, kappa_max=0.87).mixes_along_tokens
    assert Arch("lstm", H_layers=1, puzzle_emb_ndim=8, puzzle_emb_len=3).puzzle_emb_len == 3


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "config has no key 'arch'"),
        ({"arch": {}, "seqlen": 81}, "config has no key 'seqlen'; did you mean 'seq_len'"),
        ({"arch": {}, 5: 81}, "config has no key 5"),
        ({"arch": {"hidden": 8}}, "config.arch has no key 'hidden'; did you mean 'hidden_size'"),
        ({"arch": {1: 8}}, "config.arch has no key 1"),
        ({"arch": {}, "seq_len": 0}, "seq_len must be at least 1, got 0"),
        ({"arch": {}, "vocab_size": "11"}, "vocab_size must be an integer, got '11'"),
    ],
)
def test_a_wrong_config_is_refused_by_name(mapping, message):
    with pytest.raises(ValueError, match=message):
        config_from_dict(mapping)


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        Arch,
        name=st.sampled_from(["trm", "trm_singlez"]),
        hidden_size=st.integers(1, 64).map(lambda n: 8 * n),
        expansion=st.floats(0.01, 100),
        L_layers=st.integers(1, 1000),
        pos_encodings=st.sampled_from(["learned", "none"]),
        mlp_t=st.booleans(),
        halt_exploration_prob=st.floats(0, 1),
    ),
    st.integers(1, 10**6),
)
def test_any_config_goes_through_json_and_back(arch, seq_len):
    config = Config(arch, seq_len=seq_len)
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 0),
        ({"puzzle_emb_ndim": 512}, 1),
        ({"puzzle_emb_ndim": 513}, 2),
        ({"puzzle_emb_ndim": 512, "puzzle_emb_len": 16}, 16),
        ({"register_tokens": 3}, 3),
    ],
)
def test_leading_tokens_are_registers_or_as_many_as_hold_the_vector(fields, tokens):
    config = Config(dataclasses.replace(Arch(), **fields))
    assert (config.leading_tokens, config.num_tokens) == (tokens, tokens + 81)


@pytest.mark.parametrize(
    ("arch", "on_sign", "bootstraps"),
    [
        (Arch(), True, False),
        (Arch(no_ACT_continue=False), False, True),
        (Arch("hrm", H_layers=1), False, True),
        (Arch("transformer", H_layers=1), False, False),
        (Arch("srm"), True, False),
        (Arch("srm", no_ACT_continue=False), False, True),
        (Arch("lstm", H_layers=1), True, False),
        (Arch("mixer", H_layers=1), True, False),
    ],
)
def test_how_slots_halt(arch, on_sign, bootstraps):
    assert (arch.halts_on_sign, arch.bootstraps_q_continue) == (on_sign, bootstraps)


def test_nearest_lists_what_is_known_when_nothing_is_near():
    assert nearest("zzz", ["beta", "alpha"]) == "; known: alpha, beta"
    assert nearest("alpa", ["beta", "alpha"]) == "; did you mean 'alpha'?"
