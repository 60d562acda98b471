# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""One invocation: from a build to the result."""

import datetime
import os
import pathlib

import cases
import load
import machine
import measure
import quiet
import ratios
import report

_QUICK = {"rounds": 2, "window_s": 0.4}
_FULL = {"rounds": 5, "window_s": 1.0}


def run(args, wanted, say):
    """(the result, lines for below the table). What is done stays, should it be interrupted."""
    how = dict(_QUICK if args.quick else _FULL)
    how["rounds"] = args.rounds or how["rounds"]
    cpus = machine.choose_cpus(args.cpus)
    build = machine.existing(args.build) if args.build else machine.build("build-bench", [], say)
    rig = machine.Rig(cpus=cpus, build=build, **how)
    all_ours = os.sched_getaffinity(0)
    # Whatever we start stays on A, but for the threads that are put on B by name.
    os.sched_setaffinity(0, {cpus[0]})
    result = {"version": 1, "when": datetime.datetime.now().astimezone().isoformat("T", "seconds"),
              "machine": machine.describe(rig),
              "settings": {**how, "cpus": list(cpus), "quick": args.quick, "peers": args.peers},
              "floor": [], "cases": [], "series": {}, "latency": {}, "guest": [],
              "build": machine.how_built(build), "gaps": 0, "interrupted": False}
    bench = measure.Bench(rig, say)
    if result["build"]["buildtype"] != "release" or result["build"]["stage_cycles"]:
        bench.notes.append(f"no release build: {result['build']}: what it does is no figure")
    try:
        with machine.hugepages(say):
            _all(bench, args, wanted, result)
            os.sched_setaffinity(0, all_ours)
            if args.guest:
                result["guest"] = _guests(bench, args.quick, args.peers)
    except KeyboardInterrupt:
        say("interrupted")
        result["interrupted"] = True
    finally:
        os.sched_setaffinity(0, all_ours)
    result["machine"]["ovs"] = bench.ovs_version
    result["machine"]["kernels"] = bench.vectors
    result["machine"]["tsc_mhz"] = bench.tsc_hz and bench.tsc_hz / 1e6
    result["pingpong_ns"] = bench.pingpong.all
    pings = [ns for entry in result["cases"] for of in entry["results"].values()
             for ns in of["pingpong_ns"]]
    if pings and quiet.differs(pings):
        bench.notes.append(
            f"a cache line took {min(pings):.0f} to {max(pings):.0f} ns from CPU to CPU: the"
            " machine changed meanwhile; ratios are of rounds in which it did not, rates of"
            " different cases do not compare")
    return result, bench.notes


def _all(bench, args, wanted, result):
    busy = quiet.look_around(bench.rig.cpus)
    if busy:
        bench.say(f"not a quiet machine: {busy}; end it, or trust no figure")
        bench.notes.append(f"at the beginning: {busy}")
    bench.usual_pingpong()
    chosen = [case for case in cases.CASES if case.name in wanted]
    for case in chosen:
        kinds = case.kinds(args.peers)
        bench.say(f"{case.name}: {bench.rig.rounds} rounds of {', '.join(kinds)}")
        result["cases"].append(_case(bench, case, kinds, result["latency"]))
    floors = {(e["floor"]["frame"], e["floor"]["ring"], e["floor"]["buffer"]): e["floor"]
              for e in result["cases"] if e["floor"]}
    result["floor"] = list(floors.values())
    for name in cases.SERIES:
        if name in wanted:
            bench.say(f"series {name}")
            kinds = ["vswitchd"] + (["testpmd-io"] if args.peers else [])
            result["series"][name], missing = measure.measure_series(bench, name, kinds)
            bench.notes += missing
            result["gaps"] += sum(": vswitchd: " in line for line in missing)
    if cases.STAGES in wanted:
        _stages(bench, result)


def _floor(bench, case):
    """Right before the case, for what a frame costs depends on the machine's state."""
    setting = case.setting if case.setting.plain() else case.own
    try:
        return measure.floor(bench, setting) if setting else None
    except measure.ERRORS as error:
        bench.notes.append(f"{case.name}: floor: {measure.explain(error)}")
        return None


def _case(bench, case, kinds, latency):
    """Its entry of the result."""
    entry = {"name": case.name, "title": case.title, "load": case.setting.load_args(),
             "kinds": kinds, "unit": case.unit(), "floor": _floor(bench, case), "results": {}, "hold": case.hold,
             "goal": case.goal, "error": None}
    runs, entry["reasons"] = measure.measure_case(bench, case, kinds)
    for kind in (kind for kind in kinds if kind in runs):
        entry["results"][kind] = measure.summary(runs[kind], bench.tsc_hz)
        if case.setting.lone:
            latency[kind] = {way: load.merged([one[way] for one in runs[kind]])
                             for way in ("one_way", "round_trip")}
    ratios.judge(case, entry)
    entry["error"] = entry["reasons"].get("vswitchd")
    return entry


def _stages(bench, result):
    """A series of its own build; skipped with a line where there is none."""
    if not measure.offers_stages():
        bench.notes.append("stages: not measured: no build option stage_cycles")
        return
    bench.say("series stages")
    ours = os.sched_getaffinity(0)
    try:
        build = machine.build("build-stages", ["-Dstage_cycles=true"], bench.say)
        result["series"]["stages"] = measure.measure_stages(bench, build)
    except (machine.Unable, *measure.ERRORS) as error:
        bench.notes.append(f"stages: not measured: {measure.explain(error)}")
        result["gaps"] += 1
    finally:
        os.sched_setaffinity(0, ours)


def _guests(bench, quick, peers):
    """Quick: without TCP, for which every switch needs guests that boot for it."""
    import guest  # pylint: disable=import-outside-toplevel
    import guest_tcp  # pylint: disable=import-outside-toplevel
    window_s, rounds = (1.0, 1) if quick else (3.0, 3)
    results = guest.run(bench.rig.program("vswitchd"), window_s, rounds, bench.say)
    if not quick:
        results += guest_tcp.run_all(bench.rig, (window_s, rounds), peers, bench.say)
    return results


def write(args, result, say):
    """The file and the charts; a line about each that could not be made."""
    errors = []
    try:
        pathlib.Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        report.write(result, args.json)
        say(f"written: {args.json}")
    except OSError as error:
        errors.append(f"--json {args.json}: {error.strerror}; give another file")
    try:
        import charts  # pylint: disable=import-outside-toplevel
        drawn = charts.draw(result, pathlib.Path(args.charts), say)
        say(f"drawn: {len(drawn)} files in {args.charts}")
    except Exception as error:  # pylint: disable=broad-except  # a chart is no reason to fail
        errors.append(f"--charts {args.charts}: {error}")
    return errors


def status(result):
    """Of the process."""
    missed = any({"vswitchd", "own"} & set(entry["reasons"])
                 or "MISSED" in entry["verdicts"].values() for entry in result["cases"])
    unproven = any(one["error"] for one in result["guest"]
                   if one.get("kind", "vswitchd").startswith("vswitchd"))
    return 1 if missed or unproven or result["gaps"] else 0
