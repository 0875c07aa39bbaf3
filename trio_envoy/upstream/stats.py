"""Stats of clusters: `cluster.<name>.*` and `cluster_manager.*`.

Source: Envoy, configuration/upstream/cluster_manager/cluster_stats; the lists are those of 1.40.
"""

from __future__ import annotations

from trio_envoy.stats.declare import Counter, Gauge, StatsBlock, named
from trio_envoy.stats.histogram import Histogram


class ClusterStats(StatsBlock):
    """`cluster.<name>.`: what every cluster has from the start."""

    assignment_stale: Counter
    assignment_timeout_received: Counter
    assignment_use_cached: Counter
    bind_errors: Counter
    default_total_match_count: Counter = named("default.total_match_count")
    lb_healthy_panic: Counter
    lb_local_cluster_not_ok: Counter
    lb_recalculate_zone_structures: Counter
    lb_subsets_active: Gauge
    lb_subsets_created: Counter
    lb_subsets_fallback: Counter
    lb_subsets_fallback_panic: Counter
    lb_subsets_removed: Counter
    lb_subsets_selected: Counter
    lb_zone_cluster_too_small: Counter
    lb_zone_no_capacity_left: Counter
    lb_zone_routing_all_directly: Counter
    lb_zone_routing_cross_zone: Counter
    lb_zone_routing_sampled: Counter
    max_host_weight: Gauge
    membership_change: Counter
    membership_degraded: Gauge
    membership_excluded: Gauge
    membership_healthy: Gauge
    membership_total: Gauge
    original_dst_host_invalid: Counter
    retry_or_shadow_abandoned: Counter
    update_attempt: Counter
    update_empty: Counter
    update_failure: Counter
    update_no_rebuild: Counter
    update_success: Counter
    upstream_cx_active: Gauge
    upstream_cx_close_notify: Counter
    upstream_cx_connect_attempts_exceeded: Counter
    upstream_cx_connect_fail: Counter
    upstream_cx_connect_ms: Histogram
    upstream_cx_connect_timeout: Counter
    upstream_cx_connect_with_0_rtt: Counter
    upstream_cx_destroy: Counter
    upstream_cx_destroy_local: Counter
    upstream_cx_destroy_local_with_active_rq: Counter
    upstream_cx_destroy_remote: Counter
    upstream_cx_destroy_remote_with_active_rq: Counter
    upstream_cx_destroy_with_active_rq: Counter
    upstream_cx_http1_total: Counter
    upstream_cx_http2_total: Counter
    upstream_cx_http3_total: Counter
    upstream_cx_idle_timeout: Counter
    upstream_cx_length_ms: Histogram
    upstream_cx_max_duration_reached: Counter
    upstream_cx_max_requests: Counter
    upstream_cx_none_healthy: Counter
    upstream_cx_overflow: Counter
    upstream_cx_pool_overflow: Counter
    upstream_cx_preconnect_skipped: Counter
    upstream_cx_protocol_error: Counter
    upstream_cx_rx_bytes_buffered: Gauge
    upstream_cx_rx_bytes_total: Counter
    upstream_cx_total: Counter
    upstream_cx_tx_bytes_buffered: Gauge
    upstream_cx_tx_bytes_total: Counter
    upstream_flow_control_backed_up_total: Counter
    upstream_flow_control_drained_total: Counter
    upstream_flow_control_paused_reading_total: Counter
    upstream_flow_control_resumed_reading_total: Counter
    upstream_http3_broken: Counter
    upstream_internal_redirect_failed_total: Counter
    upstream_internal_redirect_succeeded_total: Counter
    upstream_queue_overloaded: Gauge
    upstream_rq_0rtt: Counter
    upstream_rq_active: Gauge
    upstream_rq_active_overflow: Counter
    upstream_rq_cancelled: Counter
    upstream_rq_completed: Counter
    upstream_rq_maintenance_mode: Counter
    upstream_rq_max_duration_reached: Counter
    upstream_rq_pending_active: Gauge
    upstream_rq_pending_failure_eject: Counter
    upstream_rq_pending_overflow: Counter
    upstream_rq_pending_total: Counter
    upstream_rq_per_cx: Histogram
    upstream_rq_per_try_idle_timeout: Counter
    upstream_rq_per_try_timeout: Counter
    upstream_rq_retry: Counter
    upstream_rq_retry_backoff_exponential: Counter
    upstream_rq_retry_backoff_ratelimited: Counter
    upstream_rq_retry_limit_exceeded: Counter
    upstream_rq_retry_overflow: Counter
    upstream_rq_retry_success: Counter
    upstream_rq_rx_reset: Counter
    upstream_rq_rx_reset_no_error: Counter
    upstream_rq_timeout: Counter
    upstream_rq_total: Counter
    upstream_rq_tx_reset: Counter
    version: Gauge
    warming_state: Gauge


class DefaultBreakerStats(StatsBlock):
    """`cluster.<name>.`: whether a limit of priority DEFAULT is reached (1) or not (0)."""

    cx_open: Gauge = named("circuit_breakers.default.cx_open")
    cx_pool_open: Gauge = named("circuit_breakers.default.cx_pool_open")
    rq_open: Gauge = named("circuit_breakers.default.rq_open")
    rq_pending_open: Gauge = named("circuit_breakers.default.rq_pending_open")
    rq_retry_open: Gauge = named("circuit_breakers.default.rq_retry_open")


class HighBreakerStats(StatsBlock):
    """`cluster.<name>.`: the same for priority HIGH."""

    cx_open: Gauge = named("circuit_breakers.high.cx_open")
    cx_pool_open: Gauge = named("circuit_breakers.high.cx_pool_open")
    rq_open: Gauge = named("circuit_breakers.high.rq_open")
    rq_pending_open: Gauge = named("circuit_breakers.high.rq_pending_open")
    rq_retry_open: Gauge = named("circuit_breakers.high.rq_retry_open")


class RemainingStats(StatsBlock):
    """`cluster.<name>.circuit_breakers.<priority>.`: with track_remaining."""

    remaining_cx: Gauge
    remaining_cx_pools: Gauge
    remaining_pending: Gauge
    remaining_retries: Gauge
    remaining_rq: Gauge


class HealthCheckStats(StatsBlock):
    """`cluster.<name>.health_check.`: of clusters that are checked."""

    attempt: Counter
    degraded: Gauge
    failure: Counter
    healthy: Gauge
    network_failure: Counter
    passive_failure: Counter
    success: Counter
    verify_cluster: Counter


class ManagerStats(StatsBlock):
    """`cluster_manager.`: what happened to the list of clusters."""

    active_clusters: Gauge
    cluster_added: Counter
    cluster_modified: Counter
    cluster_removed: Counter
    cluster_updated: Counter
    cluster_updated_via_merge: Counter
    update_merge_cancelled: Counter
    update_out_of_merge_window: Counter
    warming_clusters: Gauge
