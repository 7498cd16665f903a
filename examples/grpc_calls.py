"""gRPC: each call has one version, and the unit is in its metadata."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

import graysplit
from graysplit.integrations.grpc import GraysplitInterceptor

gray = graysplit.Router("memory://grpc")
price = gray.split("price", "old", "new")


def price_of(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Price by the version."""
    return f"{price.choose()} price".encode()


if __name__ == "__main__":
    with graysplit.Control("memory://grpc") as control:
        control.create("price")
        control.set("price", 30)
    interceptor = GraysplitInterceptor(gray, unit="metadata:x-user")
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[interceptor])
    methods = {"Price": grpc.unary_unary_rpc_method_handler(price_of)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    with gray:  # in the fleet from here on, out of it at the end
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for user in ("user-1", "user-8"):
                answer = channel.unary_unary("/shop/Price")(b"", metadata=[("x-user", user)])
                print(f"{user}: {answer.decode()}")
        server.stop(None).wait()
