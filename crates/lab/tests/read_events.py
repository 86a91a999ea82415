"""Reads the event files of a run with TensorBoard itself and prints what it sees as JSON."""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

seen = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0})
seen.Reload()
tags = seen.Tags()
print(json.dumps({
    "scalars": {t: [[e.step, e.value] for e in seen.Scalars(t)] for t in tags["scalars"]},
    "images": {t: [[e.step, e.width, e.height, e.encoded_image_string[:8].hex()] for e in seen.Images(t)]
               for t in tags["images"]},
    "histograms": {t: [[e.step, h.min, h.max, h.num, sum(h.bucket)]
                       for e in seen.Histograms(t) for h in [e.histogram_value]] for t in tags["histograms"]},
}))
