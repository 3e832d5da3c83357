"""What scikit-learn's converter writes for networks and linear models, with scikit-learn's own results.

sklearn.py > sklearn.json     (scikit-learn, skl2onnx)
"""
import base64, gzip, json, sys, warnings
sys.path.pop(0)  # This file has the name of the package.
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from skl2onnx import to_onnx
warnings.filterwarnings("ignore")
random = np.random.default_rng(0); X = random.normal(size=(300, 8)).astype(np.float32)
three = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 1); two = (three > 0).astype(int); value = X[:, 0] * 2 + X[:, 1]
mlp = lambda *h, **o: MLPClassifier(hidden_layer_sizes=h, max_iter=40, random_state=0, **o)
models = {
    "classifier": (mlp(12, 8), three), "classifier of two classes": (mlp(8), two), "classifier with tanh": (mlp(8, activation="tanh"), three),
    "scaled classifier": (make_pipeline(StandardScaler(), mlp(8, activation="logistic")), three), "normalized classifier": (make_pipeline(Normalizer(), mlp(8)), three),
    "regressor": (MLPRegressor(hidden_layer_sizes=(12,), max_iter=40, random_state=0), value), "scaled regressor": (make_pipeline(MinMaxScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=40, random_state=0)), value),
    "logistic regression": (LogisticRegression(), three), "logistic regression of two classes": (LogisticRegression(), two), "linear regression": (LinearRegression(), value), "components": (make_pipeline(StandardScaler(), PCA(4), Ridge()), value),
}
cases = []
for name, (model, target) in models.items():
    model.fit(X, target); last = model.steps[-1][1] if hasattr(model, "steps") else model
    classes = hasattr(model, "predict_proba"); y = model.predict_proba(X[:5]) if classes else model.predict(X[:5])
    for zipped in (True, False) if classes else (None,):
        proto = to_onnx(model, X[:1], options=None if zipped is None else {id(last): {"zipmap": zipped}})
        cases.append(dict(name=name if zipped is None else f"{name}, {'with' if zipped else 'without'} names of classes", file=base64.b64encode(gzip.compress(proto.SerializeToString(), mtime=0)).decode(), y=[float(f"{v:.7g}") for v in np.ravel(y)]))
json.dump(dict(x=[float(v) for v in X[:5].ravel()], cases=cases), sys.stdout, separators=(",", ":"))
