"""Floor 6: clusters, hosts, pools, balancing, health."""
