"""trio_envoy: Envoy's configuration and behaviour, as readable Python on Trio."""
