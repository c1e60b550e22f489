// Row functions: norms, activations, rotary positions, int8 rounding, the cache's layout. Included inside the
// variant's namespace, after its lanes.

// The first `count` of sixteen floats; the other lanes are 0.
static inline Floats load_part(const float *p, int count) {
    if (count >= 16) return load(p);
    float lanes[16] = {0};
    memcpy(lanes, p, sizeof(float) * (size_t)count);
    return load(lanes);
}

static inline void store_part(float *p, Floats x, int count) {
    if (count >= 16) return store(p, x);
    float lanes[16];
    store(lanes, x);
    memcpy(p, lanes, sizeof(float) * (size_t)count);
}

// e^x to about one unit in the last place: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' expf).
// Below the smallest normal number it is 0, and above 88.37 it stops growing; NaN stays NaN.
static inline Floats exp(Floats x) {
    Floats bounded = min(splat(88.37f), x);
    Ints n = round_to_ints(mul(max(splat(-88.0f), bounded), splat(1.44269504088896341f)));
    Floats whole = to_floats(n), r = fma(whole, splat(-0.693359375f), bounded);
    r = fma(whole, splat(2.12194440e-4f), r);
    Floats p = splat(1.9875691500e-4f);
    p = fma(p, r, splat(1.3981999507e-3f));
    p = fma(p, r, splat(8.3334519073e-3f));
    p = fma(p, r, splat(4.1665795894e-2f));
    p = fma(p, r, splat(1.6666665459e-1f));
    p = fma(p, r, splat(5.0000001201e-1f));
    p = add(fma(p, mul(r, r), r), splat(1));
    return where_less(x, splat(-87.33f), splat(0), mul(p, power_of_two(n)));
}

static void quantise(const float *x, size_t stride, int columns, const Activations &to, int first_row, int last_row,
                     int first_group) {
    for (int row = first_row; row < last_row; row++, x += stride) {
        const size_t at = (size_t)row * to.groups + first_group;
        int8_t *codes = to.codes + at * GROUP;
        for (int group = 0; group * GROUP < columns; group++, codes += GROUP) {
            const int left = columns - group * GROUP;
            const float *from = x + group * GROUP;
            Floats a = load_part(from, left), b = left > 16 ? load_part(from + 16, left - 16) : splat(0);
            float size = largest_magnitude(max_magnitude(max_magnitude(splat(0), a), b));
            Floats inverse = splat(size > 0 ? 127.0f / size : 0);
            Ints m = round_to_ints(mul(a, inverse)), n = round_to_ints(mul(b, inverse));
            store_codes(codes, m);
            store_codes(codes + 16, n);
            to.scales[at + group] = size * (1.0f / 127.0f);  // NaN and infinity make every product of the row NaN
            to.sums[at + group] = sum(add(m, n));
        }
    }
}

static void scale_and_shift(const float *x, float centre, float scale, const float *weight, const float *bias, int size,
                            float *out) {
    for (int i = 0; i < size; i += 16) {
        Floats y =
            mul(mul(sub(load_part(x + i, size - i), splat(centre)), splat(scale)), load_part(weight + i, size - i));
        store_part(out + i, bias ? add(y, load_part(bias + i, size - i)) : y, size - i);
    }
}

static void rms_norm(const float *x, const float *weight, const float *bias, int size, float epsilon, float *out) {
    Floats squares = splat(0);
    for (int i = 0; i < size; i += 16) {
        Floats y = load_part(x + i, size - i);
        squares = fma(y, y, squares);
    }
    scale_and_shift(x, 0, 1 / sqrtf(sum(squares) / (float)size + epsilon), weight, bias, size, out);
}

static void layer_norm(const float *x, const float *weight, const float *bias, int size, float epsilon, float *out) {
    Floats total = splat(0), squares = splat(0);
    for (int i = 0; i < size; i += 16) total = add(total, load_part(x + i, size - i));
    float mean = sum(total) / (float)size;
    for (int i = 0; i < size; i += 16) {
        Floats y = sub(load_part(x + i, size - i), splat(mean));
        if (size - i < 16) {
            float lanes[16];
            store(lanes, y);
            y = load_part(lanes, size - i);
        }
        squares = fma(y, y, squares);
    }
    scale_and_shift(x, mean, 1 / sqrtf(sum(squares) / (float)size + epsilon), weight, bias, size, out);
}

static inline Floats sigmoid_times(Floats x, Floats y) { return div(x, add(splat(1), exp(sub(splat(0), y)))); }

// x * Phi(x): Phi(-a) = e^(-a^2 / 2) * t * P(t) with t = 1 / (1 + 0.33 a), where P is the polynomial whose largest
// relative error (5e-8 for a of 0 … 13.3) is the least.
static inline Floats gelu(Floats x) {
    static const float P[] = {0.13161927f, 0.13235441f,  0.110680796f, 0.123384535f, -0.060329866f,
                              0.23030363f, -0.27227673f, 0.12560043f,  -0.021336438f};
    Floats a = max(sub(splat(0), x), x), t = div(splat(1), fma(a, splat(0.33f), splat(1))), p = splat(P[8]);
    for (int i = 7; i >= 0; i--) p = fma(p, t, splat(P[i]));
    Floats tail = mul(x, mul(mul(t, p), exp(mul(mul(a, a), splat(-0.5f)))));
    return where_less(x, splat(0), tail, sub(x, tail));
}

static void activate(Activation kind, const float *x, float *out, int size) {
    for (int i = 0; i < size; i += 16) {
        Floats y = load_part(x + i, size - i);
        if (kind == Activation::silu) {
            y = sigmoid_times(y, y);
        } else if (kind == Activation::gelu_tanh) {
            // (1 + tanh(u)) / 2 is the sigmoid of 2u.
            Floats cubic = mul(mul(y, y), mul(y, splat(0.044715f)));
            y = sigmoid_times(y, mul(add(y, cubic), splat(1.5957691216057308f)));
        } else {
            y = gelu(y);
        }
        store_part(out + i, y, size - i);
    }
}

static void add_rows(const float *a, const float *b, float *out, int size) {
    for (int i = 0; i < size; i += 16)
        store_part(out + i, add(load_part(a + i, size - i), load_part(b + i, size - i)), size - i);
}

static void finish(const float *x, size_t stride, int rows, int size, const float *bias, const float *residual,
                   size_t residual_stride, float *out, size_t out_stride) {
    for (int row = 0; row < rows; row++, x += stride, out += out_stride) {
        for (int i = 0; i < size; i += 16) {
            Floats y = load(x + i);
            if (bias) y = add(y, load_part(bias + i, size - i));
            if (residual) y = add(y, load_part(residual + row * residual_stride + i, size - i));
            store_part(out + i, y, size - i);
        }
    }
}

static void multiply_rows(const float *a, const float *b, float *out, int size) {
    for (int i = 0; i < size; i += 16)
        store_part(out + i, mul(load_part(a + i, size - i), load_part(b + i, size - i)), size - i);
}

static void add_scaled(const float *x, float scale, float *out, int size) {
    for (int i = 0; i < size; i += 16)
        store_part(out + i, fma(splat(scale), load_part(x + i, size - i), load_part(out + i, size - i)), size - i);
}

// A polynomial near 0 (Cephes' tanhf), where 1 - 2 / (e^2x + 1) would cancel.
static inline Floats tanh(Floats x) {
    Floats squares = mul(x, x), p = splat(-5.70498872745e-3f);
    p = fma(p, squares, splat(2.06390887954e-2f));
    p = fma(p, squares, splat(-5.37397155531e-2f));
    p = fma(p, squares, splat(1.33314422036e-1f));
    p = fma(p, squares, splat(-3.33332819422e-1f));
    Floats outer = sub(splat(1), div(splat(2), add(exp(add(x, x)), splat(1))));
    return where_less(squares, splat(0.625f * 0.625f), fma(mul(p, squares), x, x), outer);
}

static inline Floats cap_at(Floats x, Floats cap) { return mul(cap, tanh(div(x, cap))); }

static void softcap(const float *x, float cap, float *out, int size) {
    for (int i = 0; i < size; i += 16) store_part(out + i, cap_at(load_part(x + i, size - i), splat(cap)), size - i);
}

static void clamped_silu(const float *gate, const float *up, float alpha, float limit, float *out, int size) {
    const Floats most = splat(limit), least = splat(-limit);
    for (int i = 0; i < size; i += 16) {
        Floats g = min(most, load_part(gate + i, size - i));
        Floats u = max(least, min(most, load_part(up + i, size - i)));
        store_part(out + i, mul(sigmoid_times(g, mul(splat(alpha), g)), add(u, splat(1))), size - i);
    }
}

static void rope(float *x, int heads, int head_dim, int dims, bool interleaved, const float *cos, const float *sin) {
    int pairs = dims / 2;
    for (int head = 0; head < heads; head++, x += head_dim) {
        if (interleaved) {
            for (int i = 0; i < pairs; i++) {
                float a = x[2 * i], b = x[2 * i + 1];
                x[2 * i] = a * cos[i] - b * sin[i];
                x[2 * i + 1] = a * sin[i] + b * cos[i];
            }
        } else {
            for (int i = 0; i < pairs; i++) {
                float a = x[i], b = x[i + pairs];
                x[i] = a * cos[i] - b * sin[i];
                x[i + pairs] = a * sin[i] + b * cos[i];
            }
        }
    }
}

static void write_cache(const float *key, const float *value, int head_dim, int block_size, int slot, bool half,
                        void *block) {
    int padded = (head_dim + 15) / 16 * 16;
    size_t key_start = (size_t)(slot / 16) * head_dim * 16 + slot % 16;
    size_t value_start = (size_t)block_size * head_dim + (size_t)slot * padded;
    for (int i = 0; i < head_dim; i += 16) {
        int count = head_dim - i < 16 ? head_dim - i : 16;
        Floats k = load_part(key + i, count), v = load_part(value + i, count);
        if (half) {
            uint16_t lanes[16], *place = (uint16_t *)block;
            store_half(lanes, k);
            for (int j = 0; j < count; j++) place[key_start + (size_t)(i + j) * 16] = lanes[j];
            store_half(place + value_start + i, v);
        } else {
            float lanes[16], *place = (float *)block;
            store(lanes, k);
            for (int j = 0; j < count; j++) place[key_start + (size_t)(i + j) * 16] = lanes[j];
            store(place + value_start + i, v);
        }
    }
}

static void exponentials(const float *x, int size, float peak, float scale, float *out) {
    for (int i = 0; i < size; i += 16)
        store_part(out + i, exp(mul(sub(load_part(x + i, size - i), splat(peak)), splat(scale))), size - i);
}

static void log_sum_exp(const float *x, int size, float *peak, float *result) {
    // 0 * x is 0 unless x is infinite or NaN, which then stays in the sum.
    Floats top = load_part(x, size < 16 ? 1 : 16), poison = splat(0), total = splat(0);
    if (size < 16) top = splat(x[0]);
    for (int i = 0; i < size; i += 16) {
        int count = size - i;
        Floats y = count >= 16 ? load(x + i) : load_part(x + i, count);
        poison = fma(y, splat(0), poison);
        if (count < 16) {
            float lanes[16];
            for (int j = 0; j < 16; j++) lanes[j] = x[i + (j < count ? j : 0)];
            y = load(lanes);
        }
        top = max(top, y);
    }
    *peak = largest(top) + sum(poison);
    if (!result) return;
    for (int i = 0; i < size; i += 16) {
        float lanes[16];
        Floats y = exp(sub(load_part(x + i, size - i), splat(*peak)));
        if (size - i < 16) {
            store(lanes, y);
            y = load_part(lanes, size - i);
        }
        total = add(total, y);
    }
    *result = *peak + logf(sum(total));
}

static uint64_t read_words(const uint64_t *words, size_t count) {
    uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (size_t i = 0; i + 8 <= count; i += 8) {
        a += words[i], b += words[i + 1], c += words[i + 2], d += words[i + 3];
        e += words[i + 4], f += words[i + 5], g += words[i + 6], h += words[i + 7];
    }
    return a + b + c + d + e + f + g + h;
}
