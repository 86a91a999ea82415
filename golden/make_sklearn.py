"""Makes sklearn_metrics.json: what scikit-learn says of random scores, in the format of README.md.

    python3 -m venv venv && venv/bin/pip install scikit-learn
    venv/bin/python golden/make_sklearn.py --seed 231 --out golden           # the stored file
    venv/bin/python golden/make_sklearn.py --seed 7 --cases 200 --out fresh  # other vectors, compared at once:
    CHAINRULE_GOLDENS=$PWD/fresh cargo test --release -p chainrule --test golden
"""

import argparse
import json
import pathlib
import warnings

import numpy as np
from sklearn import metrics

# (examples, classes, the classes that occur, scale of the scores, classes whose score is pushed down so that none is predicted)
SHAPES = [
    (400, 10, 10, 1.0, 0),
    (60, 10, 7, 2.0, 2),   # three classes never occur, two are never predicted
    (30, 100, 100, 1.0, 0),  # most classes are empty
    (50, 6, 1, 1.0, 0),    # only one class occurs
    (1, 6, 6, 1.0, 0),
    (300, 6, 6, 30.0, 1),  # certain, and often wrong
]


def case(number, seed, shape):
    n, classes, occurring, scale, hushed = shape
    rng = np.random.RandomState(seed)
    scores = scale * rng.randn(n, classes)
    labels = rng.randint(0, occurring, n)
    push = np.zeros(classes)
    push[classes - hushed:] = -1000.0
    scores = scores + push
    chosen = scores.argmax(1)
    every = np.arange(classes)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    # log_loss clips probabilities, which is not part of its definition: the same mean of -log p without it.
    shifted = scores - scores.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    loss = -log_p[np.arange(n), labels].mean()
    clipped = metrics.log_loss(labels, powers / powers.sum(1, keepdims=True), labels=every)
    assert hushed or scale > 5 or abs(loss - clipped) < 1e-9, (loss, clipped)
    expect = {"loss": loss, "accuracy": metrics.accuracy_score(labels, chosen)}
    for k in (1, 5):
        expect[f"top{k}"] = metrics.top_k_accuracy_score(labels, scores, k=k, labels=every)
    per_class = metrics.precision_recall_fscore_support(labels, chosen, labels=every, zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), per_class):
        expect[name] = values.tolist()
    expect["support"] = [int(n) for n in per_class[3]]
    for average in ("macro", "weighted"):
        three = metrics.precision_recall_fscore_support(
            labels, chosen, labels=every, average=average, zero_division=0)[:3]
        expect[average] = [float(v) for v in three]
    expect["confusion"] = metrics.confusion_matrix(labels, chosen, labels=every).tolist()
    draws = [
        {"name": "scores", "kind": "randn", "shape": [n, classes], "mul": scale},
        {"name": "labels", "kind": "randint", "shape": [n], "low": 0, "high": occurring},
    ]
    return {"id": f"sklearn_{number}", "op": "metrics.classes", "rng": {"seed": seed, "draws": draws},
            "args": {"hushed": hushed}, "expect": expect, "rtol": 1e-12, "atol": 1e-14,
            "note": f"{n} examples, {classes} classes of which {occurring} occur, scores x {scale}"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=231)
    parser.add_argument("--cases", type=int, default=len(SHAPES))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")  # scikit-learn warns of classes without examples, which is the point
    cases = [case(i, args.seed + i, SHAPES[i % len(SHAPES)]) for i in range(args.cases)]
    lines = ",\n".join(json.dumps(c) for c in cases)
    path = args.out / "sklearn_metrics.json"
    path.write_text('{"format":"chainrule-goldens-1","cases":[\n' + lines + "\n]}\n")
    print(f"{path}: {len(cases)} cases of scikit-learn {__import__('sklearn').__version__}")


if __name__ == "__main__":
    main()
