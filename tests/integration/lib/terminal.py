"""A program on a terminal of its own, typed at and read from."""

import os
import pty
import select
import signal
import termios
import time


class Terminal:
    """with Terminal([program, …], env) as t: t.expect("> "); t.type("…\\n")"""

    def __init__(self, argv, env=None, limit_s=20):
        self.limit_s = limit_s
        self.seen = ""
        self.at = 0
        self.exit_code = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execve(argv[0], argv, {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})})
            finally:
                os._exit(127)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.exit_code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def read(self, end):
        """More output; False at its end."""
        if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
            raise AssertionError(f"no more output within {self.limit_s} s; so far: {self.seen[self.at:]!r}")
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, text):
        """Reads until the text has come; returns what came before it."""
        end = time.monotonic() + self.limit_s
        while text not in self.seen[self.at:]:
            if not self.read(end):
                raise AssertionError(f"ended without {text!r}: {self.seen[self.at:]!r}")
        before, _, _ = self.seen[self.at:].partition(text)
        self.at += len(before) + len(text)
        return before

    def await_editor(self):
        """Until it reads keys itself: the prompt comes a moment before, and Ctrl-C is still a signal then."""
        end = time.monotonic() + self.limit_s
        while termios.tcgetattr(self.fd)[3] & termios.ISIG:
            if time.monotonic() > end:
                raise AssertionError("the program does not edit lines")
            time.sleep(0.005)

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        """Reads to the end of the program; its exit code."""
        end = time.monotonic() + self.limit_s
        while self.read(end):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code
