"""A gate that is one SQLite in this process: for what the command line must cope with, and a real gate does not do on demand."""

import concurrent.futures
import re
import sqlite3
import threading

import grpc

from lib.client import decode_value, encode_value
from lib.oracle import RawText
from lib.protos import api_pb2, api_pb2_grpc, status_pb2

SEVERAL_ROWS = re.compile(r"\A\s*(INSERT|REPLACE)\b.*\bVALUES\b.*\)\s*,\s*\(", re.I | re.S)
ROWS_A_MESSAGE = 100


def refusal(code, reason, message, **metadata):
    return code, reason, message, {k: str(v) for k, v in metadata.items()}


class Refused(Exception):
    pass


class FakeGate(api_pb2_grpc.GateServicer):
    """with FakeGate() as gate: … gate.address. Knobs:

    spans: INSERTs of several rows are refused as writes that span shards
    lost_answers: so many batches are done, but answered UNAVAILABLE
    unavailable: so many statements of batches are not done, and answered UNAVAILABLE
    unknown: so many statements of batches are done, but answered UNKNOWN"""

    def __init__(self):
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.db.text_factory = RawText.text
        self.lock = threading.Lock()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(20), options=[("grpc.so_reuseport", 0)])
        api_pb2_grpc.add_GateServicer_to_server(self, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.spans = False
        self.lost_answers = 0
        self.unavailable = 0
        self.unknown = 0
        self.done = {}  # results by request_id and number
        self.n_batches = 0
        self.keyspaces = set()
        self.waiting = threading.Event()  # a statement waits for ever
        self.cancelled = threading.Event()

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()
        self.db.close()

    # ---- one statement

    def run(self, sql, params=()):
        """The ResultSet; Refused with what refusal() gives."""
        if self.spans and SEVERAL_ROWS.match(sql):
            raise Refused(refusal(grpc.StatusCode.UNIMPLEMENTED, "WRITE_SPANS_SHARDS", "the rows lie on several shards"))
        result = api_pb2.ResultSet()
        with self.lock:
            try:
                cursor = self.db.execute(sql, [decode_value(p) for p in params])
                rows = cursor.fetchall()
            except sqlite3.Error as e:
                raise Refused(self.translate(sql, e)) from None
            for d in cursor.description or ():
                result.columns.add(name=d[0])
            for row in rows:
                result.rows.add(values=[encode_value(v) for v in row])
            if not cursor.description:
                result.rows_affected = self.db.execute("SELECT changes()").fetchone()[0]
        return result

    @staticmethod
    def translate(sql, e):
        text = str(e)
        metadata = {"extended_code": e.sqlite_errorcode, "sqlite_message": text}
        if "no such table" in text:
            return refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_TABLE", text, **metadata)
        near = re.match(r'near "(.*?)": syntax error', text)
        if near:
            return refusal(grpc.StatusCode.INVALID_ARGUMENT, "SYNTAX_ERROR", text,
                           offset=sql.encode().index(near[1].encode()), **metadata)
        if e.sqlite_errorcode % 256 == 19:
            return refusal(grpc.StatusCode.FAILED_PRECONDITION, "CONSTRAINT", text, **metadata)
        return refusal(grpc.StatusCode.INVALID_ARGUMENT, "SQL_ERROR", text, **metadata)

    # ---- the service

    def Execute(self, request, context):
        return self.answer(context, lambda: api_pb2.ExecuteResponse(result=self.run(request.sql, request.params)))

    def ExecuteStream(self, request, context):
        self.keyspaces.add(request.keyspace)
        if "wait_for_ever" in request.sql:
            context.add_callback(self.cancelled.set)
            self.waiting.set()
            self.cancelled.wait(60)
            return
        result = self.answer(context, lambda: self.run(request.sql, request.params))
        first = api_pb2.ExecuteResponse(result=api_pb2.ResultSet(columns=result.columns,
                                                                 rows_affected=result.rows_affected))
        if request.options.with_stats:
            first.stats.plan = "fake"
            first.stats.total_us = 1500
            first.stats.shards.add(shard="-80", tablet="tablet-0", rows=len(result.rows), bytes=10, elapsed_us=20)
        yield first
        for i in range(0, len(result.rows), ROWS_A_MESSAGE):
            yield api_pb2.ExecuteResponse(result=api_pb2.ResultSet(rows=result.rows[i:i + ROWS_A_MESSAGE]))

    def ExecuteBatch(self, request, context):
        self.n_batches += 1
        response = api_pb2.ExecuteBatchResponse()
        for i, statement in enumerate(request.statements):
            response.results.append(self.run_once((request.request_id, i), statement))
        if self.lost_answers > 0:
            self.lost_answers -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer got lost")
        return response

    def run_once(self, request_id, statement):
        """The StatementResult; what was done under this id before is not done again."""
        if request_id in self.done:
            return self.done[request_id]
        if self.unavailable > 0:
            self.unavailable -= 1
            return api_pb2.StatementResult(code=grpc.StatusCode.UNAVAILABLE.value[0], message="a tablet is away")
        try:
            result = api_pb2.StatementResult(result=self.run(statement.sql, statement.params))
        except Refused as e:
            code, _, message, _ = e.args[0]
            return api_pb2.StatementResult(code=code.value[0], message=message)
        if request_id[0]:
            self.done[request_id] = result
        if self.unknown > 0:
            self.unknown -= 1
            return api_pb2.StatementResult(code=grpc.StatusCode.UNKNOWN.value[0], message="the answer got lost")
        return result

    def Describe(self, request, context):
        return self.answer(context, lambda: api_pb2.DescribeResponse(columns=self.run(request.sql).columns))

    def answer(self, context, ask):
        try:
            return ask()
        except Refused as e:
            code, reason, message, metadata = e.args[0]
            info = status_pb2.ErrorInfo(reason=reason, domain="shoal", metadata=metadata)
            status = status_pb2.Status(code=code.value[0], message=message, details=[status_pb2.Any(
                type_url="type.googleapis.com/google.rpc.ErrorInfo", value=info.SerializeToString())])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(code, message)
