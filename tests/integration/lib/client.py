"""A gRPC client of gate and topo with Python's values: None, int, float, str, bytes and RawText."""

import dataclasses
import os

# gRPC's C core looks at a connection under way only while a call waits, and otherwise every 5 s: calls that fail at once
# would not notice for so long that the server is back. Read when the first channel is made.
os.environ.setdefault("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "50")

import grpc  # noqa: E402

from lib.oracle import RawText  # noqa: E402
from lib.protos import api_pb2, api_pb2_grpc, status_pb2  # noqa: E402

CHANNEL_OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1),
                   ("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1),
                   ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]


class SqlError(Exception):
    """A call that failed: code is gRPC's name ("NOT_FOUND"), reason and metadata come from ErrorInfo."""

    def __init__(self, code, message, reason="", metadata=None):
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}

    @property
    def unsupported(self):
        return self.code == "UNIMPLEMENTED"

    @property
    def extended_code(self):
        return int(self.metadata.get("extended_code", 0))

    @classmethod
    def from_rpc(cls, error):
        reason, metadata = "", {}
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                if detail.type_url.endswith("/google.rpc.ErrorInfo"):
                    info = status_pb2.ErrorInfo.FromString(detail.value)
                    reason, metadata = info.reason, dict(info.metadata)
        return cls(error.code().name, error.details(), reason, metadata)


@dataclasses.dataclass
class Result:
    columns: list = dataclasses.field(default_factory=list)
    declared_types: list = dataclasses.field(default_factory=list)
    rows: list = dataclasses.field(default_factory=list)
    rows_affected: int = 0
    last_insert_id: int = 0
    session: str = ""
    stats: object = None
    error: object = None  # of a statement in a batch

    def add(self, response):
        """Takes in one ExecuteResponse; a stream has several."""
        self.add_result(response.result)
        self.session = response.session or self.session
        if response.HasField("stats"):
            self.stats = response.stats

    def add_result(self, result):
        if result.columns:
            self.columns = [c.name for c in result.columns]
            self.declared_types = [c.declared_type for c in result.columns]
        self.rows.extend(tuple(decode_value(v) for v in row.values) for row in result.rows)
        self.rows_affected = result.rows_affected or self.rows_affected
        self.last_insert_id = result.last_insert_id or self.last_insert_id


def decode_value(value):
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "raw_text":
        return RawText.text(value.raw_text)
    return getattr(value, kind)


def encode_value(value):
    if value is None:
        return api_pb2.Value()
    if isinstance(value, RawText):
        return api_pb2.Value(raw_text=bytes(value))
    if isinstance(value, str):
        return api_pb2.Value(raw_text=value.encode()) if "\0" in value else api_pb2.Value(text=value)
    if isinstance(value, (bytes, bytearray)):
        return api_pb2.Value(blob=bytes(value))
    if isinstance(value, float):
        return api_pb2.Value(real=value)
    return api_pb2.Value(integer=int(value))


def encode_params(params):
    if isinstance(params, dict):
        return {"named_params": {k: encode_value(v) for k, v in params.items()}}
    return {"params": [encode_value(v) for v in params]}


class Channel:
    """A connection to one server, and its errors as SqlError."""

    def __init__(self, address, timeout):
        self.address = address
        self.timeout = timeout
        self.channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.channel.close()

    def call(self, method, request, timeout=None):
        try:
            return method(request, timeout=timeout or self.timeout)
        except grpc.RpcError as e:
            raise SqlError.from_rpc(e) from None


class Client(Channel):
    """Speaks to a gate. keyspace "" is main."""

    def __init__(self, address, keyspace="", timeout=30):
        super().__init__(address, timeout)
        self.keyspace = keyspace
        self.stub = api_pb2_grpc.GateStub(self.channel)

    def request(self, sql, params=(), *, keyspace=None, session="", request_id="", stats=False, max_rows=0,
                read_only=False):
        return api_pb2.ExecuteRequest(
            keyspace=self.keyspace if keyspace is None else keyspace, sql=sql, session=session, request_id=request_id,
            options=api_pb2.ExecuteOptions(with_stats=stats, max_rows=max_rows, read_only=read_only),
            **encode_params(params))

    def execute(self, sql, params=(), timeout=None, **options):
        result = Result()
        result.add(self.call(self.stub.Execute, self.request(sql, params, **options), timeout))
        return result

    def rows(self, sql, params=(), **options):
        return self.execute(sql, params, **options).rows

    def chunks(self, sql, params=(), timeout=None, **options):
        """The messages of ExecuteStream, one after the other."""
        try:
            yield from self.stub.ExecuteStream(self.request(sql, params, **options), timeout=timeout or self.timeout)
        except grpc.RpcError as e:
            raise SqlError.from_rpc(e) from None

    def stream(self, sql, params=(), timeout=None, **options):
        """The whole of ExecuteStream as one result."""
        result = Result()
        for response in self.chunks(sql, params, timeout, **options):
            result.add(response)
        return result

    def batch(self, statements, atomic=False, session="", request_id="", timeout=None):
        """statements: texts, or (text, params). A list of Result; a failed one has .error."""
        pairs = [(s, ()) if isinstance(s, str) else s for s in statements]
        response = self.call(self.stub.ExecuteBatch, api_pb2.ExecuteBatchRequest(
            keyspace=self.keyspace, atomic=atomic, session=session, request_id=request_id,
            statements=[api_pb2.Statement(sql=sql, **encode_params(params)) for sql, params in pairs]), timeout)
        results = []
        for one in response.results:
            result = Result(session=response.session)
            result.add_result(one.result)
            if one.code:
                result.error = SqlError(grpc_code_name(one.code), one.message)
            results.append(result)
        return results

    def describe(self, sql):
        return self.call(self.stub.Describe, api_pb2.DescribeRequest(keyspace=self.keyspace, sql=sql))


def grpc_code_name(number):
    return next((c.name for c in grpc.StatusCode if c.value[0] == number), str(number))


class Topo(Channel):
    """Speaks to topo's admin half."""

    def __init__(self, address, timeout=30):
        super().__init__(address, timeout)
        self.stub = api_pb2_grpc.TopoStub(self.channel)

    def create_keyspace(self, name, shards=0):
        return self.call(self.stub.CreateKeyspace, api_pb2.CreateKeyspaceRequest(name=name, shard_count=shards))

    def drop_keyspace(self, name, force=False):
        return self.call(self.stub.DropKeyspace, api_pb2.DropKeyspaceRequest(name=name, force=force))

    def topology(self):
        return self.call(self.stub.GetTopology, api_pb2.GetTopologyRequest())

    def keyspace(self, name="main"):
        return next(k for k in self.topology().keyspaces if k.name == name)
