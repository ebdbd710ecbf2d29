"""What a machine has, and how it is divided."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.local.machine import Allowed, Claim, Machine

GI = 2**30


def claim(name: str, desired: int, cpu: float = 0.0, memory: float = 0.0, minimum: int = 1) -> Claim:
    return Claim(name=name, desired=desired, requests={"cpu": cpu, "memory": memory}, minimum=minimum)


def counts(allowed: list[Allowed]) -> list[int]:
    return [each.replicas for each in allowed]


# -- what there is --------------------------------------------------------------------------------------


class System:
    """The files in which a system says what it has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def machine(self) -> Machine:
        return Machine(root=self.root)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def scheduled() -> float:
    return float(len(os.sched_getaffinity(0)))


def test_this_machine_has_cores_and_memory() -> None:
    machine = Machine()
    assert 0 < machine.cores <= (os.cpu_count() or 1)
    assert 0 < machine.available <= machine.memory


def test_without_control_groups_all_of_it_may_be_used(system: System) -> None:
    machine = system.machine
    assert (machine.cores, machine.memory, machine.available) == (scheduled(), 16 * GI, 8 * GI)


def test_a_control_group_limits_cores_and_memory(system: System) -> None:
    system.write("proc/self/cgroup", "0::/a/b\n")
    system.write("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n")
    system.write("sys/fs/cgroup/a/b/memory.max", f"{4 * GI}\n")
    system.write("sys/fs/cgroup/a/b/memory.current", f"{3 * GI}\n")
    system.write("sys/fs/cgroup/a/b/memory.stat", f"anon 5\ninactive_file {GI}\n")
    machine = system.machine
    assert (machine.cores, machine.memory, machine.available) == (0.5, 4 * GI, 2 * GI)


def test_the_tightest_of_the_groups_above_counts(system: System) -> None:
    system.write("proc/self/cgroup", "0::/a/b\n")
    system.write("sys/fs/cgroup/a/cpu.max", "25000 100000\n")
    system.write("sys/fs/cgroup/a/memory.max", f"{2 * GI}\n")
    system.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    system.write("sys/fs/cgroup/a/b/memory.max", "max\n")
    assert (system.machine.cores, system.machine.memory) == (0.25, 2 * GI)


def test_the_limits_of_a_container_are_found_though_its_path_is_the_hosts(system: System) -> None:
    system.write("proc/self/cgroup", "0::/system.slice/docker-0123.scope\n")
    system.write("sys/fs/cgroup/cpu.max", "20000 100000\n")
    system.write("sys/fs/cgroup/memory.max", f"{GI}\n")
    assert (system.machine.cores, system.machine.memory) == (0.2, GI)


def test_the_older_version_of_control_groups_limits_too(system: System) -> None:
    system.write("proc/self/cgroup", "4:memory:/m\n3:cpuset:/\n2:cpu,cpuacct:/c\n0::/\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "30000\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n")
    system.write("sys/fs/cgroup/memory/m/memory.limit_in_bytes", f"{3 * GI}\n")
    system.write("sys/fs/cgroup/memory/m/memory.usage_in_bytes", f"{4 * GI}\n")
    machine = system.machine
    assert (machine.cores, machine.memory, machine.available) == (0.3, 3 * GI, 0)


@pytest.mark.parametrize("quota", ["max 100000", "-1", "", "0 0", "what is this"])
def test_a_group_without_a_limit_limits_nothing(system: System, quota: str) -> None:
    system.write("proc/self/cgroup", "0::/\n2:cpu:/\n")
    system.write("sys/fs/cgroup/cpu.max", f"{quota}\n")
    system.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", f"{quota}\n")
    system.write("sys/fs/cgroup/memory.max", f"{quota}\n")
    assert (system.machine.cores, system.machine.memory) == (scheduled(), 16 * GI)


# -- how it is divided ----------------------------------------------------------------------------------


def test_what_there_is_room_for_is_given_without_a_word() -> None:
    wanted = [claim("a", 2, 1.0, GI), claim("b", 0, 1.0, GI), claim("c", 110)]
    assert Machine(2, 8 * GI).allowance(wanted) == [
        Allowed(name="a", replicas=2),
        Allowed(name="b", replicas=0),
        Allowed(name="c", replicas=110),
    ]


def test_what_requests_nothing_has_a_bound_as_well() -> None:
    (allowed,) = Machine(2, 8 * GI).allowance([claim("a", 10**12)])
    assert allowed.replicas == 110
    assert allowed.reason == "110 of 1000000000000 replicas: no more of one revision run on one machine."


def test_memory_that_is_not_there_is_named() -> None:
    (allowed,) = Machine(16, 8 * GI).allowance([claim("a", 5, 1.0, 2.5 * GI)])
    assert allowed.replicas == 3
    assert allowed.reason == "3 of 5 replicas: 5 would request 12.5 GiB of memory, and this machine has 8 GiB."


def test_what_others_request_is_named() -> None:
    first, second = Machine(16, 8 * GI).allowance([claim("a", 5, memory=2 * GI), claim("b", 1, memory=4 * GI)])
    assert (first.replicas, second) == (2, Allowed(name="b", replicas=1))
    assert first.reason == (
        "2 of 5 replicas: 5 would request 10 GiB of memory, others request 4 GiB, and this machine has 8 GiB."
    )


def test_cores_that_are_not_there_are_named() -> None:
    (allowed,) = Machine(2, 8 * GI).allowance([claim("a", 5, 1.0, GI)])
    assert allowed == Allowed(
        name="a", replicas=2, reason="2 of 5 replicas: 5 would request 5 cores, and this machine has 2."
    )


def test_cores_are_shared_by_different_claims() -> None:
    assert counts(Machine(2, 8 * GI).allowance([claim("a", 2, 1.0), claim("b", 2, 1.0), claim("c", 2, 1.0)])) == [
        2,
        2,
        2,
    ]


def test_amounts_that_are_not_exact_fill_the_machine() -> None:
    assert counts(Machine(1, GI).allowance([claim("a", 20, 0.1)])) == [10]
    assert counts(Machine(0.3, GI).allowance([claim("a", 20, 0.1)])) == [3]


def test_every_claim_has_one_replica_although_there_is_no_room() -> None:
    wanted = [claim("a", 3, 64.0, 100 * GI), claim("b", 1, 64.0, 100 * GI), claim("c", 0, 64.0, 100 * GI)]
    allowed = Machine(2, 8 * GI).allowance(wanted)
    assert counts(allowed) == [1, 1, 0]
    assert [bool(each.reason) for each in allowed] == [True, False, False]


def test_replicas_are_given_in_rounds_in_the_order_of_names() -> None:
    wanted = [claim("c", 9, memory=GI), claim("a", 9, memory=GI), claim("b", 9, memory=GI)]
    assert counts(Machine(16, 8 * GI).allowance(wanted)) == [2, 3, 3]


def test_who_is_too_large_does_not_keep_others_from_what_is_left() -> None:
    assert counts(Machine(16, 8 * GI).allowance([claim("a", 9, memory=3 * GI), claim("b", 9, memory=GI)])) == [2, 2]
    assert counts(Machine(16, 8 * GI).allowance([claim("a", 9, memory=5 * GI), claim("b", 9, memory=GI)])) == [1, 3]


def test_the_minimum_of_one_comes_before_what_others_want_beyond_theirs() -> None:
    wanted = [claim("a", 9, memory=GI), claim("b", 9, memory=GI, minimum=5)]
    assert counts(Machine(16, 8 * GI).allowance(wanted)) == [2, 6]
    assert counts(Machine(16, 4 * GI).allowance(wanted)) == [1, 3]


claims = st.builds(
    claim,
    st.sampled_from("abcdefgh"),
    st.integers(0, 12) | st.just(10**9),
    st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]),
    st.sampled_from([0.0, 1.0, 0.3 * GI, GI, 2.5 * GI, 50 * GI]),
    st.integers(0, 6),
)


@settings(max_examples=300, deadline=None)
@given(wanted=st.lists(claims, max_size=12), cores=st.sampled_from([0.5, 1.0, 2.0, 7.3]), memory=st.integers(1, 40))
def test_the_rules_hold_for_any_claims(wanted: list[Claim], cores: float, memory: int) -> None:
    machine = Machine(cores, memory * GI)
    allowed = machine.allowance(wanted)
    assert allowed == machine.allowance(wanted)
    assert [each.name for each in allowed] == [each.name for each in wanted]
    beyond = False
    total = 0.0
    for each, found in zip(wanted, allowed, strict=True):
        assert min(1, each.desired) <= found.replicas <= each.desired
        assert bool(found.reason) == (found.replicas < each.desired)
        if found.replicas > 1:
            beyond = beyond or each.requests["memory"] > 0
            assert found.replicas * each.requests["cpu"] <= cores + 1e-6
        total += found.replicas * each.requests["memory"]
    if beyond:  # a round of all fits if no more than a part in 10^9 of it is too much: 10 times 0.1 is not quite 1
        assert total <= memory * GI + 1 + 1e-9 * sum(each.requests["memory"] for each in wanted)
    for each, found in zip(wanted, allowed, strict=True):  # nobody is refused what there is room for
        if found.replicas < each.desired:
            more = found.replicas + 1
            crowded = total + each.requests["memory"] > memory * GI - 1
            assert crowded or more * each.requests["cpu"] > cores or more > 110
