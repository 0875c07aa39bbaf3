"""Floor 2: counters, gauges and histograms under Envoy's names."""
