"""What the parts of tests/bench/run share: the generator of load, processor time, medians."""

import json
import os
import pathlib
import signal
import struct
import subprocess

TICKS = os.sysconf("SC_CLK_TCK")
WARMUP_S = 0.5  # of bare_path load


class LoadFailed(Exception):
    """Some calls failed; the text is the first error."""


class Bare:
    """The proxy and the server of bare_path."""

    def __init__(self, program):
        self.program = str(program)
        self.server = self.start("server")
        self.proxy = self.start("proxy", "--upstream", self.server.address)
        self.pids = [self.proxy.pid, self.server.pid]

    def start(self, mode, *args):
        process = subprocess.Popen([self.program, mode, "--listen", "127.0.0.1:0", *args], stdout=subprocess.PIPE, text=True)
        process.address = f"127.0.0.1:{process.stdout.readline().split()[-1]}"
        return process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.proxy, self.server):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
            process.stdout.close()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(build, address, calls, seconds, pids=(), requests=None):
    """One measurement by bare_path: of requests to the gate, or of the bare path's own. Adds cpu_us, the processor
    microseconds a call of each process."""
    args = [str(build / "tests/bench/bare_path"), "load", "--upstream", address, "--calls", str(calls), "--seconds", str(seconds)]
    if requests:
        args += ["--method", "/shoal.v1.Gate/Execute", "--requests", str(requests)]
    before = [cpu_seconds(pid) for pid in pids]
    result = json.loads(subprocess.run(args, check=True, capture_output=True, text=True).stdout)
    if result["errors"]:
        raise LoadFailed(f"{result['errors']} calls failed: {result['first_error']}")
    # The warm-up is in the processor time and not in the count; both grow alike.
    share = seconds / (seconds + WARMUP_S)
    result["cpu_us"] = [(cpu_seconds(pid) - b) * share * 1e6 / max(1, result["requests"]) for pid, b in zip(pids, before)]
    return result


def write_requests(path, requests):
    with open(path, "wb") as out:
        for request in requests:
            encoded = request.SerializeToString()
            out.write(struct.pack("<I", len(encoded)) + encoded)
    return path


def json_lines(program, *args, env=None):
    done = subprocess.run([str(program), *map(str, args)], check=True, capture_output=True, text=True, env=env)
    return [json.loads(line) for line in done.stdout.splitlines()]


def median(values):
    return sorted(values)[len(values) // 2]


def ratio(ratios):
    """The median, and how far the rounds lie apart."""
    return f"{median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
