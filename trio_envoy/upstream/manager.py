"""All clusters of a process.

Source: Envoy, intro/arch_overview/upstream/cluster_manager; init order as in upstream/cluster_manager_impl.cc: what is
static or resolved starts at once, and listeners wait until all are warm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import trio

from trio_envoy.config.cluster import Cluster as ClusterConfig
from trio_envoy.errors import ConfigError
from trio_envoy.net.services import Services
from trio_envoy.upstream.cluster import Cluster
from trio_envoy.upstream.pool.keeper import Keeper
from trio_envoy.upstream.stats import ManagerStats


class ClusterManager:
    """The clusters by name, in the order of the configuration.

    Attributes:
        clusters: do not change it.
        get: the cluster of a name, or None.
        errors: what is wrong with the clusters that could not be made; they are not in `clusters`.
        names: of all that are configured, also of those; a route to one of them is not at fault.
        stats: `cluster_manager.`
    """

    def __init__(self, configs: Iterable[ClusterConfig], services: Services) -> None:
        """Compile all clusters; what is wrong is collected in `errors`. No task runs yet."""
        self.stats = services.stats.scope("cluster_manager.").block(ManagerStats)
        self._keeper = Keeper()
        self.errors: list[ConfigError] = []
        self.names: set[str] = set()
        clusters: dict[str, Cluster] = {}
        for config in configs:
            if config.name in self.names:
                text = f"cluster manager: duplicate cluster '{config.name}'"
                self.errors.append(ConfigError(text, at=config, field="name"))
            self.names.add(config.name)
            try:
                clusters[config.name] = Cluster(config, services, self._keeper)
            except ConfigError as error:
                self.errors.append(error)
        self.clusters: Mapping[str, Cluster] = clusters
        self.get: Callable[[str], Cluster | None] = clusters.get  # no call of ours for each request
        self.stats.cluster_added += len(clusters)
        self.stats.active_clusters = len(clusters)
        self.stats.warming_clusters = 0
        threads = services.stats.scope("thread_local_cluster_manager.")
        for thread in ("main_thread", *(f"worker_{index}" for index in range(services.options.concurrency))):
            threads.gauge(f"{thread}.clusters_inflated").value = len(clusters)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run what clusters need in the background, until cancelled; started() when all are warm.

        A cluster of static hosts without health checks has no task.

        Cancelled: connections are closed.
        """
        try:
            async with trio.open_nursery() as tasks:
                await tasks.start(self._keeper.run)
                async with trio.open_nursery() as warming:
                    for cluster in self.clusters.values():
                        if cluster.looping:
                            warming.start_soon(tasks.start, cluster.run)
                task_status.started()
        finally:
            for cluster in self.clusters.values():
                cluster.disconnect()
