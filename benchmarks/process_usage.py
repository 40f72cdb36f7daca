"""Processor time and memory of a process and its children, by step of a run.

The embedded PostgreSQL is none of them: it leaves the process that starts it. What runs belongs to benchmarks.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

SAMPLED_S = 0.25
_PEAKS = ("peak_mb", "parent_mb", "worker_mb")


@dataclass
class StepUsage:
    """What a step took; `pool_s` is the part of `processor_s` that children took.

    Peak memory is that of all processes together at one time; of this process, and of the largest child, at any time.
    """

    processor_s: float = 0.0
    pool_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: int = 0
    parent_mb: int = 0
    worker_mb: int = 0


@dataclass
class ProcessUsage:
    """Samples this process and its children four times a second, until it ends.

    Memory is the resident one of all processes: mapped files count for this process alone, pages that a child has in
    common with the process that it was forked from count for both. (The kernel's proportional shares would count them
    once; they take 33 ms of processor time per sample of a process of 1.4 GB, and a busy machine samples a run of a
    minute for ten.) A child that ends between two samples is counted up to the last one, so that a pool of processes is
    up to `SAMPLED_S` per process too cheap in its step; the total of the operating system has no such error.
    """

    steps: dict[str, StepUsage] = field(default_factory=dict)
    _seen_s: dict[tuple[int, float], float] = field(default_factory=dict)
    _peaks_mb: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_PEAKS, 0))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def start(self) -> None:
        """Begin the first step."""
        self._sample()
        self._last = self._now()
        threading.Thread(target=self._watch, daemon=True).start()

    def end_step(self, name: str) -> None:
        """Give what was used since the last call to the step of this name."""
        self._sample()
        with self._lock:
            now, step = self._now(), self.steps.setdefault(name, StepUsage())
            own_s, pool_s, wall_s = (after - before for after, before in zip(now, self._last, strict=True))
            step.processor_s += own_s + pool_s
            step.pool_s += pool_s
            step.wall_s += wall_s
            for name, peak_mb in self._peaks_mb.items():
                setattr(step, name, max(getattr(step, name), peak_mb))
            self._last, self._peaks_mb = now, dict.fromkeys(_PEAKS, 0)

    def _now(self) -> tuple[float, float, float]:
        return time.process_time(), sum(self._seen_s.values()), time.perf_counter()

    def _watch(self) -> None:
        while True:
            time.sleep(SAMPLED_S)
            self._sample()

    def _sample(self) -> None:
        own = psutil.Process()
        parent, workers = own.memory_info().rss, [0]
        seen: dict[tuple[int, float], float] = {}
        for process in own.children(recursive=True):
            with suppress(psutil.Error):
                times = process.cpu_times()
                seen[process.pid, process.create_time()] = times.user + times.system
                memory = process.memory_info()
                workers.append(memory.rss - memory.shared)
        with self._lock:
            self._seen_s |= seen
            for name, used in zip(_PEAKS, (parent + sum(workers), parent, max(workers)), strict=True):
                self._peaks_mb[name] = max(self._peaks_mb[name], used >> 20)
