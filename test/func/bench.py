# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""scripts/bench itself: what it lists and refuses, and one short measurement whose file is complete.
No figure is judged: a shared machine proves nothing."""

import json
import os
import pathlib
import re
import sys

from harness import Switch
from proc import SLOW, Child, Failed, Skip, check, equal, run
from runner import main
from testpmd import Testpmd

TOP, BUILD = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
BENCH = TOP / "scripts" / "bench"
PAGES_LEAST = 512  # of 2 MiB; see scripts/lib/bench/machine.py
RESULT_KEYS = {"version", "when", "machine", "settings", "floor", "cases", "series", "latency",
               "guest", "interrupted", "pingpong_ns"}


def bench(*args):
    return run([BENCH, *args], 10)[:3]


def pages(kind):
    path = pathlib.Path(f"/sys/kernel/mm/hugepages/hugepages-2048kB/{kind}_hugepages")
    return int(path.read_text(encoding="ascii")) if path.exists() else 0


def able():
    """Two CPUs and huge pages, free or to be had."""
    if SLOW > 1:
        raise Skip("sanitizers: nothing to be measured")
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("one CPU")
    if pages("free") < PAGES_LEAST:
        raise Skip(f"fewer than {PAGES_LEAST} free huge pages")


def measure(case, *args):
    """(status, output, errors, result file). It waits for a quiet machine; on one that never is
    quiet there is nothing to be seen."""
    able()
    path = case.path("result.json")
    child = case.keep(Child([BENCH, "--quick", "--json", path, *args, "split"], "bench"))
    try:
        status = child.wait(40)
    except Failed:
        child.proc.terminate()
        child.wait(10)  # it gives huge pages back
        if "disturbed" in child.err:
            raise Skip("others use the CPUs all the time") from None
        raise
    check(os.path.exists(path), f"status {status}, no result file\n{child.tail()}")
    return status, child.out, child.err, json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def listed():
    status, out, err = bench("--list")
    equal((status, err), (0, ""), "--list")
    return [line.split()[0] for line in out.splitlines()]


def it_lists_its_cases(_case):
    names = listed()
    equal(len(names), len(set(names)), "names, each once")
    for name in ("split", "packed", "tso", "csum-fill", "guests64", "by-size", "stages"):
        check(name in names, f"{name} is not listed: {names}")


def it_names_the_nearest_of_an_unknown_case(_case):
    for wrong, near in (("splitt", "split"), ("guest64", "guests64"), ("by-port", "by-ports")):
        status, out, err = bench("--build", BUILD, wrong)
        equal((status, out), (2, ""), f"{wrong}: status and output")
        lines = err.splitlines()
        equal(len(lines), 1, f"{wrong}: lines: {err}")
        check(re.search(rf"\b{wrong}: no such case; did you mean .*\b{near}\b", lines[0]), err)
    status, _, err = bench("--build", BUILD, "zzzzzz")
    equal(status, 2, "of a name like no other")
    check("see --list" in err, err)


def it_refuses_what_makes_no_sense(case):
    for args, words in ((["--rounds", "0"], "at least 1"), (["--cpus", "0,0"], "two CPUs"),
                        (["--build", case.dir], "no such program"), (["--nonsense"], "usage")):
        status, out, err = bench(*(args if "--build" in args else ["--build", BUILD, *args]),
                                 "split")
        equal((status, out), (2, ""), f"{args}: status and output")
        check(words in err, f"{args}: {err}")
        check("Traceback" not in err, err)


def check_case(entry):
    equal((entry["name"], entry["error"], entry["kinds"]), ("split", None, ["vswitchd"]), "case")
    check({"verdict", "verdicts", "ratios", "comparisons"} <= set(entry), f"keys: {list(entry)}")
    ours = entry["results"]["vswitchd"]
    equal(len(ours["mpps"]), 2, "rounds")
    check(all(mpps > 0 for mpps in ours["mpps"]), f"rates: {ours['mpps']}")
    check(min(ours["mpps"]) <= ours["median"] <= max(ours["mpps"]), f"median: {ours['median']}")
    check(all(cycles is None or cycles > 0 for cycles in ours["cycles"]), f"{ours['cycles']}")
    check(0 <= ours["waited"] <= 1, f"waited: {ours['waited']}")
    equal(ours.get("strangers", 0), 0, "frames that were damaged or not for whom they came to")


def it_measures_and_writes_a_file(case):
    before = pages("nr")
    status, out, err, result = measure(case, "--build", BUILD)
    equal(status, 0, f"status\n{out}\n{err}\n")
    check(RESULT_KEYS <= set(result), f"keys: {list(result)}")
    equal(result["interrupted"], False, "interrupted")
    equal([entry["name"] for entry in result["cases"]], ["split"], "cases")
    check_case(result["cases"][0])
    check(result["floor"] and result["floor"][0]["mpps"] > 0, f"floor: {result['floor']}")
    check(re.search(r"^split\s+vswitchd\s+\d+\.\d\d\s", out, re.M), out)
    equal(pages("nr"), before, "huge pages afterwards")


def build_with_load(case, script):
    """The build, but for its load, which is a shell script; $LOAD there is the true one."""
    path = pathlib.Path(case.path("build"))
    for name in ("app/vswitchd/vswitchd", "app/vswitchctl/vswitchctl", "test/perf/floor"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).symlink_to(BUILD / name)
    load = path / "test" / "perf" / "load"
    load.write_text(f"#!/bin/bash\nLOAD={BUILD}/test/perf/load\n{script}\n", encoding="utf-8")
    load.chmod(0o755)
    return path


def frames_that_are_damaged_make_it_fail(case):
    build = build_with_load(
        case, '"$LOAD" "$@" | sed -u \'s/"strangers": 0/"strangers": 7/\'')
    status, out, err, result = measure(case, "--build", build, "--rounds", "1")
    equal(status, 1, f"status\n{out}\n{err}\n")
    entry = result["cases"][0]
    equal(entry["results"], {}, "results")
    check("7 frames came damaged" in entry["error"], entry["error"])
    check(re.search(r"^split: vswitchd: not measured: 7 frames", out, re.M), out)


def load(paths, *args):
    """(status, what its window had, errors) of test/perf/load."""
    status, out, err, _ = run([BUILD / "test" / "perf" / "load", "--settle", 0.05, "--window", 0.1,
                               *args, *paths], 20)
    lines = [json.loads(line) for line in out.splitlines()]
    return status, next((line for line in lines if "window" in line), None), err


# Options of the load, and how many of the frames that come have a checksum to be finished: all of
# them or none.
TCP = (
    (["--tcp", "tso"], True),
    (["--tcp", "tso", "--chain", "pages", "--buffer", "4096"], True),
    (["--tcp", "tso", "--chain", "pages", "--packed"], True),
    (["--tcp", "tso", "--takes", "csum"], True),
    (["--tcp", "tso", "--takes", "none", "--frame", "20000"], False),
    (["--tcp", "csum"], True),
    (["--tcp", "csum", "--takes", "none", "--chain", "pages"], False),
    (["--tcp", "done", "--takes", "none"], False),
)


def tcp_arrives_as_its_receivers_take_it(case):
    paths = [case.path(f"{name}.sock") for name in "ab"]
    options = [word for i, path in enumerate(paths)
               for word in ("--vhost", f"{path},queues=1,mac=02:00:0{i}:00:00:00")]
    switch = case.keep(Switch(case.dir, options, idle="poll"))  # the load kicks nobody
    switch.ready()
    for args, unfinished in TCP:
        status, found, err = load(paths, "--mergeable", *args)
        equal((status, err), (0, ""), f"{args}: status and errors")
        check(found["least"] > 0, f"{args}: a guest received nothing: {found}")
        equal(found["strangers"], 0, f"{args}: frames that are not right: {found}")
        equal(found["unfinished"], found["received"] if unfinished else 0,
              f"{args}: frames with an unfinished checksum: {found}")
    switch.stop()


def segments_that_lost_what_they_are_make_strangers(case):
    """As from net_vhost, which hands a segment on without saying that it is one."""
    paths = [case.path(f"{name}.sock") for name in "ab"]
    testpmd = case.keep(Testpmd([f"net_vhost{i},iface={path},tso=1"
                                 for i, path in enumerate(paths)], ["--forward-mode=io"]))
    testpmd.ready()
    testpmd.cmd("start")
    status, found, err = load(paths, "--mergeable", "--tcp", "tso")
    equal((status, err), (0, ""), "status and errors")
    check(found["received"] > 0 and found["strangers"] >= found["received"], f"found: {found}")


def the_load_refuses_what_makes_no_sense(_case):
    for args, words in ((["--tcp", "udp"], "one of: tso csum done"), (["--takes", "csum"], "--tcp"),
                        (["--tcp", "tso"], "--mergeable"), (["--chain", "pages"], "--tcp only"),
                        (["--tcp", "csum", "--chain", "two"], "one or pages"),
                        (["--tcp", "csum", "--frame", "66000"], "65549"),
                        (["--tcp", "csum", "--lone", "1"], "--lone")):
        status, found, err = load(["x", "y"], *args)
        equal((status, found), (2, None), f"{args}: status and output")
        check(words in err, f"{args}: {err}")


def the_floor_has_frames_of_many_buffers(_case):
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("one CPU")
    for copies in (1, 2):
        status, out, err, _ = run([BUILD / "test" / "perf" / "floor", "--frame", 65226, "--ring",
                                   16, "--copies", copies, "--seconds", 0.1], 10)
        equal((status, err), (0, ""), "status and errors")
        found = json.loads(out)
        equal(found["copies"], copies, "copies")
        check(found["received"] > 0 and found["cycles"] > 0, out)


if __name__ == "__main__":
    main(it_lists_its_cases, it_names_the_nearest_of_an_unknown_case,
         it_refuses_what_makes_no_sense, it_measures_and_writes_a_file,
         frames_that_are_damaged_make_it_fail, tcp_arrives_as_its_receivers_take_it,
         segments_that_lost_what_they_are_make_strangers, the_load_refuses_what_makes_no_sense,
         the_floor_has_frames_of_many_buffers)
