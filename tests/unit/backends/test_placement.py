from __future__ import annotations

from pytest_gpuperf.backends import Placement


def test_shape_operators_may_be_on_the_host_and_work_may_not():
    placement = Placement("CUDA", {"CUDA": {"Conv": 53, "Gather": 1}, "CPU": {"Shape": 4, "Conv": 2, "Gather": 3}})
    assert placement.elsewhere == {"Conv": 2}
    assert str(placement) == "CUDA: 54 nodes, CPU: 9 nodes"


def test_the_same_operator_of_several_others_is_counted_together():
    placement = Placement("TensorRT", {"CUDA": {"Resize": 1}, "CPU": {"Resize": 2}})
    assert placement.elsewhere == {"Resize": 3}


def test_nothing_placed():
    assert str(Placement("CUDA", {})) == "no nodes"
