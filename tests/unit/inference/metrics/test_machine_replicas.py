"""The metrics of several replicas on one page."""

from __future__ import annotations

from headrace_inference.adapters.metrics.machine_replicas import joined

ONE = b"""# HELP a An A
# TYPE a counter
a 1
a{x="b c"} 2
# HELP b A B
# TYPE b gauge
b{y="{}"} NaN
"""
TWO = b"""# HELP b A B
# TYPE b gauge
b 5
# HELP c A C
# TYPE c gauge
c 6
"""


def test_every_metric_is_there_once_with_the_series_of_all() -> None:
    """Each series with its replica's name, whatever its other labels are."""
    expected = b"""# HELP a An A
# TYPE a counter
a{replica="one"} 1
a{replica="one",x="b c"} 2
# HELP b A B
# TYPE b gauge
b{replica="one",y="{}"} NaN
b{replica="t\\"wo"} 5
# HELP c A C
# TYPE c gauge
c{replica="t\\"wo"} 6
"""
    assert expected == joined([("one", ONE), ('t"wo', TWO)])
