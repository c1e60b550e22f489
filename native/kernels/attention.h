// Attention over one chunk of cached keys, and the merge of chunks. Included inside the variant's namespace, after
// its lanes and elementwise.h. For each query, keys are taken in order whatever other queries are computed with it.

struct HalfCache {
    typedef uint16_t Element;
    static inline Floats get(const uint16_t *p) { return load_half(p); }
};
struct FloatCache {
    typedef float Element;
    static inline Floats get(const float *p) { return load(p); }
};

template <typename Cache> static inline const typename Cache::Element *cache_block(const AttentionChunk &c, int key) {
    return (const typename Cache::Element *)c.cache + (size_t)c.blocks[key / c.block_size] * c.block_stride;
}

// Scores of COUNT queries against BLOCKS times 16 keys, a lane a key.
template <typename Cache, int COUNT, int BLOCKS>
static inline void score_keys(const AttentionChunk &c, int query, int key) {
    const typename Cache::Element *keys[BLOCKS];
    const float *vectors[COUNT];
    for (int q = 0; q < COUNT; q++) vectors[q] = c.query[query + q].vector;
    Floats scores[COUNT][BLOCKS];
    for (int b = 0; b < BLOCKS; b++) {
        int first = key + 16 * b;
        keys[b] = cache_block<Cache>(c, first) + (size_t)(first % c.block_size / 16) * c.head_dim * 16;
        for (int q = 0; q < COUNT; q++) scores[q][b] = splat(0);
    }
    for (int d = 0; d < c.head_dim; d++) {
        Floats k[BLOCKS];
        for (int b = 0; b < BLOCKS; b++) k[b] = Cache::get(keys[b] + (size_t)d * 16);
        for (int q = 0; q < COUNT; q++)
            for (int b = 0; b < BLOCKS; b++) scores[q][b] = fma(k[b], splat(vectors[q][d]), scores[q][b]);
    }
    size_t stride = (size_t)(c.count + 15) / 16 * 16;
    for (int q = 0; q < COUNT; q++)
        for (int b = 0; b < BLOCKS; b++)
            store(c.scores + (query + q) * stride + (key - c.first) + 16 * b, scores[q][b]);
}

template <typename Cache, int COUNT> static void score_rest(const AttentionChunk &c, int query, int count) {
    if (count == COUNT) {
        // Few queries leave registers for two blocks of keys, which hide each other's latency.
        int key = c.first, stop = c.first + c.count;
        if constexpr (2 * COUNT <= SCORE_QUERIES)
            for (; key + 16 < stop; key += 32) score_keys<Cache, COUNT, 2>(c, query, key);
        for (; key < stop; key += 16) score_keys<Cache, COUNT, 1>(c, query, key);
    } else if constexpr (COUNT > 1) {
        score_rest<Cache, COUNT - 1>(c, query, count);
    }
}

// Scores of one query become exp(final score - largest); keys that it may not see become 0.
static void soften(const AttentionChunk &c, int query) {
    static const float lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    size_t stride = (size_t)(c.count + 15) / 16 * 16;
    float *scores = c.scores + query * stride;
    const Query &q = c.query[query];
    const int start = q.first / 16 * 16;
    const Floats scale = splat(c.scale);
    Floats peak = splat(-INFINITY), total = splat(0);
    for (int i = start; i < q.last; i += 16) {
        Floats s = mul(load(scores + i), scale);
        if (c.cap) s = cap_at(s, splat(c.cap));
        if (c.sloped) s = fma(splat(q.slope), add(load(lanes), splat((float)(i - q.position))), s);
        store(scores + i, s);
        if (i < q.first || q.last - i < 16) {
            for (int j = 0; j < q.first - i; j++) scores[i + j] = -INFINITY;
            for (int j = q.last - i; j < 16; j++) scores[i + j] = -INFINITY;
            s = load(scores + i);
        }
        peak = max(peak, s);
    }
    float top = largest(peak);
    for (int i = 0; i < (int)stride; i += 16) {
        Floats p = i >= start && i < q.last ? exp(sub(load(scores + i), splat(top))) : splat(0);
        store(scores + i, p);
        total = add(total, p);
    }
    c.largest[query] = top;
    c.total[query] = sum(total);
}

// mixed[lanes] += p * values for COUNT queries and LANES registers of the head.
template <typename Cache, int COUNT, int LANES> static void mix_values(const AttentionChunk &c, int query, int lane) {
    int padded = (c.head_dim + 15) / 16 * 16, first = c.count, last = 0;
    size_t stride = (size_t)(c.count + 15) / 16 * 16;
    for (int q = 0; q < COUNT; q++) {
        first = first < c.query[query + q].first ? first : c.query[query + q].first;
        last = last > c.query[query + q].last ? last : c.query[query + q].last;
    }
    Floats mixed[COUNT][LANES];
    for (int q = 0; q < COUNT; q++)
        for (int l = 0; l < LANES; l++) mixed[q][l] = splat(0);
    const float *p = c.scores + query * stride;
    for (int i = first; i < last;) {
        int key = c.first + i, stop = c.block_size - key % c.block_size;
        if (stop > last - i) stop = last - i;
        const typename Cache::Element *values = cache_block<Cache>(c, key) + (size_t)c.block_size * c.head_dim +
                                                (size_t)(key % c.block_size) * padded + lane;
        for (stop += i; i < stop; i++, values += padded) {
            Floats v[LANES];
            for (int l = 0; l < LANES; l++) v[l] = Cache::get(values + 16 * l);
            for (int q = 0; q < COUNT; q++) {
                Floats weight = splat(p[q * stride + i]);
                for (int l = 0; l < LANES; l++) mixed[q][l] = fma(weight, v[l], mixed[q][l]);
            }
        }
    }
    for (int q = 0; q < COUNT; q++)
        for (int l = 0; l < LANES; l++) store(c.mixed + (size_t)(query + q) * padded + lane + 16 * l, mixed[q][l]);
}

template <typename Cache, int COUNT> static void mix_lanes(const AttentionChunk &c, int query) {
    int padded = (c.head_dim + 15) / 16 * 16, lane = 0;
    for (; lane + 16 * MIX_LANES <= padded; lane += 16 * MIX_LANES) mix_values<Cache, COUNT, MIX_LANES>(c, query, lane);
    for (; lane < padded; lane += 16) mix_values<Cache, COUNT, 1>(c, query, lane);
}

template <typename Cache, int COUNT> static void mix_rest(const AttentionChunk &c, int query, int count) {
    if (count == COUNT) mix_lanes<Cache, COUNT>(c, query);
    else if constexpr (COUNT > 1) mix_rest<Cache, COUNT - 1>(c, query, count);
}

template <typename Cache> static void attend_in(const AttentionChunk &c) {
    for (int query = 0; query < c.queries; query += SCORE_QUERIES) {
        int left = c.queries - query;
        score_rest<Cache, SCORE_QUERIES>(c, query, left < SCORE_QUERIES ? left : (int)SCORE_QUERIES);
    }
    for (int query = 0; query < c.queries; query++) soften(c, query);
    for (int query = 0; query < c.queries; query += MIX_QUERIES) {
        int left = c.queries - query;
        mix_rest<Cache, MIX_QUERIES>(c, query, left < MIX_QUERIES ? left : (int)MIX_QUERIES);
    }
}

static void attend(const AttentionChunk &chunk) {
    if (chunk.half) attend_in<HalfCache>(chunk);
    else attend_in<FloatCache>(chunk);
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
    for (int d = 0; d < head_dim; d += 16) {
        Floats value = splat(0);
        for (int i = 0; i < chunks; i++) {
            Floats weight = exp(splat(peaks[i * apart] - peak));
            value = fma(weight, load(mixed + (size_t)i * apart * padded + d), value);
        }
        store_part(out + d, div(value, splat(total)), head_dim - d);
    }
}
