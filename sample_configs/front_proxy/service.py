"""The web application behind each sidecar, as in the tutorial (Flask; the demo of `make run` brings its own)."""

import os
import socket

import requests
from flask import Flask, request

app = Flask(__name__)

TRACE_HEADERS = (
    "X-Ot-Span-Context",
    "X-Request-Id",
    "X-B3-TraceId",
    "X-B3-SpanId",
    "X-B3-ParentSpanId",
    "X-B3-Sampled",
    "X-B3-Flags",
    "uber-trace-id",
)


def greeting(service_number):
    host = socket.gethostname()
    return (
        f"Hello from behind Envoy (service {service_number})! "
        f"hostname: {host} resolvedhostname: {socket.gethostbyname(host)}\n"
    )


@app.route("/service/<service_number>")
def hello(service_number):
    return greeting(service_number)


@app.route("/trace/<service_number>")
def trace(service_number):
    if int(os.environ["SERVICE_NAME"]) == 1:
        headers = {name: request.headers[name] for name in TRACE_HEADERS if name in request.headers}
        requests.get("http://localhost:9000/trace/2", headers=headers, timeout=5)
    return greeting(service_number)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=8080)
