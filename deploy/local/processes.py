"""Starting and ending processes that outlive the script: told apart from strangers by pid and start time."""

import dataclasses
import os
import pathlib
import random
import select
import signal
import socket
import subprocess
import time

BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")
PORT_RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclasses.dataclass
class Process:
    """One server of the cluster: what it is started with, and which process it is while it runs."""

    id: str
    kind: str
    address: str
    http: str
    argv: list
    env: dict
    pid: int = 0
    started: str = ""  # boot id and start time in clock ticks: a pid alone may be used again

    def is_running(self):
        # No mark: it had ended before it could be marked.
        return self.started != "" and start_mark(self.pid) == self.started


def start_mark(pid):
    """What tells this process from any other that ever has the same pid; "" if it is gone (or a zombie)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return ""
        return BOOT_ID.read_text(encoding="ascii").strip() + ":" + fields[19]
    except (OSError, IndexError):
        return ""


def start(process, log_path, directory):
    """Starts it in a session of its own, so that it stays when the terminal goes; its output is appended to the log."""
    with open(log_path, "ab") as log:
        child = subprocess.Popen(
            process.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory,
            env={**os.environ, **process.env}, start_new_session=True)
    child.returncode = 0  # it is not ours to wait for: no warning when the object goes
    process.pid = child.pid
    process.started = start_mark(child.pid)


def stop(processes, limit_s):
    """SIGTERM to all of them, SIGKILL to those still there after limit_s. Returns the ids that had to be killed."""
    watched = {}
    for process in processes:
        try:
            fd = os.pidfd_open(process.pid) if process.pid else -1
        except OSError:
            continue
        if fd < 0:
            continue
        # The descriptor holds on to one process; only now is it safe to ask whether it is the right one.
        if not process.is_running():
            os.close(fd)
            continue
        watched[fd] = process
    try:
        signal_all(watched, signal.SIGTERM)
        left = wait_gone(set(watched), limit_s)
        signal_all(left, signal.SIGKILL)
        wait_gone(set(left), limit_s)
        return [watched[fd].id for fd in sorted(left)]
    finally:
        reap([process.pid for process in watched.values()])
        for fd in watched:
            os.close(fd)


def signal_all(fds, number):
    for fd in fds:
        try:
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            pass


def wait_gone(fds, limit_s):
    poller = select.poll()
    end = time.monotonic() + limit_s
    for fd in fds:
        poller.register(fd, select.POLLIN)
    while fds and time.monotonic() < end:
        for fd, _ in poller.poll(max(0, (end - time.monotonic()) * 1000)):
            poller.unregister(fd)
            fds.discard(fd)
    return fds


def reap(pids):
    """Those that this very process started would stay as zombies until it ends."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def free_ports(n):
    """n different free ports of 127.0.0.1, below those that outgoing connections are given where there is room: a
    process that is down for a while must find its port free when it comes back."""
    low = int(PORT_RANGE.read_text(encoding="ascii").split()[0]) if PORT_RANGE.exists() else 32768
    candidates = list(range(10240, low)) if low - 10240 > 1000 else [0] * (n * 4)
    random.shuffle(candidates)
    held, ports = [], []
    try:
        for port in candidates:
            if len(ports) == n:
                break
            s = socket.socket()
            held.append(s)
            try:
                s.bind(("127.0.0.1", port))
                ports.append(s.getsockname()[1])
            except OSError:
                continue
    finally:
        for s in held:
            s.close()
    if len(ports) < n:
        raise OSError(f"no {n} free ports on 127.0.0.1")
    return ports


def tail(path, n_lines):
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-n_lines:])
