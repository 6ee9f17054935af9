"""Extra work behind a call, by its device: so much that the call takes that share longer."""

from time import perf_counter

import torch


def followed(call, share, device):
    plain, steps = least(call, device), 1000

    def extra(steps):
        def run():
            result = call()
            if device == "cpu":
                for _ in range(steps):
                    pass
            else:
                torch.cuda._sleep(steps)
            return result

        return run

    for _ in range(6):
        cost = least(extra(steps), device) - plain
        steps = max(1, int(steps * min(10.0, max(0.1, share * plain / max(cost, 1e-9)))))
    return extra(steps)


def least(do, device):
    for _ in range(20):
        do()
    return min((by_host if device == "cpu" else by_events)(do) for _ in range(9))


def by_host(do, calls=100):
    start = perf_counter()
    for _ in range(calls):
        do()
    return (perf_counter() - start) / calls


def by_events(do, calls=8):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda._sleep(20_000_000)
    start.record()
    for _ in range(calls):
        do()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) * 1e-3 / calls
