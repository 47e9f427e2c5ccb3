"""Installs tfgen and its binaries; the settings of the tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def version() -> str:
    """The version, which is written in `tfgen/__init__.py` only."""
    text = (HERE / "tfgen" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


def requirements() -> list[str]:
    """The lines of requirements.txt without their comments."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in (line.partition("#")[0].strip() for line in lines) if line]


setup(
    name="tfgen",
    version=version(),
    description="DNA sequence and genetic variation in, calibrated variant and gene effects out",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["tfgen", "tfgen.*"]),
    package_data={"tfgen": ["py.typed", "prior/fetch/recipe.json"]},
    scripts=sorted(str(path.relative_to(HERE)) for path in (HERE / "bin").glob("*.py")),
    install_requires=requirements(),
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        # What some inputs and logs need: PLINK bed files, parquet tables, TensorBoard.
        "geno": ["bed-reader>=1.0.6"],
        "io": ["pyarrow>=20"],
        "log": ["tensorboard>=2.21"],
        "plot": ["matplotlib>=3.9"],
        "test": [
            # Exact, so that a new release of a checker cannot turn unchanged code red.
            "import-linter==2.16",
            "mypy==2.4.1",
            "ruff==0.17.5",
            "coverage>=7.10",
            "hypothesis>=6.150",
            "ipykernel>=7",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "pytest>=9,<10",
            "pytest-cov>=7",
            "pytest-xdist>=3.8",
            "scipy>=1.15",  # an independent computation to compare with
        ],
    },
)
