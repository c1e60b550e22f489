"""A forward pass as data: ops over named weights, which print, check themselves and run anywhere.

A model is described once, by calls such as ``program.linear(x, "layers.0.attention.q")``; each appends one op.
`myna.models.interpreter` gives every op its meaning in NumPy; the native executor takes `Program.to_ops` and fuses
what it can. Shapes are per row: a value of size n is an array [rows, n], whose rows are the tokens of a flat batch
until `Program.select` keeps the rows whose logits are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from myna.models.config import Activation, ExpertActivation, Norm, RopeConfig

Rows = Literal["tokens", "logits"]
EmbedSource = Literal["tokens", "positions"]


@dataclass(frozen=True, slots=True)
class Weight:
    """A matrix [rows, columns], or a vector (norm weight, bias) as one row."""

    name: str
    rows: int
    columns: int
    kind: Literal["matrix", "vector"]


@dataclass(frozen=True, slots=True)
class Value:
    """What one op computes: [rows, size]. ``id`` counts from 0 in the order of the ops."""

    id: int
    size: int
    rows: Rows


@dataclass(frozen=True, slots=True)
class Embed:
    """out = weight[token] * scale, or weight[position] * scale."""

    out: int
    weight: str
    source: EmbedSource = "tokens"
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Normalise:
    """``rms``: x / sqrt(mean(x²) + epsilon) * weight; ``layer``: (x - mean) / sqrt(variance + epsilon) * weight + bias.

    Zhang and Sennrich 2019 (https://arxiv.org/abs/1910.07467); Ba et al. 2016 (https://arxiv.org/abs/1607.06450).
    x is ``heads`` equal parts, each normalised for itself by the same weight [x.size / heads].
    """

    out: int
    x: int
    weight: str
    bias: str | None
    kind: Norm
    epsilon: float
    heads: int = 1


@dataclass(frozen=True, slots=True)
class Linear:
    """out = weight @ x + bias."""

    out: int
    x: int
    weight: str
    bias: str | None


@dataclass(frozen=True, slots=True)
class Rope:
    """Turns the first ``dims`` of every head by its token's position; see `RopeConfig`. No factors means all ones.

    ``scale`` multiplies what it turns (YaRN's attention factor; Peng et al. 2023, https://arxiv.org/abs/2309.00071).
    """

    out: int
    x: int
    heads: int
    head_dim: int
    dims: int
    base: float
    layout: str
    factors: tuple[float, ...]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Attend:
    """Appends k and v to the layer's cache, then out = softmax(q k^T * scale) v over the sequence.

    q: [heads, head_dim]; k and v: [kv_heads, head_dim], each shared by heads / kv_heads query heads in order.

    A row sees the keys at its own position and before, of these the last ``window`` unless that is 0. Not ``causal``,
    it sees every token of its sequence that is in the cache or in this batch (encoders: whole sequences at once).
    Scores are scaled, then capped as by `Softcap` unless ``softcap`` is 0, then get slopes[head] * (key position -
    query position) if there are ``slopes`` (ALiBi; Press et al. 2021, https://arxiv.org/abs/2108.12409).
    ``sinks``, a vector [heads], is one more score a head that takes its share of the softmax and mixes in nothing
    (gpt-oss; Xiao et al. 2023, https://arxiv.org/abs/2309.17453).
    """

    out: int
    q: int
    k: int
    v: int
    layer: int
    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    window: int = 0
    softcap: float = 0.0
    slopes: tuple[float, ...] = ()
    sinks: str | None = None
    causal: bool = True


@dataclass(frozen=True, slots=True)
class Add:
    """out = a + b."""

    out: int
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Multiply:
    """out = a * b, element by element."""

    out: int
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Activate:
    """out = silu(x), or gelu(x) exactly (erf) or by its tanh approximation."""

    out: int
    x: int
    kind: Activation


@dataclass(frozen=True, slots=True)
class Softcap:
    """out = cap * tanh(x / cap)."""

    out: int
    x: int
    cap: float


@dataclass(frozen=True, slots=True)
class MixExperts:
    """Sum over the ``chosen`` of ``experts`` MLPs of their share times down(activation(gate x) * up x).

    Shazeer et al. 2017 (https://arxiv.org/abs/1701.06538). ``router`` is a value of ``experts`` logits; the largest
    choose, of equal ones the first. A share is the softmax over the chosen logits if ``renormalise``, else over all.
    Matrices and biases hold the experts' rows one expert after the other: gate and up [experts * hidden, x.size],
    down [experts * out, hidden]. ``clamped_silu`` (gpt-oss): with g = min(gate x, limit) and u = up x cut to
    -limit … limit, g * sigmoid(alpha * g) * (u + 1) takes the product's place.
    """

    out: int
    x: int
    router: int
    gate: str
    up: str
    down: str
    gate_bias: str | None
    up_bias: str | None
    down_bias: str | None
    experts: int
    chosen: int
    renormalise: bool
    activation: ExpertActivation
    alpha: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Select:
    """Keeps the rows whose logits are wanted."""

    out: int
    x: int


Op = Embed | Normalise | Linear | Rope | Attend | Add | Multiply | Activate | Softcap | MixExperts | Select
OPERANDS = ("x", "q", "k", "v", "a", "b", "router")
WEIGHTS = ("weight", "bias", "sinks", "gate", "up", "down", "gate_bias", "up_bias", "down_bias")


class Program:
    """Ops in order, the weights that they name, and the value that is the result: a decoder's logits.

    Every method that appends an op raises ValueError naming the op and both sizes when shapes do not fit.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.values: list[Value] = []
        self.weights: dict[str, Weight] = {}
        self.logits: Value | None = None

    def matrix(self, name: str, rows: int, columns: int) -> str:
        """Declare a matrix [rows, columns]; declaring it again with the same shape shares it (tied embeddings)."""
        return self._declare(Weight(name, rows, columns, "matrix"))

    def vector(self, name: str, size: int) -> str:
        """Declare a vector of ``size`` elements."""
        return self._declare(Weight(name, 1, size, "vector"))

    def embed(self, weight: str, *, source: EmbedSource = "tokens", scale: float = 1.0) -> Value:
        """[tokens, columns of weight]. A position beyond the weight's rows is an error when the Program runs."""
        self._expect(source in get_args(EmbedSource), f"embedding by {weight}: unknown source {source!r}")
        out = self._value(self._weight(weight, "matrix").columns, "tokens")
        self.ops.append(Embed(out.id, weight, source, scale))
        return out

    def norm(
        self, x: Value, weight: str, kind: Norm, epsilon: float, bias: str | None = None, *, heads: int = 1
    ) -> Value:
        """[rows, x.size]."""
        self._expect(kind in get_args(Norm), f"norm of {weight}: unknown kind {kind!r}")
        self._equal_heads(f"norm by {weight}", x.size, heads)
        for name in (weight, bias):
            if name is not None:
                self._same(f"norm by {name}", x.size // heads, self._weight(name, "vector").columns)
        out = self._value(x.size, x.rows)
        self.ops.append(Normalise(out.id, x.id, weight, bias, kind, epsilon, heads))
        return out

    def linear(self, x: Value, weight: str, bias: str | None = None) -> Value:
        """[rows, rows of weight]."""
        shape = self._weight(weight, "matrix")
        self._same(f"linear by {weight}", x.size, shape.columns)
        if bias is not None:
            self._same(f"bias {bias}", shape.rows, self._weight(bias, "vector").columns)
        out = self._value(shape.rows, x.rows)
        self.ops.append(Linear(out.id, x.id, weight, bias))
        return out

    def rope(self, x: Value, heads: int, config: RopeConfig) -> Value:
        """[tokens, x.size], heads of x.size / heads dimensions each."""
        head_dim = self._equal_heads("rope", x.size, heads)
        dims, factors = config.dims, config.factors or ()
        self._expect(0 < dims <= head_dim and dims % 2 == 0, f"rope over {dims} of {head_dim} dimensions")
        self._expect(len(factors) in (0, dims // 2), f"rope: {len(factors)} factors for {dims // 2} frequencies")
        out = self._value(x.size, x.rows)
        self.ops.append(Rope(out.id, x.id, heads, head_dim, dims, config.base, config.layout, factors, config.scale))
        return out

    def attention(
        self,
        q: Value,
        k: Value,
        v: Value,
        *,
        layer: int,
        heads: int,
        kv_heads: int,
        scale: float | None = None,
        window: int = 0,
        softcap: float = 0.0,
        slopes: Sequence[float] = (),
        sinks: str | None = None,
        causal: bool = True,
    ) -> Value:
        """[tokens, q.size]. ``layer`` names the KV cache to use; ``scale`` None is 1 / sqrt(head_dim)."""
        self._expect(kv_heads > 0 and heads % kv_heads == 0, f"attention: {heads} heads over {kv_heads} KV heads")
        head_dim = self._equal_heads("attention", q.size, heads)
        self._same("attention keys", k.size, kv_heads * head_dim)
        self._same("attention values", v.size, kv_heads * head_dim)
        self._expect(window >= 0, f"attention: window = {window} is negative")
        self._expect(causal or not window, f"attention: a window of {window} keys looks back, so it must be causal")
        self._expect(softcap >= 0, f"attention: softcap = {softcap} is negative")
        self._expect(len(slopes) in (0, heads), f"attention: {len(slopes)} slopes for {heads} heads")
        if sinks is not None:
            self._same(f"attention sinks {sinks}", heads, self._weight(sinks, "vector").columns)
        out = self._value(q.size, q.rows)
        scale = head_dim**-0.5 if scale is None else scale
        shape = (layer, heads, kv_heads, head_dim, scale)
        self.ops.append(Attend(out.id, q.id, k.id, v.id, *shape, window, softcap, tuple(slopes), sinks, causal))
        return out

    def add(self, a: Value, b: Value) -> Value:
        """[rows, a.size]."""
        self._same("add", a.size, b.size)
        out = self._value(a.size, a.rows)
        self.ops.append(Add(out.id, a.id, b.id))
        return out

    def multiply(self, a: Value, b: Value) -> Value:
        """[rows, a.size]."""
        self._same("multiply", a.size, b.size)
        out = self._value(a.size, a.rows)
        self.ops.append(Multiply(out.id, a.id, b.id))
        return out

    def activation(self, x: Value, kind: Activation) -> Value:
        """[rows, x.size]."""
        self._expect(kind in get_args(Activation), f"activation: unknown kind {kind!r}")
        out = self._value(x.size, x.rows)
        self.ops.append(Activate(out.id, x.id, kind))
        return out

    def softcap(self, x: Value, cap: float) -> Value:
        """[rows, x.size]."""
        self._expect(cap > 0, f"softcap: cap = {cap} is not positive")
        out = self._value(x.size, x.rows)
        self.ops.append(Softcap(out.id, x.id, cap))
        return out

    def mix_experts(
        self,
        x: Value,
        router: Value,
        gate: str,
        up: str,
        down: str,
        *,
        chosen: int,
        renormalise: bool,
        activation: ExpertActivation,
        gate_bias: str | None = None,
        up_bias: str | None = None,
        down_bias: str | None = None,
        alpha: float = 0.0,
        limit: float = 0.0,
    ) -> Value:
        """[rows, rows of down / experts], with as many experts as the router has elements."""
        experts = router.size
        self._expect(0 < chosen <= experts, f"experts by {gate}: {chosen} of {experts} chosen")
        self._expect(activation in get_args(ExpertActivation), f"experts by {gate}: unknown kind {activation!r}")
        clamped = activation == "clamped_silu"
        self._expect(not clamped or (alpha > 0 and limit > 0), f"experts by {gate}: {alpha=} and {limit=} not positive")
        gates, ups, downs = (self._weight(name, "matrix") for name in (gate, up, down))
        for weight in (gates, ups, downs):
            self._expect(weight.rows % experts == 0, f"{weight.name}: {weight.rows} rows are not {experts} experts")
        self._same(f"experts by {gate} and {up}", gates.rows, ups.rows)
        for weight in (gates, ups):
            self._same(f"experts by {weight.name}", x.size, weight.columns)
        self._same(f"experts by {down}", gates.rows // experts, downs.columns)
        for bias, rows in ((gate_bias, gates.rows), (up_bias, ups.rows), (down_bias, downs.rows)):
            if bias is not None:
                self._same(f"bias {bias}", rows, self._weight(bias, "vector").columns)
        out = self._value(downs.rows // experts, x.rows)
        weights = (gate, up, down, gate_bias, up_bias, down_bias)
        kind = (experts, chosen, renormalise, activation, alpha, limit)
        self.ops.append(MixExperts(out.id, x.id, router.id, *weights, *kind))
        return out

    def select(self, x: Value) -> Value:
        """[logit rows, x.size]: what follows is computed only where logits are wanted."""
        out = self._value(x.size, "logits")
        self.ops.append(Select(out.id, x.id))
        return out

    def finish(self, logits: Value) -> Program:
        """Name the result and check the whole."""
        self.logits = logits
        self.check()
        return self

    def check(self) -> None:
        """Raise ValueError unless every op uses earlier values of its own rows, and every weight is used."""
        self._expect(self.logits is not None and self.logits.rows == "logits", "a Program ends in selected rows")
        used: set[str] = set()
        for index, op in enumerate(self.ops):
            self._expect(op.out == index, f"op {index} writes value {op.out}")
            rows = {self.values[id_].rows for id_ in operands(op)}
            self._expect(all(id_ < index for id_ in operands(op)), f"op {index} uses a later value: {op}")
            self._expect(len(rows) <= 1, f"op {index} mixes token rows and logit rows: {op}")
            if isinstance(op, Rope | Attend | Select):
                self._expect(rows == {"tokens"}, f"op {index} needs token rows: {op}")
            used |= set(weights(op))
        unused = sorted(set(self.weights) - used)
        self._expect(not unused, f"weights that no op uses: {', '.join(unused)}")

    def to_ops(self) -> list[dict[str, Any]]:
        """Plain dictionaries for `myna._native.Executor`: weights first, then ops, then the result."""
        self.check()
        assert self.logits is not None
        weights = [{"op": "weight", **asdict(weight)} for weight in self.weights.values()]
        ops = [{"op": type(op).__name__.lower(), **asdict(op)} for op in self.ops]
        return [*weights, *ops, {"op": "output", "x": self.logits.id}]

    def __str__(self) -> str:
        lines = []
        for op in self.ops:
            value = self.values[op.out]
            names = [f"%{id_}" for id_ in operands(op)]
            rest = [
                f"{field.name}={getattr(op, field.name)!r}"
                for field in fields(op)
                if field.name not in ("out", *OPERANDS) and getattr(op, field.name) not in (None, (), field.default)
            ]
            lines.append(f"%{op.out} [{value.rows}, {value.size}] = {type(op).__name__}({', '.join(names + rest)})")
        if self.logits is not None:
            lines.append(f"logits = %{self.logits.id}")
        return "\n".join(lines)

    def _declare(self, weight: Weight) -> str:
        known = self.weights.setdefault(weight.name, weight)
        self._expect(known == weight, f"weight {weight.name} declared as {known} and as {weight}")
        self._expect(weight.rows > 0 and weight.columns > 0, f"weight {weight.name} is empty: {weight}")
        return weight.name

    def _weight(self, name: str, kind: str) -> Weight:
        self._expect(name in self.weights, f"weight {name} is not declared")
        self._expect(self.weights[name].kind == kind, f"weight {name} is not a {kind}")
        return self.weights[name]

    def _value(self, size: int, rows: Rows) -> Value:
        value = Value(len(self.values), size, rows)
        self.values.append(value)
        return value

    def _equal_heads(self, what: str, size: int, heads: int) -> int:
        """Elements of a head."""
        self._expect(heads > 0 and size % heads == 0, f"{what}: {size} elements are not {heads} equal heads")
        return size // heads

    def _same(self, what: str, a: int, b: int) -> None:
        self._expect(a == b, f"{what}: sizes {a} and {b} differ")

    @staticmethod
    def _expect(condition: bool, message: str) -> None:
        if not condition:
            raise ValueError(message)


def operands(op: Op) -> tuple[int, ...]:
    """Ids of the values that an op reads, in order."""
    return tuple(getattr(op, name) for name in OPERANDS if hasattr(op, name))


def weights(op: Op) -> tuple[str, ...]:
    """Names of the weights that an op reads."""
    return tuple(name for field in WEIGHTS if (name := getattr(op, field, None)) is not None)
