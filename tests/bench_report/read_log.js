// Reads an HdrHistogram log with the package `hdr-histogram-js` of npm; a line of JSON per interval.
"use strict";
const fs = require("node:fs");
const { HistogramLogReader } = require(process.argv[3] + "/node_modules/hdr-histogram-js");

const reader = new HistogramLogReader(fs.readFileSync(process.argv[2], "utf8"));
for (let read; (read = reader.nextIntervalHistogram()) !== null; ) {
  console.log(JSON.stringify({
    tag: read.tag,
    start_ms: Math.round(read.startTimeStampMsec - reader.startTimeSec * 1000),
    length_ms: Math.round(read.endTimeStampMsec - read.startTimeStampMsec),
    count: read.totalCount,
    p50: read.getValueAtPercentile(50),
    p99: read.getValueAtPercentile(99),
    max: read.maxValue,
  }));
}
