"""Planted wrong answers of chapter 04, and what the check must say about each."""

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


WRONG = {
    "4.1": [
        (by_place, "in another order"),
        (doubles_counted, "rows came back twice"),
        (over_what_came_back, "rows came back twice"),
        (all_queries_mixed, "the other's neighbours"),
        (not_divided, "a share is at most 1"),
        (for_each_query, "one number for all queries"),
    ],
    "4.2": [
        ((_quantiser(axis=None), restore), "one range for the whole table"),
        ((_quantiser(axis=1), restore), "could not be broadcast"),
        ((_quantiser(rounded=False), restore), "cuts the fraction off"),
        ((_quantiser(steps=256), restore), "wraps around"),
        ((_quantiser(kind=np.float32), restore), "uint8"),
        ((no_constant, restore), "nan or infinity"),
        ((_quantiser(), lambda codes, low, step: codes * step), "comes back as"),
    ],
    "4.3": [
        (best_recall, "is faster"),
        (strictly, "exactly the recall asked for"),
        (memory_forgotten, "needs 19.0 MB"),
        (recall_forgotten, "recall of 0.7 only"),
        (first_fit, "is faster"),
        (name_only, "one of the runs as it is"),
        (raises_when_none, "return None"),
    ],
    "4.4": [
        (_maker(form="params", proof="none"), "never reached the index"),
        (_maker(form="arguments", proof="none"), "never reached the index"),
        (_maker(form="params"), "now make it arrive"),
        (_maker(proof="none"), "as if all were well"),
        (_maker(proof="any"), "does not show efConstruction"),
        (_maker(proof="key"), "though nothing is amiss"),
        (_maker(metric="L2"), "not COSINE"),
        (nothing_created, "no index afterwards"),
    ],
}
