"""What people answer in chapter 04: right ones in several styles, and wrong ones with what is said of them."""

import numpy as np


def by_place(found, truth):
    return (found == truth).mean()


def doubles_counted(found, truth):
    return np.mean([[row in t for row in f] for f, t in zip(found, truth, strict=True)])


def over_what_came_back(found, truth):
    shares = [len(set(f) & set(t)) / len(set(f)) for f, t in zip(found, truth, strict=True)]
    return np.mean(shares)


def all_queries_mixed(found, truth):
    return np.isin(truth, found).mean()


def not_divided(found, truth):
    return sum(len(set(f) & set(t)) for f, t in zip(found, truth, strict=True))


def for_each_query(found, truth):
    return [len(set(f) & set(t)) / len(t) for f, t in zip(found, truth, strict=True)]


def restore(codes, low, step):
    return low + codes * step


def _quantiser(axis=0, steps=255, rounded=True, kind=np.uint8):
    def quantise(vectors):
        low = vectors.min(axis=axis)
        step = (vectors.max(axis=axis) - low) / steps
        scaled = (vectors - low) / np.where(step == 0, 1, step)
        if rounded:
            scaled = np.round(scaled)
        # through int64, so that 256 wraps around on every processor
        return scaled.astype(np.int64).astype(kind), low, step

    return quantise


def no_constant(vectors):
    low = vectors.min(axis=0)
    step = (vectors.max(axis=0) - low) / 255
    step = np.where(step == 0, np.nan, step)
    return np.nan_to_num(np.round((vectors - low) / step)).astype(np.uint8), low, step


def best_recall(runs, recall, megabytes):
    fit = [r for r in runs if r["recall"] >= recall and r["MB"] <= megabytes]
    return max(fit, key=lambda r: r["recall"], default=None)


def strictly(runs, recall, megabytes):
    fit = [r for r in runs if r["recall"] > recall and r["MB"] < megabytes]
    return min(fit, key=lambda r: r["ms"], default=None)


def memory_forgotten(runs, recall, megabytes):
    return min((r for r in runs if r["recall"] >= recall), key=lambda r: r["ms"], default=None)


def recall_forgotten(runs, recall, megabytes):
    return min((r for r in runs if r["MB"] <= megabytes), key=lambda r: r["ms"], default=None)


def first_fit(runs, recall, megabytes):
    return next((r for r in runs if r["recall"] >= recall and r["MB"] <= megabytes), None)


def name_only(runs, recall, megabytes):
    fit = [r for r in runs if r["recall"] >= recall and r["MB"] <= megabytes]
    return min(fit, key=lambda r: r["ms"])["name"]


def raises_when_none(runs, recall, megabytes):
    fit = [r for r in runs if r["recall"] >= recall and r["MB"] <= megabytes]
    return min(fit, key=lambda r: r["ms"])


def _maker(form="nested", proof="milvus", metric="COSINE"):
    def create_index(client, collection, kind, params):
        index = client.prepare_index_params()
        given = {
            "nested": {"params": {"params": params}},
            "params": {"params": params},
            "arguments": dict(params),
        }[form]
        index.add_index("vector", index_type=kind, metric_type=metric, **given)
        client.create_index(collection, index)
        if proof == "none":
            return params
        described = client.describe_index(collection, "vector")
        if proof == "key":
            return described["params"]
        arrived = described.get("params", {})
        if proof == "any" and params and not arrived:
            raise ValueError("nothing arrived")
        if proof == "milvus" and arrived != params:
            raise ValueError(f"{params} asked for, {arrived} arrived")
        return arrived

    return create_index


def nothing_created(client, collection, kind, params):
    return params


# ------------------------------------------------------------------------------------------- 4.1


def with_sets(found, nearest):
    return np.mean([len(set(f) & set(t)) / len(t) for f, t in zip(found, nearest, strict=True)])


def with_loops(found, nearest):
    right = 0
    for query in range(len(nearest)):
        for row in nearest[query]:
            if row in found[query]:
                right += 1
    return right / nearest.size


def with_broadcasting(found, nearest):
    return (nearest[:, :, None] == found[:, None, :]).any(axis=2).mean()


def with_intersect1d(found, nearest):
    total = 0
    for row, true in zip(found, nearest, strict=True):
        total += len(np.intersect1d(row, true))
    return float(total) / (nearest.shape[0] * nearest.shape[1])


def zero_forgotten(found, nearest):
    hits = [[row for row in set(f) & set(t) if row] for f, t in zip(found, nearest, strict=True)]
    return sum(map(len, hits)) / nearest.size


def of_ten(found, nearest):
    return np.mean([len(set(f) & set(t)) / 10 for f, t in zip(found, nearest, strict=True)])


def in_percent(found, nearest):
    return 100 * with_sets(found, nearest)


def first_query(found, nearest):
    return len(set(found[0]) & set(nearest[0])) / len(nearest[0])


def sorted_in_place(found, nearest):
    found.sort(axis=1)
    nearest.sort(axis=1)
    return (found == nearest).mean()


def no_return(found, nearest):
    np.mean([len(set(f) & set(t)) / len(t) for f, t in zip(found, nearest, strict=True)])


def worst_query(found, nearest):
    return min(len(set(f) & set(t)) / len(t) for f, t in zip(found, nearest, strict=True))


# ------------------------------------------------------------------------------------------- 4.2


def where(table):
    low, high = table.min(axis=0), table.max(axis=0)
    step = (high - low) / 255
    safe = np.where(step == 0, 1, step)
    return np.round((table - low) / safe).astype(np.uint8), low, step


def column_by_column(table):
    n, d = table.shape
    codes, low, step = np.zeros((n, d), np.uint8), np.zeros(d), np.zeros(d)
    for column in range(d):
        values = table[:, column]
        low[column] = min(values)
        step[column] = (max(values) - min(values)) / 255
        if step[column] > 0:
            codes[:, column] = np.rint((values - low[column]) / step[column])
    return codes, low, step


def add_a_half(table):
    low = table.min(0)
    step = np.ptp(table, axis=0) / 255
    step[step == 0] = 1
    return [((table - low) / step + 0.5).astype("uint8"), low, step]


def restore_loops(codes, low, step):
    back = np.empty(codes.shape)
    for row in range(codes.shape[0]):
        for column in range(codes.shape[1]):
            back[row, column] = low[column] + int(codes[row, column]) * step[column]
    return back


def divides_by_zero(table):
    low = table.min(axis=0)
    step = (table.max(axis=0) - low) / 255
    return np.round((table - low) / step).astype(np.uint8), low, step


def whole_table_spread_out(table):
    low, step = table.min(), (table.max() - table.min()) / 255
    codes = np.round((table - low) / step).astype(np.uint8)
    return codes, np.full(table.shape[1], low), np.full(table.shape[1], step)


def in_place(table):
    low = table.min(axis=0)
    table -= low
    step = table.max(axis=0) / 255
    step[step == 0] = 1
    return np.round(table / step).astype(np.uint8), low, step


def another_order(table):
    codes, low, step = where(table)
    return low, step, codes


def range_as_step(table):
    codes, low, step = where(table)
    return codes, low, step * 255


_seen = {}


def remembers(table):
    _seen["table"] = table.copy()
    return where(table)


def forgets_low(codes, low, step):
    return codes * step


def middle_of_the_step(codes, low, step):
    return low + (codes + 0.5) * step


def in_bytes(codes, low, step):
    return low + codes * step.astype(np.uint8)


# ------------------------------------------------------------------------------------------- 4.3


def sorted_first(options, least, megabytes):
    for option in sorted(options, key=lambda one: one["ms"]):
        if option["recall"] >= least and option["MB"] <= megabytes:
            return option
    return None


def best_so_far(options, least, megabytes):
    best = None
    for option in options:
        if option["recall"] < least or option["MB"] > megabytes:
            continue
        if best is None or option["ms"] < best["ms"]:
            best = option
    return best


def with_filter(options, least, megabytes):
    fits = list(filter(lambda o: o["recall"] >= least and o["MB"] <= megabytes, options))
    return min(fits, key=lambda o: o["ms"]) if fits else None


def with_numpy(options, least, megabytes):
    fits = [o for o in options if o["recall"] >= least and o["MB"] <= megabytes]
    if len(fits) == 0:
        return None
    return fits[int(np.argmin([o["ms"] for o in fits]))]


def sorts_in_place(options, least, megabytes):
    options.sort(key=lambda one: one["ms"])
    return sorted_first(options, least, megabytes)


def fastest_then_looks(options, least, megabytes):
    fastest = min(options, key=lambda one: one["ms"], default=None)
    if fastest and fastest["recall"] >= least and fastest["MB"] <= megabytes:
        return fastest


def slowest(options, least, megabytes):
    fit = [o for o in options if o["recall"] >= least and o["MB"] <= megabytes]
    return max(fit, key=lambda one: one["ms"], default=None)


def pairs(options, least, megabytes):
    fit = [(o["ms"], o) for o in options if o["recall"] >= least and o["MB"] <= megabytes]
    return min(fit)[1] if fit else None


def large_number(options, least, megabytes):
    best, time = None, 1000
    for option in options:
        if option["recall"] >= least and option["MB"] <= megabytes and option["ms"] < time:
            best, time = option, option["ms"]
    return best


def all_that_fit(options, least, megabytes):
    return [o for o in options if o["recall"] >= least and o["MB"] <= megabytes]


# ------------------------------------------------------------------------------------------- 4.4


def short_form(milvus, collection, kind, params):
    index = milvus.prepare_index_params()
    index.add_index("vector", index_type=kind, metric_type="COSINE", params={"params": params})
    milvus.create_index(collection, index)
    arrived = milvus.describe_index(collection, "vector").get("params", {})
    if arrived != params:
        raise ValueError(f"{arrived} arrived")
    return arrived


def key_by_key(milvus, collection, kind, params):
    index = milvus.prepare_index_params(
        field_name="vector",
        index_type=kind,
        metric_type="COSINE",
        index_name="vector",
        params={"params": dict(params)},
    )
    milvus.create_index(collection_name=collection, index_params=index)
    described = milvus.describe_index(collection, "vector")
    arrived = dict(described.get("params") or {})
    for key in set(params) | set(arrived):
        if key not in arrived or key not in params or arrived[key] != params[key]:
            raise ValueError(f"{key} did not arrive")
    return arrived


def drops_the_old_one(milvus, collection, kind, params):
    for name in milvus.list_indexes(collection):
        milvus.drop_index(collection, name)
    return short_form(milvus, collection, kind, params)


def hard_rows(milvus, collection, kind, params):
    return short_form(milvus, "rows", kind, params)


def mutates(milvus, collection, kind, params):
    arguments = params
    arguments["params"] = params.copy()
    index = milvus.prepare_index_params()
    index.add_index("vector", index_type=kind, metric_type="COSINE", params=arguments)
    milvus.create_index(collection, index)
    return milvus.describe_index(collection, "vector").get("params", {})


def changes_params_and_arrives(milvus, collection, kind, params):
    arrived = short_form(milvus, collection, kind, params)
    params.clear()
    return arrived


def counts_only(milvus, collection, kind, params):
    index = milvus.prepare_index_params()
    index.add_index("vector", index_type=kind, metric_type="COSINE", params={"params": params})
    milvus.create_index(collection, index)
    arrived = milvus.describe_index(collection, "vector").get("params", {})
    if len(arrived) != len(params):
        raise ValueError("not all arrived")
    return arrived


def asserts(milvus, collection, kind, params):
    arrived = _maker(proof="nobody")(milvus, collection, kind, params)
    assert arrived == params
    return arrived


def always_hnsw(milvus, collection, kind, params):
    return short_form(milvus, collection, "HNSW", params)


def says_nothing(milvus, collection, kind, params):
    short_form(milvus, collection, kind, params)


RIGHT = {
    "4.1": [with_sets, with_loops, with_broadcasting, with_intersect1d],
    "4.2": [
        (where, restore),
        (column_by_column, restore_loops),
        (add_a_half, lambda codes, low, step: codes.astype(np.float32) * step + low),
        (_quantiser(), restore),
    ],
    "4.3": [sorted_first, best_so_far, with_filter, with_numpy],
    "4.4": [short_form, key_by_key, drops_the_old_one, _maker()],
}
WRONG = {
    "4.1": [
        (by_place, "in another order"),
        (doubles_counted, "rows came back twice"),
        (over_what_came_back, "rows came back twice"),
        (all_queries_mixed, "the other's rows"),
        (not_divided, "a share is at most 1"),
        (for_each_query, "one number for all queries"),
        (zero_forgotten, "everything was found"),
        (of_ten, "everything was found"),
        (in_percent, "a share is at most 1"),
        (first_query, "3 of 8"),
        (sorted_in_place, "changes what it was given"),
        (no_return, "returns nothing"),
        (worst_query, "3 of 8"),
    ],
    "4.2": [
        ((_quantiser(axis=None), restore), "one range for the whole table"),
        ((whole_table_spread_out, restore), "the lowest value is"),
        ((_quantiser(axis=1), restore), "could not be broadcast"),
        ((_quantiser(rounded=False), restore), "cut off, not rounded"),
        ((_quantiser(steps=256), restore), "1/255 of that"),
        ((_quantiser(kind=np.float32), restore), "uint8"),
        ((_quantiser(kind=np.int8), restore), "uint8"),
        ((no_constant, restore), "nan or infinity"),
        ((divides_by_zero, restore), "divide by zero"),
        ((in_place, restore), "changes what it was given"),
        ((another_order, restore), "the order of what"),
        ((range_as_step, lambda codes, low, step: low + codes / 255 * step), "1/255 of that"),
        ((remembers, lambda codes, low, step: _seen["table"]), "come from elsewhere"),
        ((where, forgets_low), "comes back as"),
        ((where, middle_of_the_step), "comes back as"),
        ((where, in_bytes), "comes back as"),
        ((where, lambda codes, low, step: None), "returns nothing"),
    ],
    "4.3": [
        (best_recall, "is faster"),
        (strictly, "exactly the recall asked for"),
        (memory_forgotten, "needs 19.0 MB"),
        (recall_forgotten, "recall of 0.7 only"),
        (first_fit, "is faster"),
        (name_only, "one of the options as it is"),
        (raises_when_none, "return None"),
        (sorts_in_place, "changes what it was given"),
        (fastest_then_looks, "meets both"),
        (slowest, "is faster"),
        (pairs, "equally fast"),
        (large_number, "takes two minutes"),
        (all_that_fit, "one of the options as it is"),
    ],
    "4.4": [
        (_maker(form="params", proof="none"), "never reached the index"),
        (_maker(form="arguments", proof="none"), "never reached the index"),
        (_maker(form="params"), "now make them arrive"),
        (_maker(proof="none"), "as if all were well"),
        (_maker(proof="any"), "does not show efConstruction"),
        (_maker(proof="key"), "though nothing is amiss"),
        (_maker(metric="L2"), "not COSINE"),
        (nothing_created, "no index afterwards"),
        (hard_rows, "is in 'rows'"),
        (mutates, "changes the `params`"),
        (changes_params_and_arrives, "changes the `params`"),
        (counts_only, "shows M=16, where 8 was asked for"),
        (asserts, "raise ValueError, not AssertionError"),
        (always_hnsw, "IVF_FLAT"),
        (says_nothing, "return what the index has"),
    ],
}
