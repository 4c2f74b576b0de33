"""Reads an HdrHistogram log with the package `hdrhistogram` of PyPI; a line of JSON per interval."""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3_600_000_000_000, 3))
while (read := reader.get_next_interval_histogram()) is not None:
    print(json.dumps({
        "tag": read.get_tag(),
        "start_ms": round(read.get_start_time_stamp() - reader.get_start_time_sec() * 1000),
        "length_ms": round(read.get_end_time_stamp() - read.get_start_time_stamp()),
        "count": read.get_total_count(),
        "p50": read.get_value_at_percentile(50),
        "p99": read.get_value_at_percentile(99),
        "max": read.get_max_value(),
    }))
