"""The fixture parity, and --gpuperf-parity-first: what is wrong fails, and is not timed."""

from __future__ import annotations

HEAD = """
    import torch
    from pytest_gpuperf.backends import opened
    from pytest_gpuperf.models import Built, Workload

    def network():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 5)).eval()

    def wrong():
        model = network()
        with torch.no_grad():
            model[0].weight.mul_(1.01)
        return model
"""
PAIRS = (
    HEAD
    + """
    def test_right(parity):
        found = parity(network().half(), network(), torch.randn(4, 6), precision="fp16")
        assert found.agrees and found.nonfinite == 0 and found.cosine > 0.999

    def test_wrong(parity):
        parity(wrong(), network(), torch.randn(4, 6))

    def test_unknown_precision(parity):
        parity(network(), network(), torch.randn(4, 6), precision="fp12")
"""
)
TIMED = (
    HEAD
    + """
    def draw(batch, generator):
        return (torch.randn(batch, 6, generator=generator),)

    def small():
        return Workload("small", "smoke", Built(network(), draw))

    class Broken:
        name = "broken"
        def lacks(self, device):
            return None
        def make(self, job):
            from pytest_gpuperf.backends import Made
            return Made(wrong())

    def test_right(gpuperf):
        with opened(small(), 2, precision="bf16", device="cpu") as ready:
            gpuperf(ready, *ready.inputs)

    def test_wrong(gpuperf, monkeypatch):
        from pytest_gpuperf.backends import registry
        monkeypatch.setitem(registry._OURS, "broken", Broken())
        with opened(small(), 2, backend="broken", device="cpu") as ready:
            gpuperf(ready, *ready.inputs)

    def test_without_a_reference(gpuperf):
        gpuperf(spin, 0.1)
"""
)


def run(story, *arguments):
    """In a process of its own: parts of torch cannot be loaded twice in one."""
    given = ("--gpuperf-device", "cpu", "--gpuperf-budget", "0.2", *arguments)
    return story.pytester.runpytest_subprocess(*given)


def test_a_pair_that_disagrees_fails_with_its_figures(story):
    story.suite(PAIRS)
    result = run(story)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "The candidate does not compute what its reference computes:",
            "*worst row, l2: an error of * times what is allowed",
            "*error against fp64*candidate*fp32 itself*rounding*allowed*",
            "*There is no precision 'fp12'*",
        ]
    )


def test_wrong_numbers_are_not_timed(story):
    story.suite(TIMED)
    run(story).assert_outcomes(passed=3)
    result = run(story, "--gpuperf-parity-first", "--gpuperf-save", "run.json")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Not timed (--gpuperf-parity-first): broken runs small in fp32 wrongly, so how fast*",
            "*leave --gpuperf-parity-first out*",
        ]
    )
    assert '"test_perf.py::test_wrong"' not in (story.path / "run.json").read_text().partition('"cases"')[2]


def test_where_no_network_was_opened_nothing_is_looked_for(story):
    story.suite(
        """
        def test_spin(gpuperf):
            gpuperf(spin, 0.1)
        """
    )
    run(story, "--gpuperf-parity-first").assert_outcomes(passed=1)
