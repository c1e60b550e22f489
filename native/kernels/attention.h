// Attention over one chunk of cached keys, and the merge of chunks. Included inside the variant's namespace, after
// its lanes and elementwise.h. For each query, keys are taken in order whatever other queries are computed with it.
//
// Keys are taken in strips of a few sixteens, and each strip meets all queries, some at a time. Where that is more than
// once, float16 keys and values are widened before.

struct HalfCache {
    typedef uint16_t Element;
    static inline Floats get(const uint16_t *p) { return load_half(p); }
};
struct FloatCache {
    typedef float Element;
    static inline Floats get(const float *p) { return load(p); }
};

enum { STRIP = 4, WIDE_STRIP = 2 };

// Keys of sixteens first … first + count - 1 of a chunk, each [head_dim][16], or their values, each [16][padded].
template <typename Element> struct Strip {
    int first, count;
    const Element *part[STRIP];
};

static inline size_t padded_dim(const AttentionChunk &c) { return (size_t)(c.head_dim + 15) / 16 * 16; }
static inline size_t score_stride(const AttentionChunk &c) { return (size_t)(c.count + 15) / 16 * 16; }

template <typename Element>
static inline Strip<Element> find_strip(const AttentionChunk &c, int first, int most, bool values) {
    const int left = (c.count + 15) / 16 - first;
    Strip<Element> strip = {first, left < most ? left : most, {}};
    for (int i = 0; i < strip.count; i++) {
        const int key = c.first + 16 * (first + i), slot = key % c.block_size;
        const size_t start =
            values ? (size_t)c.block_size * c.head_dim + slot * padded_dim(c) : (size_t)slot * c.head_dim;
        strip.part[i] = (const Element *)c.cache + c.blocks[key / c.block_size] * c.block_stride + start;
    }
    return strip;
}

static inline Strip<float> widened(const AttentionChunk &c, const Strip<uint16_t> &strip, size_t size) {
    Strip<float> wide = {strip.first, strip.count, {}};
    for (int i = 0; i < strip.count; i++) {
        float *to = c.strip + i * size;
        for (size_t j = 0; j < size; j += 16) store(to + j, load_half(strip.part[i] + j));
        wide.part[i] = to;
    }
    return wide;
}

// Scores of COUNT queries against PARTS sixteens of a strip, a lane a key.
template <typename Cache, int COUNT, int PARTS>
static inline void score_parts(const AttentionChunk &c, int query, const Strip<typename Cache::Element> &strip,
                               int part) {
    const float *vectors[COUNT];
    for (int q = 0; q < COUNT; q++) vectors[q] = c.query[query + q].vector;
    Floats scores[COUNT][PARTS];
    for (int q = 0; q < COUNT; q++)
        for (int b = 0; b < PARTS; b++) scores[q][b] = splat(0);
    for (int d = 0; d < c.head_dim; d++) {
        Floats k[PARTS];
        for (int b = 0; b < PARTS; b++) k[b] = Cache::get(strip.part[part + b] + (size_t)d * 16);
        for (int q = 0; q < COUNT; q++) {
            const Floats x = splat(vectors[q][d]);
            for (int b = 0; b < PARTS; b++) scores[q][b] = fma(k[b], x, scores[q][b]);
        }
    }
    for (int q = 0; q < COUNT; q++)
        for (int b = 0; b < PARTS; b++)
            store(c.scores + (query + q) * score_stride(c) + 16 * (strip.first + part + b), scores[q][b]);
}

template <typename Cache, int COUNT>
static void score_strip(const AttentionChunk &c, int query, int count, const Strip<typename Cache::Element> &strip) {
    if (count == COUNT) {
        // Few queries leave registers for more keys, which hide each other's latency.
        constexpr int PARTS = STRIP * COUNT <= SCORES ? (int)STRIP : 2 * COUNT <= SCORES ? 2 : 1;
        int part = 0;
        for (; part + PARTS <= strip.count; part += PARTS) score_parts<Cache, COUNT, PARTS>(c, query, strip, part);
        for (; part < strip.count; part++) score_parts<Cache, COUNT, 1>(c, query, strip, part);
    } else if constexpr (COUNT > 1) {
        score_strip<Cache, COUNT - 1>(c, query, count, strip);
    }
}

template <typename Cache>
static void score_queries(const AttentionChunk &c, const Strip<typename Cache::Element> &strip) {
    const int turns = (c.queries + SCORE_QUERIES - 1) / SCORE_QUERIES;
    for (int turn = 0, query = 0; turn < turns; turn++) {
        const int count = c.queries / turns + (turn < c.queries % turns);
        score_strip<Cache, SCORE_QUERIES>(c, query, count, strip);
        query += count;
    }
}

// What becomes of a query's scores before the softmax, where that is more than a factor.
static void bend(const AttentionChunk &c, const Query &q, float *scores, int start) {
    static const float lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int i = start; i < q.last; i += 16) {
        Floats s = mul(load(scores + i), splat(c.scale));
        if (c.cap) s = cap_at(s, splat(c.cap));
        if (c.sloped) s = fma(splat(q.slope), add(load(lanes), splat((float)(i - q.position))), s);
        store(scores + i, s);
    }
}

// Scores of one query become exp(final score - largest); keys that it may not see become 0.
static void soften(const AttentionChunk &c, int query) {
    const Query &q = c.query[query];
    const int stride = (int)score_stride(c), start = q.first / 16 * 16, stop = (q.last + 15) / 16 * 16;
    float *scores = c.scores + (size_t)query * stride;
    const bool bent = c.cap || c.sloped;
    if (bent) bend(c, q, scores, start);
    const Floats scale = splat(bent ? 1 : c.scale);
    if (start < stop) {
        for (int i = start; i < q.first; i++) scores[i] = -INFINITY;
        for (int i = q.last; i < stop; i++) scores[i] = -INFINITY;
    }
    Floats peak = splat(-INFINITY), total = splat(0);
    for (int i = start; i < stop; i += 16) peak = max(peak, mul(load(scores + i), scale));
    const float largest_score = largest(peak);
    const Floats top = splat(largest_score);
    for (int i = start; i < stop; i += 16) {
        Floats p = exp(sub(mul(load(scores + i), scale), top));
        store(scores + i, p);
        total = add(total, p);
    }
    for (int i = 0; i < start && i < stride; i += 16) store(scores + i, splat(0));
    for (int i = stop; i < stride; i += 16) store(scores + i, splat(0));
    c.largest[query] = largest_score;
    c.total[query] = sum(total);
}

// mixed[lanes] += p * values of a strip, for COUNT queries and LANES registers of the head.
template <typename Cache, int COUNT, int LANES>
static inline void mix_values(const AttentionChunk &c, int query, const Strip<typename Cache::Element> &strip,
                              size_t lane) {
    const size_t padded = padded_dim(c), stride = score_stride(c);
    int first = c.count, last = 0;  // keys that some of the queries see
    for (int q = 0; q < COUNT; q++) {
        first = first < c.query[query + q].first ? first : c.query[query + q].first;
        last = last > c.query[query + q].last ? last : c.query[query + q].last;
    }
    Floats mixed[COUNT][LANES];
    float *out = c.mixed + (size_t)query * padded + lane;
    for (int q = 0; q < COUNT; q++)
        for (int l = 0; l < LANES; l++) mixed[q][l] = strip.first ? load(out + q * padded + 16 * l) : splat(0);
    for (int part = 0; part < strip.count; part++) {
        const int start = 16 * (strip.first + part), stop = last < start + 16 ? last : start + 16;
        int key = first > start ? first : start;
        const typename Cache::Element *values = strip.part[part] + (key - start) * padded + lane;
        const float *p = c.scores + query * stride;
        for (; key < stop; key++, values += padded) {
            Floats v[LANES];
            for (int l = 0; l < LANES; l++) v[l] = Cache::get(values + 16 * l);
            for (int q = 0; q < COUNT; q++) {
                Floats weight = splat(p[q * stride + key]);
                for (int l = 0; l < LANES; l++) mixed[q][l] = fma(weight, v[l], mixed[q][l]);
            }
        }
    }
    for (int q = 0; q < COUNT; q++)
        for (int l = 0; l < LANES; l++) store(out + q * padded + 16 * l, mixed[q][l]);
}

template <typename Cache, int COUNT>
static void mix_strip(const AttentionChunk &c, int query, int count, const Strip<typename Cache::Element> &strip) {
    if (count == COUNT) {
        const size_t padded = padded_dim(c);
        size_t lane = 0;
        for (; lane + 16 * MIX_LANES <= padded; lane += 16 * MIX_LANES)
            mix_values<Cache, COUNT, MIX_LANES>(c, query, strip, lane);
        for (; lane < padded; lane += 16) mix_values<Cache, COUNT, 1>(c, query, strip, lane);
    } else if constexpr (COUNT > 1) {
        mix_strip<Cache, COUNT - 1>(c, query, count, strip);
    }
}

template <typename Cache>
static void mix_queries(const AttentionChunk &c, const Strip<typename Cache::Element> &strip) {
    const int turns = (c.queries + MIX_QUERIES - 1) / MIX_QUERIES;
    for (int turn = 0, query = 0; turn < turns; turn++) {
        const int count = c.queries / turns + (turn < c.queries % turns);
        mix_strip<Cache, MIX_QUERIES>(c, query, count, strip);
        query += count;
    }
}

template <typename Cache> static void attend_in(const AttentionChunk &c) {
    typedef typename Cache::Element Element;
    const int parts = (c.count + 15) / 16;
    const bool widen = sizeof(Element) == 2 && c.queries > SCORE_QUERIES;
    const int most = widen ? WIDE_STRIP : STRIP;
    for (int part = 0; part < parts; part += most) {
        const Strip<Element> keys = find_strip<Element>(c, part, most, false);
        if constexpr (sizeof(Element) == 2)
            if (widen) {
                score_queries<FloatCache>(c, widened(c, keys, (size_t)c.head_dim * 16));
                continue;
            }
        score_queries<Cache>(c, keys);
    }
    for (int query = 0; query < c.queries; query++) soften(c, query);
    for (int part = 0; part < parts; part += most) {
        const Strip<Element> values = find_strip<Element>(c, part, most, true);
        if constexpr (sizeof(Element) == 2)
            if (widen) {
                mix_queries<FloatCache>(c, widened(c, values, padded_dim(c) * 16));
                continue;
            }
        mix_queries<Cache>(c, values);
    }
}

static void attend(const AttentionChunk &chunk) {
    if (chunk.half) attend_in<HalfCache>(chunk);
    else attend_in<FloatCache>(chunk);
}

// Sixteens of the merged values, each chunk's times its weight.
template <int PARTS>
static inline void merge_parts(int chunks, int apart, const float *peaks, float peak, float total, const float *mixed,
                               int padded, float *out, int size) {
    Floats values[PARTS];
    for (int part = 0; part < PARTS; part++) values[part] = splat(0);
    for (int i = 0; i < chunks; i++, mixed += (size_t)apart * padded) {
        const Floats weight = exp(splat(peaks[i * apart] - peak));
        for (int part = 0; part < PARTS; part++) values[part] = fma(weight, load(mixed + 16 * part), values[part]);
    }
    for (int part = 0; part < PARTS; part++)
        store_part(out + 16 * part, div(values[part], splat(total)), size - 16 * part);
}

// Online softmax over chunks (Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867). Chunk i's results lie
// at index i * apart.
static void merge(int chunks, int apart, float sink, const float *peaks, const float *totals, const float *mixed,
                  int head_dim, float *out) {
    int padded = (head_dim + 15) / 16 * 16;
    float peak = sink, lanes[16];
    for (int i = 0; i < chunks; i++) peak = peaks[i * apart] > peak ? peaks[i * apart] : peak;
    store(lanes, exp(splat(sink - peak)));
    float total = lanes[0];
    for (int i = 0; i < chunks; i++) {
        store(lanes, exp(splat(peaks[i * apart] - peak)));
        total += lanes[0] * totals[i * apart];
    }
    int d = 0;
    for (; d + 64 <= padded; d += 64)
        merge_parts<4>(chunks, apart, peaks, peak, total, mixed + d, padded, out + d, head_dim - d);
    for (; d < padded; d += 16)
        merge_parts<1>(chunks, apart, peaks, peak, total, mixed + d, padded, out + d, head_dim - d);
}
