"""Small LD blocks and z-scores drawn from the model, in plain NumPy float64."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Toy:
    """A window with LD R, observed rows w, z-scores and the true log f and log sigma."""

    R: np.ndarray
    w: np.ndarray
    z: np.ndarray
    logf: np.ndarray
    log_sigma: float
    Q: np.ndarray
    P: np.ndarray
    eigenvalues: np.ndarray

    @property
    def y(self):
        return self.P @ self.z

    @property
    def covariance(self):
        """Of the observed z-scores, dense."""
        rows = self.R[self.w]
        return rows * np.exp(self.logf) @ rows.T + np.exp(self.log_sigma) * rows[:, self.w]


def ar_ld(n, rho=0.9):
    """LD that decays with distance, positive definite."""
    return rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))


def panel_ld(n, people, rng, rho=0.9):
    """LD of a panel of few people: singular when people <= n."""
    x = rng.normal(size=(people, n)) @ np.linalg.cholesky(ar_ld(n, rho)).T
    x -= x.mean(0)
    x /= np.sqrt((x**2).sum(0))
    return x.T @ x


def whiten(R, w, eps=1e-4):
    """Q, P and the kept eigenvalues."""
    values, vectors = np.linalg.eigh(R[np.ix_(w, w)])
    kept = values > eps
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    P = (vectors / np.sqrt(values)).T
    return P @ R[w], P, values


def toy(seed=0, n=60, flank=20, mean_f=0.5, sigma=1.0, R=None):
    """A window whose middle is observed, z drawn from the model."""
    rng = np.random.default_rng(seed)
    R = ar_ld(n) if R is None else R
    w = np.arange(flank, n - flank)
    logf = np.log(mean_f) + rng.normal(size=n)
    log_sigma = float(np.log(sigma))
    Q, P, values = whiten(R, w)
    b = np.exp(0.5 * logf) * rng.normal(size=n)
    rows = R[w]
    values_ww, vectors_ww = np.linalg.eigh(rows[:, w])
    noise = vectors_ww @ (np.sqrt(np.maximum(values_ww, 0) * sigma) * rng.normal(size=len(w)))
    return Toy(R, w, rows @ b + noise, logf, log_sigma, Q, P, values)
