"""What config.json says of rotary positions, in the words of several years.

All parameters are in one object, ``rope_parameters``, since Transformers 5; before, the base was a key of its own and
what stretches the context was in ``rope_scaling``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import RopeConfig, RopeLayout
from myna.models.families.rotary import linear_factors, llama3_factors, longrope_scale, yarn_factors, yarn_scale

Keys = Callable[..., str]
"""From a parameter's name, and names that it has elsewhere, to the key by which a file has it."""

PLACES = ("rope_parameters.", "rope_scaling.")
ORIGINAL = "original_max_position_embeddings"


def rope_config(
    file: ModelFile,
    head_dim: int,
    context: int,
    *,
    section: str = "",
    places: Sequence[str] = PLACES,
    bases: Sequence[str] = ("rope_theta", "rotary_emb_base"),
    theta: float = 10_000.0,
    share: float = 1.0,
    layout: RopeLayout = "half",
) -> RopeConfig:
    """How rotary positions turn.

    Args:
        file: the model's directory.
        head_dim: dimensions a head.
        context: the longest sequence, for what is relative to it.
        section: what all keys begin with.
        places: the objects where the parameters may be.
        bases: what the base is called outside of them.
        theta: the base where the file says none.
        share: of the head's dimensions that turn, where the file does not say.
        layout: which pairs turn together.

    Raises:
        ModelFileError: naming the key that is missing, impossible or not supported.
    """
    read, key = file.metadata, rope_keys(file, section, places)
    share = read.number(
        key("partial_rotary_factor", "partial_rotary_factor", "rotary_pct"), share, minimum=0.0, maximum=1.0
    )
    dims = int(head_dim * share)
    if dims < 2 or dims % 2:
        raise ModelFileError(file.path, f"{dims} of {head_dim} dimensions turn, expected an even number")
    base = read.number(key("rope_theta", *bases), theta, minimum=2.0, maximum=1e12)
    plain = RopeConfig(dims, base, layout)
    type_key = key("rope_type") if key("rope_type") in read else key("type")
    kind = read.string(type_key, "default")
    if kind == "default":
        return plain

    original = read.integer(key(ORIGINAL, ORIGINAL), context, minimum=2, maximum=2**26)
    if kind in ("longrope", "su") or key("long_factor") in read:
        return _longrope(file, plain, key, context, original)
    factor = read.number(key("factor"), None, minimum=1e-6, maximum=1e6) if kind != "dynamic" else 1.0
    match kind:
        case "linear":
            return RopeConfig(dims, base, layout, linear_factors(dims, factor))
        case "llama3":
            low = read.number(key("low_freq_factor"), minimum=1e-3, maximum=1e6)
            high = read.number(key("high_freq_factor"), minimum=low, maximum=1e6)
            factors = llama3_factors(dims, base, factor=factor, low=low, high=high, original=original)
            return RopeConfig(dims, base, layout, factors)
        case "yarn":
            fast = read.number(key("beta_fast"), 32.0, minimum=1e-3, maximum=1e6)
            slow = read.number(key("beta_slow"), 1.0, minimum=1e-3, maximum=1e6)
            whole = read.boolean(key("truncate"), True)
            factors = yarn_factors(dims, base, factor=factor, original=original, fast=fast, slow=slow, truncate=whole)
            return RopeConfig(dims, base, layout, factors, _yarn_scale(file, key, factor))
        case "dynamic":
            raise ModelFileError(
                file.path,
                f"rotary scaling 'dynamic' ({type_key}) is not supported: it turns what is already in the cache anew "
                "as a sequence grows; choose 'linear' or 'yarn'",
            )
        case _:
            raise ModelFileError(file.path, f"rotary scaling {kind!r} ({type_key}) is not supported")


def stretched_context(file: ModelFile, context: int, section: str = "") -> int:
    """How far YaRN reaches: people who switch it on leave ``max_position_embeddings`` as it was in training."""
    read, key = file.metadata, rope_keys(file, section)
    if "yarn" not in (read.get(key("rope_type")), read.get(key("type"))) or key("long_factor") in read:
        return context
    original = read.integer(key(ORIGINAL, ORIGINAL), context, minimum=2, maximum=2**26)
    factor = read.number(key("factor"), minimum=1e-6, maximum=1e6)
    return min(max(context, int(original * factor)), 2**26)


def rope_keys(file: ModelFile, section: str = "", places: Sequence[str] = PLACES) -> Keys:
    """Where the file has its parameters; those that it lacks would be where it has others."""
    present = [place for place in places if any(name.startswith(section + place) for name in file.metadata)]

    def key(name: str, *outside: str) -> str:
        keys = [*(section + place + name for place in places), *(section + other for other in outside)]
        return next((key for key in keys if key in file.metadata), section + (present or places)[0] + name)

    return key


def _yarn_scale(file: ModelFile, key: Keys, factor: float) -> float:
    read = file.metadata
    weights = [read.number(key(name), 0.0, minimum=0.0, maximum=1e3) for name in ("mscale", "mscale_all_dim")]
    scale = yarn_scale(factor, weights[0]) / yarn_scale(factor, weights[1]) if all(weights) else yarn_scale(factor)
    return read.number(key("attention_factor"), scale, minimum=1e-3, maximum=1e3)


def _longrope(file: ModelFile, plain: RopeConfig, key: Keys, context: int, original: int) -> RopeConfig:
    """Two lists of factors: one for sequences that fit the original context, one for longer ones."""
    lists = []
    for name in ("long_factor", "short_factor"):
        factors = tuple(file.metadata.numbers(key(name)))
        if len(factors) != plain.dims // 2 or not all(1e-6 < factor < 1e6 for factor in factors):
            raise ModelFileError(
                file.path, f"{key(name)} has {len(factors)} factors, expected {plain.dims // 2} positive numbers"
            )
        lists.append(factors)
    factor = file.metadata.number(key("factor"), context / original, minimum=1e-6, maximum=1e6)
    scale = file.metadata.number(key("attention_factor"), longrope_scale(factor, original), minimum=1e-3, maximum=1e3)
    return RopeConfig(plain.dims, plain.base, plain.layout, lists[0], scale, lists[1], original)
