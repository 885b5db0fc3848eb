"""What `--tuning nested` searches: a small grid for each method that has something to choose.

The candidates of a grid are compared by stratified 5-fold cross-validation inside the training
fold; the best by mean accuracy is fitted to the training fold. Grids were written down before any
test fold was scored with them. A method without a grid has no nested results: what it would
choose from is either nothing, or a matter of what the method is (T, the loss, the pooling of the
paper), which has rows of its own.
"""

C = [0.1, 1.0, 10.0, 100.0]
WEIGHT_DECAY = [0.0005, 0.005, 0.05]
FOREST = {
    "randomforestclassifier__max_features": ["sqrt", 0.2],
    "randomforestclassifier__min_samples_leaf": [1, 3],
}

#: Values of parameters by method; at most 12 candidates each.
GRIDS = {
    "dp-minn": {"T": [1, 3], "scale": ["standard", "rank"]},
    "dp-minn-ce": {"weight_decay": WEIGHT_DECAY},
    "mi-net": {"pooling": ["max", "mean"], "weight_decay": WEIGHT_DECAY},
    "mi-net-ds": {"weight_decay": WEIGHT_DECAY},
    "mi-net-rc": {"weight_decay": WEIGHT_DECAY},
    "instance-net": {"pooling": ["max", "mean"], "weight_decay": [0.005, 0.05]},
    "attention": {"weight_decay": WEIGHT_DECAY},
    "gated-attention": {"weight_decay": WEIGHT_DECAY},
    "misvm-bag": {"misvmclassifier__C": C, "misvmclassifier__kernel": ["rbf", "linear"]},
    "misvm-instance": {"misvmclassifier__C": [1.0, 10.0]},
    "mi-kernel": {"svc__C": C},
    "mi-graph": {"svc__C": C},
    "miles": {"linearsvc__C": [0.1, 1.0, 10.0]},
    "mi-vlad": {"bagvlad__n_clusters": [2, 5, 10], "linearsvc__C": [0.1, 1.0, 10.0]},
    "mi-fv": {"bagfishervector__n_components": [1, 2, 3], "linearsvc__C": [0.1, 1.0, 10.0]},
    "citation-knn": {
        "citationknnclassifier__n_references": [1, 2, 3],
        "citationknnclassifier__n_citers": [2, 4, 6],
    },
    "hausdorff-knn": {"kneighborsclassifier__n_neighbors": [1, 3, 5, 9]},
    "em-dd": {},
    "sil-lr": {"singleinstanceclassifier__aggregation": ["mean", "max"]},
    "sil-svm": {
        "singleinstanceclassifier__aggregation": ["mean", "max"],
        "singleinstanceclassifier__estimator__C": [1.0, 10.0],
    },
    "statistics": {"svc__C": C, "svc__gamma": ["scale", 0.0003]},
    "mean": {"svc__C": C, "svc__gamma": ["scale", 0.001]},
    "minmax-forest": FOREST,
    "statistics-forest": FOREST,
}
