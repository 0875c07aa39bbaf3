"""`python -m trio_envoy` is `trio-envoy`."""

from trio_envoy.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
