import json

import trustme

from trio_envoy.util import clock

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def mutual_tls(admin, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "client.test")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    client = {"filename": str(tmp_path / "client.pem")}
    context = {
        "@type": TLS,
        "common_tls_context": {
            "tls_certificates": [{"certificate_chain": client, "private_key": client}],
            "validation_context": {"trusted_ca": {"filename": str(tmp_path / "ca.pem")}},
        },
    }
    socket = json.dumps({"name": "tls", "typed_config": context})
    clusters = f"[{admin.cluster('a', 1, more=f', transport_socket: {socket}')}]"
    return f"{{admin: {{{admin.address}}}, static_resources: {{clusters: {clusters}}}}}"


async def test_no_certificates(admin):
    async with admin.serving() as live:
        assert json.loads((await live.get("/certs")).text) == {"certificates": []}
        assert await live.stat("server.days_until_first_cert_expiring") == "4294967295"


async def test_what_is_in_use_is_told(admin, tmp_path):
    async with admin.serving(mutual_tls(admin, tmp_path)) as live:
        (found,) = json.loads((await live.get("/certs")).text)["certificates"]

        (ca,), (own,) = found["ca_cert"], found["cert_chain"]
        assert (ca["path"], own["path"]) == (str(tmp_path / "ca.pem"), str(tmp_path / "client.pem"))
        assert own["subject_alt_names"] == [{"dns": "client.test"}, {"ip_address": "127.0.0.1"}]
        days = min(int(ca["days_until_expiration"]), int(own["days_until_expiration"]))
        assert await live.stat("server.days_until_first_cert_expiring") == str(days)
        assert days > 0


async def test_an_expired_certificate_has_no_days_left(admin, tmp_path, monkeypatch):
    async with admin.serving(mutual_tls(admin, tmp_path)) as live:
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now + 2000 * 365 * 86400)

        assert await live.stat("server.days_until_first_cert_expiring") == "0"
