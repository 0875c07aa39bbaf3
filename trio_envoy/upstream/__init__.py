"""Floor 7: clusters, hosts, pools, balancing, health."""
