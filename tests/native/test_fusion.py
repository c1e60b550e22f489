"""Programs that nobody would write: whatever ops stand next to each other, fused or not, the results are the same."""

import numpy as np
import pytest

from myna.models.config import RopeConfig
from myna.models.program import Program, Value, operands
from tests.native.models import INSTRUCTION_SETS, Model, batch, error, random_weights

SIZES = (12, 16, 24, 35, 48)
ACTIVATIONS = ("silu", "gelu", "gelu_tanh")


class Scribbler:
    """Appends random ops to a Program, mostly to its latest values, so that chains for the fusion come about."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.program = Program()
        self.values: list[Value] = []
        self.layers = 0
        self.embed("tokens")
        for _ in range(self.rng.integers(4, 22)):
            self.append()
        self.values = [self.program.select(self.pick())]
        for _ in range(self.rng.integers(0, 7)):
            self.append()
        last = self.pick()
        while any(last.id in operands(op) for op in self.program.ops):  # the result is not an operand too
            last = self.keep(self.program.add(last, last))
        self.program.finish(last)

    def keep(self, value: Value) -> Value:
        self.values.append(value)
        return value

    def pick(self, size: int | None = None) -> Value:
        """Some value, of the size if there is one."""
        fitting = [value for value in self.values if size in (None, value.size)]
        if not fitting:
            return self.linear(self.pick(), size)
        return fitting[-1 - min(int(self.rng.exponential(1.2)), len(fitting) - 1)]

    def weight(self, rows: int, columns: int | None = None) -> str:
        name = f"w{len(self.program.weights)}"
        if columns is None:
            return self.program.vector(f"{name}.bias" if self.rng.random() < 0.5 else name, rows)
        return self.program.matrix(name, rows, columns)

    def maybe(self, size: int) -> str | None:
        return self.weight(size) if self.rng.random() < 0.4 else None

    def heads_of(self, value: Value) -> int:
        return int(self.rng.choice([n for n in range(1, 7) if value.size % n == 0]))

    def append(self) -> None:
        steps = [
            self.norm,
            self.norm,
            self.linear,
            self.linear,
            self.activate,
            self.add,
            self.gate,
            self.plain,
            self.cap,
        ]
        if self.values[0].rows == "tokens":
            steps += [self.rope, self.attend, self.attend, self.embed]
        steps[self.rng.integers(len(steps))]()

    def embed(self, source: str = "positions") -> None:
        rows = 50 if source == "tokens" else 64
        weight = self.weight(rows, int(self.rng.choice(SIZES)))
        self.keep(self.program.embed(weight, source=source, scale=float(self.rng.choice([1.0, 0.5]))))

    def norm(self) -> None:
        x = self.pick()
        heads, kind = self.heads_of(x), str(self.rng.choice(["rms", "layer"]))
        size = x.size // heads
        self.keep(self.program.norm(x, self.weight(size), kind, 1e-5, self.maybe(size), heads=heads))

    def linear(self, x: Value | None = None, size: int | None = None) -> Value:
        x, size = x or self.pick(), size or int(self.rng.choice(SIZES))
        return self.keep(self.program.linear(x, self.weight(size, x.size), self.maybe(size)))

    def activate(self) -> None:
        self.keep(self.program.activation(self.pick(), str(self.rng.choice(ACTIVATIONS))))

    def cap(self) -> None:
        self.keep(self.program.softcap(self.pick(), 3.0))

    def add(self) -> None:
        x = self.pick()
        self.keep(self.program.add(*self.shuffled(x, self.pick(x.size))))

    def gate(self) -> None:
        x = self.pick()
        gate, up = self.linear(x, 24), self.linear(x, 24)
        activated = self.keep(self.program.activation(gate, str(self.rng.choice(ACTIVATIONS))))
        self.linear(self.keep(self.program.multiply(*self.shuffled(activated, up))))

    def plain(self) -> None:
        hidden = self.program.activation(self.linear(), str(self.rng.choice(ACTIVATIONS)))
        self.linear(self.keep(hidden))

    def rope(self, x: Value | None = None, heads: int = 0) -> Value:
        x = x or self.pick()
        while not heads or x.size // heads < 2:
            heads = self.heads_of(x)
        dims = 2 * int(self.rng.integers(1, x.size // heads // 2 + 1))
        layout = str(self.rng.choice(["half", "interleaved"]))
        return self.keep(self.program.rope(x, heads, RopeConfig(dims, 1e3, layout)))

    def attend(self) -> None:
        kv_heads, group, head_dim = int(self.rng.integers(1, 3)), int(self.rng.integers(1, 3)), 12
        heads = kv_heads * group
        q, k, v = (self.pick(n * head_dim) for n in (heads, kv_heads, kv_heads))
        for kind in ("norm", "rope"):
            if self.rng.random() < 0.5:
                q = self.turned(q, kind, heads)
            if self.rng.random() < 0.5:
                k = self.turned(k, kind, kv_heads)
        options = {"window": int(self.rng.choice([0, 9])), "sinks": self.maybe(heads)}
        self.keep(self.program.attention(q, k, v, layer=self.layers, heads=heads, kv_heads=kv_heads, **options))
        self.layers += 1

    def turned(self, x: Value, kind: str, heads: int) -> Value:
        if kind == "rope":
            return self.rope(x, heads)
        return self.keep(self.program.norm(x, self.weight(x.size // heads), "rms", 1e-5, heads=heads))

    def shuffled(self, *values: Value) -> list[Value]:
        return [values[i] for i in self.rng.permutation(len(values))]


@pytest.mark.parametrize("seed", range(120))
def test_random_programs(seed):
    program = Scribbler(seed).program
    model = Model(program, random_weights(program), instruction_set=INSTRUCTION_SETS[0 if seed % 4 else -1])
    rng = np.random.default_rng(seed)
    for step in (
        batch([(rng.integers(0, 50, 20), 0, [0, 1]), (rng.integers(0, 50, 5), 0, [2])]),
        batch([(rng.integers(0, 50, 1), 20, [0, 1]), (rng.integers(0, 50, 3), 5, [2])], [0, 2]),
    ):
        with np.errstate(over="ignore"):
            expected = model.expect(step)
        # Norms of nearly equal numbers magnify rounding; a mistake in fusing would show in the first digit.
        assert error(model.run(step), expected) < 1e-3, str(program)
