"""The report of the demo as JSON and as a table."""

import json

from tfgen.io import write_json
from tfgen.synthetic.demo_report import DemoReport
from tfgen.synthetic.scorecard import Scorecard

COUNTS = {"activator": 300, "elsewhere": 1200}
TRAINED = Scorecard(1500, 0.9, 0.8, 0.85, {"activator": 0.95, "elsewhere": 0.2}, COUNTS)
UNTRAINED = Scorecard(
    1500, 0.01, 0.02, -0.03, {"activator": 0.04, "elsewhere": float("nan")}, COUNTS
)
REPORT = DemoReport(
    trained=TRAINED,
    untrained=UNTRAINED,
    prediction_r={"dnase": 0.91},
    seconds={"setup": 11.234, "train": 300.0, "score": 5.0},
    self_check_max_abs=1e-6,
    settings={"steps": 2000, "seed": 1},
)


def test_json_has_the_numbers_by_name(tmp_path):
    write_json(tmp_path / "report.json", REPORT.to_json())
    found = json.loads((tmp_path / "report.json").read_text())
    versions = found.pop("versions")
    assert "tensorflow" in versions
    assert found == {
        "pearson_r": 0.9,
        "spearman_r": 0.8,
        "pearson_r_motif": 0.85,
        "pearson_r_activator": 0.95,
        "pearson_r_elsewhere": 0.2,
        "pearson_r_untrained": 0.01,
        "n_variants": 1500,
        "n_activator": 300,
        "n_elsewhere": 1200,
        "prediction_r": {"dnase": 0.91},
        "seconds_setup": 11.23,
        "seconds_train": 300.0,
        "seconds_score": 5.0,
        "self_check_max_abs": 1e-6,
        "steps": 2000,
        "seed": 1,
    }


def test_the_table_has_a_line_per_class_in_columns():
    assert REPORT.table() == [
        "variants   number  r trained  r untrained",
        "all         1,500      0.900        0.010",
        "in motifs     300      0.850       -0.030",
        "activator     300      0.950        0.040",
        "elsewhere   1,200      0.200          nan",
    ]
