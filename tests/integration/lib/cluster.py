"""A cluster of real processes in a temporary directory, through deploy/local/cluster."""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "deploy" / "local" / "cluster"


def build_dir():
    return pathlib.Path(os.environ.get("SHOAL_BUILD", ROOT / "build")).resolve()


def wait_for(what, ask, limit_s=30):
    """Asks again until the answer is true; returns it. For what gives no event to wait for."""
    end = time.monotonic() + limit_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"gave up waiting for {what}")
        time.sleep(0.02)


class Cluster:
    """with Cluster(tablets=2, shards=8) as cluster: …; ends and removes all of it, and complains about what is left.

    flags and env: ("tablet:--pool-threads=2", …), ("gate:SHOAL_LOG_LEVEL=debug", …)."""

    live = []  # for the runner, which shows the logs when a test fails
    last_words = []  # logs of clusters that a failing test has left

    def __init__(self, tablets=3, shards=8, gates=1, flags=(), env=(), directory=None):
        self.keep = directory is not None
        self.dir = pathlib.Path(directory or tempfile.mkdtemp(prefix="shoal-test-"))
        self.clients = []
        self.up_args = [f"--tablets={tablets}", f"--shards={shards}", f"--gates={gates}",
                        *(f"--flag={f}" for f in flags), *(f"--env={e}" for e in env)]

    def __enter__(self):
        Cluster.live.append(self)
        try:
            self.up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, exception, *_):
        if exception:
            Cluster.last_words.append(self.logs())
        self.close()

    # ---- the script

    def script(self, command, *args, check=True):
        done = subprocess.run([str(SCRIPT), command, "--dir", str(self.dir), *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=300)
        if check and done.returncode:
            raise AssertionError(f"cluster {command} {' '.join(args)} failed ({done.returncode}):\n"
                                 f"{done.stdout}{done.stderr}\n{self.logs()}")
        return done

    def up(self):
        return self.script("up", "--build", str(build_dir()), *self.up_args)

    def down(self, *args):
        return self.script("down", *args)

    def restart(self, process_id):
        return self.script("restart", process_id)

    def close(self):
        for client in self.clients:
            client.close()
        if self in Cluster.live:
            Cluster.live.remove(self)
        left = []
        if (self.dir / "processes.json").exists():
            self.script("down", check=False)
            left = self.processes_left()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        if left:
            raise AssertionError(f"still running after down: {left}")

    # ---- what is there

    def describe(self):
        return json.loads((self.dir / "cluster.json").read_text(encoding="utf-8"))

    def process(self, process_id):
        for kind in self.describe().values():
            for p in kind:
                if p["id"] == process_id:
                    return p
        raise KeyError(process_id)

    @property
    def gate(self):
        return self.describe()["gates"][0]["address"]

    @property
    def topo(self):
        return self.describe()["topos"][0]["address"]

    def data_dir(self, process_id):
        return self.dir / process_id

    def processes_left(self):
        """Command lines of processes that work in the cluster's directory."""
        left = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cwd"):
            try:
                if path.resolve() == self.dir.resolve():
                    left.append((path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return left

    def logs(self, n_lines=40):
        """The end of every log."""
        text = ""
        for path in sorted((self.dir / "log").glob("*.log")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-n_lines:]
            text += f"---- {path.name}\n" + "".join(line + "\n" for line in lines)
        return text

    # ---- using it

    def client(self, keyspace="", gate=0, timeout=30):
        from lib.client import Client
        self.clients.append(Client(self.describe()["gates"][gate]["address"], keyspace, timeout))
        return self.clients[-1]

    def topo_client(self):
        from lib.client import Topo
        self.clients.append(Topo(self.topo))
        return self.clients[-1]

    def shoal(self, *args, text="", timeout=120):
        """Runs the command line against this cluster; the CompletedProcess, whatever its exit code."""
        env = {**os.environ, "SHOAL_GATE": self.gate, "SHOAL_TOPO": self.topo, "TERM": "dumb"}
        return subprocess.run([str(build_dir() / "cli" / "shoal"), *args], input=text, capture_output=True, text=True,
                              env=env, check=False, timeout=timeout)

    # ---- hurting it

    def kill(self, process_id, number=signal.SIGKILL):
        """Sends the signal and waits for the process to be gone."""
        fd = os.pidfd_open(self.process(process_id)["pid"])
        try:
            signal.pidfd_send_signal(fd, number)
            if not select.select([fd], [], [], 30)[0]:
                raise AssertionError(f"{process_id} did not end")
        finally:
            os.close(fd)

    def pause(self, process_id):
        os.kill(self.process(process_id)["pid"], signal.SIGSTOP)

    def resume(self, process_id):
        os.kill(self.process(process_id)["pid"], signal.SIGCONT)
