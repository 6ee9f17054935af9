"""What our server counts is read by whoever reads Triton's figures."""

from __future__ import annotations

import re

from pytest_gpuperf.serving.batching import Executed, Tally


def test_a_batch_is_told_to_each_of_its_requests_as_triton_does():
    tally = Tally("m")
    tally.executed(Executed(rows=3, phases=(1000, 50_000, 2000), queued=[10_000, 20_000], stayed=[70_000, 80_000]), 5)
    tally.failed(1000)
    tally.front_end("decode", 4000)
    (stats,) = tally.statistics()["model_stats"]
    assert (stats["inference_count"], stats["execution_count"], stats["last_inference"]) == (3, 1, 5)
    assert stats["inference_stats"]["queue"] == {"count": 2, "ns": 30_000}
    assert stats["inference_stats"]["compute_infer"] == {"count": 2, "ns": 100_000}
    assert stats["inference_stats"]["success"] == {"count": 2, "ns": 150_000}
    assert stats["inference_stats"]["fail"] == {"count": 1, "ns": 1000}
    assert stats["batch_stats"] == [
        {
            "batch_size": 3,
            "compute_input": {"count": 1, "ns": 1000},
            "compute_infer": {"count": 1, "ns": 50_000},
            "compute_output": {"count": 1, "ns": 2000},
        }
    ]


def test_prometheus_text():
    tally = Tally("m")
    tally.executed(Executed(rows=3, phases=(1000, 50_000, 2000), queued=[10_000], stayed=[70_000]), 5)
    text = tally.prometheus(2, {"gpuperf_gpu_memory_allocated_bytes": {'{gpu="0"}': 7}})
    for line in text.splitlines():
        assert re.fullmatch(r'# TYPE \w+ (counter|gauge)|\w+\{(\w+="[^"]*",?)+\} \d+', line)
    assert 'nv_inference_compute_infer_duration_us{model="m",version="1"} 50' in text
    assert 'nv_inference_pending_request_count{model="m",version="1"} 2' in text
    assert 'gpuperf_gpu_memory_allocated_bytes{gpu="0"} 7' in text
