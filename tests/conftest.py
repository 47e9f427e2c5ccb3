"""Fixtures that every room's tests use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before any test imports TensorFlow: no start-up chatter, and the CPU even where there is a GPU.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if not os.environ.get("TFGEN_TEST_GPU"):
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

# No judgement by the clock: a busy machine must not fail a test. The gate draws the same examples
# every time; runs by hand explore.
settings.register_profile(
    "tfgen",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tfgen")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a shared test file by its name below the data folder; skips where it is missing."""
    root = Path(os.environ.get("TFGEN_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"{name} is not in the shared test data (set TFGEN_TEST_DATA)")
        return path

    return find
