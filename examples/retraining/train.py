"""The command of a retraining: trains on all that arrived, and holds back a part of the newest.

`headrace retrain` runs it. It writes into HEADRACE_OUT: model.onnx, test.parquet (people that no version
was trained on) and facts.json (what is said of the version).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from examples.sklearn_pipeline.census import TARGET, YEAR, codes
from examples.sklearn_pipeline.train import exported, pipeline

if TYPE_CHECKING:
    import pandas as pd

HELD_BACK = 4
"""A person in so many, by what is known of him: in every run the same."""


def main(data: Path, out: Path) -> None:
    """Train, and write what `headrace retrain` looks for."""
    import pandas as pd

    files = sorted(data.glob("*.parquet"))
    years = [pd.read_parquet(file) for file in files]
    people = pd.concat(years, ignore_index=True)
    held_back = _held_back(people)
    training, newest = people[~held_back], people[YEAR] == people[YEAR].max()
    columns = codes(people)
    model = pipeline(columns).fit(training, training[TARGET])
    (out / "model.onnx").write_bytes(exported(model, columns).SerializeToString())
    people[held_back & newest].drop(columns=YEAR).to_parquet(out / "test.parquet", index=False)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    facts = {
        "data_digest": digest,
        "metrics": {"train_accuracy": float(model.score(training, training[TARGET]))},
        "facts": {"years": ", ".join(file.stem for file in files), "people": len(training)},
    }
    (out / "facts.json").write_text(json.dumps(facts))
    print(f"{len(training)} people of {facts['facts']}")


def _held_back(people: pd.DataFrame) -> pd.Series[bool]:
    import pandas as pd

    hashes = pd.util.hash_pandas_object(people, index=False)
    return hashes % HELD_BACK == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(os.environ["HEADRACE_OUT"]))
