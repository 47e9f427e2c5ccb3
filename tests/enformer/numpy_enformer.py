"""Enformer in float64 NumPy with loops, from the formulas of Avsec et al. 2021.

It knows the weights by their paths in the published Sonnet checkpoint and shares no code with the
library: convolutions tap by tap, attention logit by logit, one sequence at a time.
"""

import math

import numpy as np

Weights = dict[str, np.ndarray]


class NumpyEnformer:
    """Inference of one sequence.

    Args:
        weights: Path below the root of the Sonnet checkpoint -> values.
        heads: Attention heads.
        basis_length: Bins for which the position basis is made.
        layers: Transformer blocks.
    """

    def __init__(self, weights: Weights, heads: int, basis_length: int, layers: int) -> None:
        self.weights = {path: np.asarray(value, np.float64) for path, value in weights.items()}
        self.heads, self.basis_length, self.layers = heads, basis_length, layers

    def predict(self, one_hot: np.ndarray, target_length: int, organism: str) -> np.ndarray:
        """`[L, 4]` -> `[target_length, tracks]`."""
        embedding = self.embed_tower(self.tower(one_hot), target_length)
        head = f"_heads/{organism}/_layers/0"
        return np.logaddexp(0, embedding @ self.weights[f"{head}/w"] + self.weights[f"{head}/b"])

    def tower(self, one_hot: np.ndarray) -> np.ndarray:
        """`[128n, 4]` -> `[n, C]`."""
        stem = "_trunk/_layers/0/_layers"
        x = self.convolve(f"{stem}/0", one_hot.astype(np.float64))
        x = x + self.conv_block(f"{stem}/1/_module", x)
        x = self.pool(f"{stem}/2", x)
        for i in range(6):
            stage = f"_trunk/_layers/1/_layers/{i}/_layers"
            x = self.conv_block(f"{stage}/0", x)
            x = x + self.conv_block(f"{stage}/1/_module", x)
            x = self.pool(f"{stage}/2", x)
        return x

    def embed_tower(self, x: np.ndarray, target_length: int) -> np.ndarray:
        """`[T, C]` -> `[target_length, 2C]`."""
        for i in range(self.layers):
            block = f"_trunk/_layers/2/_layers/{i}/_layers"
            part = f"{block}/0/_module/_layers"
            x = x + self.attend(f"{part}/1", self.layer_norm(f"{part}/0", x))
            part = f"{block}/1/_module/_layers"
            hidden = np.maximum(self.linear(f"{part}/1", self.layer_norm(f"{part}/0", x)), 0)
            x = x + self.linear(f"{part}/4", hidden)
        trim = (len(x) - target_length) // 2
        x = x[trim : trim + target_length]
        return gelu(self.conv_block("_trunk/_layers/4/_layers/0", x))

    def linear(self, path: str, x: np.ndarray) -> np.ndarray:
        """x W + b."""
        return x @ self.weights[f"{path}/w"] + self.weights[f"{path}/b"]

    def convolve(self, path: str, x: np.ndarray) -> np.ndarray:
        """Sum over taps; zeros outside the sequence."""
        kernel = self.weights[f"{path}/w"]
        half = len(kernel) // 2
        out = np.zeros((len(x), kernel.shape[2]))
        for position in range(len(x)):
            for tap in range(len(kernel)):
                source = position + tap - half
                if 0 <= source < len(x):
                    out[position] += x[source] @ kernel[tap]
        return out + self.weights[f"{path}/b"]

    def conv_block(self, path: str, x: np.ndarray) -> np.ndarray:
        """Batch norm by the moving averages, GELU, convolution."""
        norm = f"{path}/_layers/0"
        mean = self.weights[f"{norm}/moving_mean/average"][0]
        variance = self.weights[f"{norm}/moving_variance/average"][0]
        x = (x - mean) / np.sqrt(variance + 1e-5)
        x = x * self.weights[f"{norm}/scale"] + self.weights[f"{norm}/offset"]
        return self.convolve(f"{path}/_layers/2", gelu(x))

    def layer_norm(self, path: str, x: np.ndarray) -> np.ndarray:
        """Each position by its own mean and population variance."""
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return x * self.weights[f"{path}/scale"] + self.weights[f"{path}/offset"]

    def pool(self, path: str, x: np.ndarray) -> np.ndarray:
        """Softmax-weighted mean of each pair of positions, per channel."""
        weights = np.exp(x @ self.weights[f"{path}/_logit_linear/w"])
        pairs = range(0, len(x), 2)
        return np.array(
            [
                (weights[i] * x[i] + weights[i + 1] * x[i + 1]) / (weights[i] + weights[i + 1])
                for i in pairs
            ]
        )

    def attend(self, path: str, x: np.ndarray) -> np.ndarray:
        """Multi-head attention with relative positions."""
        q, k, v = (x @ self.weights[f"{path}/_{name}_layer/w"] for name in "qkv")
        length = len(x)
        columns = v.shape[1] // self.heads
        distances = range(-(length - 1), length)
        basis = np.array([position_features(d, self.basis_length, columns) for d in distances])
        r = basis @ self.weights[f"{path}/_r_k_layer/w"]
        keys = q.shape[1] // self.heads
        merged = np.zeros((length, v.shape[1]))
        for head in range(self.heads):
            part = slice(head * keys, (head + 1) * keys)
            values = v[:, head * columns : (head + 1) * columns]
            w_bias = self.weights[f"{path}/_r_w_bias"][0, head, 0]
            r_bias = self.weights[f"{path}/_r_r_bias"][0, head, 0]
            for i in range(length):
                query = q[i, part] / math.sqrt(keys)
                logits = [
                    (query + w_bias) @ k[j, part] + (query + r_bias) @ r[j - i + length - 1, part]
                    for j in range(length)
                ]
                weights = np.exp(np.array(logits) - max(logits))
                place = slice(head * columns, (head + 1) * columns)
                merged[i, place] = weights @ values / weights.sum()
        return self.linear(f"{path}/_embedding_layer", merged)


def gelu(x: np.ndarray) -> np.ndarray:
    """x times the logistic function of 1.702 x."""
    return x / (1 + np.exp(-1.702 * x))


def gamma_density(x: float, mean: float, deviation: float) -> float:
    """Density of the gamma distribution with this mean and standard deviation."""
    if x == 0:
        return 0.0  # every mean here is at least twice the deviation
    shape, rate = (mean / deviation) ** 2, mean / deviation**2
    return math.exp(
        (shape - 1) * math.log(x) - rate * x + shape * math.log(rate) - math.lgamma(shape)
    )


def grid(first: float, last: float, count: int) -> list[float]:
    """`count` values at equal steps, both ends included."""
    return [first + (last - first) * i / max(count - 1, 1) for i in range(count)]


def position_features(distance: int, length: int, columns: int) -> np.ndarray:
    """The basis functions of one distance."""
    count, d = columns // 6, abs(distance)
    exponential = [
        math.pow(2, -d / math.pow(2, exponent)) for exponent in grid(3, math.log2(length), count)
    ]
    mask = [1.0 if 2 ** (k + 1) - 1 > d else 0.0 for k in range(count)]
    gamma = [
        (gamma_density(d, mean, length / count / 2) + 1e-8) / (peak + 1e-8)
        for mean, peak in zip(
            grid(length / count, length, count), gamma_peaks(length, count), strict=True
        )
    ]
    symmetric = np.array(exponential + mask + gamma)
    return np.concatenate([symmetric, np.sign(distance) * symmetric])


_peaks: dict[tuple[int, int], list[float]] = {}


def gamma_peaks(length: int, count: int) -> list[float]:
    """Largest value of every gamma density over the distances 0 .. length - 1."""
    if (length, count) not in _peaks:
        _peaks[length, count] = [
            max(gamma_density(d, mean, length / count / 2) for d in range(length))
            for mean in grid(length / count, length, count)
        ]
    return _peaks[length, count]
