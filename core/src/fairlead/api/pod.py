"""The fields of Kubernetes' PodSpec and Container that the kinds hold inline (``core/v1``).

Only the first level is known here, by name and by shape: a list, an object, a text. What is inside is passed through as
it is, and judged by the API server when it becomes a pod.
"""

from fairlead.api import base, values

__all__ = ["ContainerFields", "PodFields"]


class ContainerFields(base.Part):
    """The fields of a Container."""

    name: str | None = None
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    working_dir: str | None = None
    ports: list[values.Plain] | None = None
    env_from: list[values.Plain] | None = None
    env: list[values.Plain] | None = None
    resources: values.Plain | None = None
    resize_policy: list[values.Plain] | None = None
    restart_policy: str | None = None
    restart_policy_rules: list[values.Plain] | None = None
    volume_mounts: list[values.Plain] | None = None
    volume_devices: list[values.Plain] | None = None
    liveness_probe: values.Plain | None = None
    readiness_probe: values.Plain | None = None
    startup_probe: values.Plain | None = None
    lifecycle: values.Plain | None = None
    termination_message_path: str | None = None
    termination_message_policy: str | None = None
    image_pull_policy: str | None = None
    security_context: values.Plain | None = None
    stdin: values.Flag | None = None
    stdin_once: values.Flag | None = None
    tty: values.Flag | None = None


class PodFields(base.Part):
    """The fields of a PodSpec; containers may be left out."""

    volumes: list[values.Plain] | None = None
    init_containers: list[values.Plain] | None = None
    containers: list[values.Plain] | None = None
    ephemeral_containers: list[values.Plain] | None = None
    restart_policy: str | None = None
    termination_grace_period_seconds: values.Int64 | None = None
    active_deadline_seconds: values.Int64 | None = None
    dns_policy: str | None = None
    node_selector: values.Texts | None = None
    service_account_name: str | None = None
    service_account: str | None = None
    automount_service_account_token: values.Flag | None = None
    node_name: str | None = None
    host_network: values.Flag | None = None
    host_pid: values.Flag | None = None
    host_ipc: values.Flag | None = None
    share_process_namespace: values.Flag | None = None
    security_context: values.Plain | None = None
    image_pull_secrets: list[values.Plain] | None = None
    hostname: str | None = None
    subdomain: str | None = None
    affinity: values.Plain | None = None
    scheduler_name: str | None = None
    tolerations: list[values.Plain] | None = None
    host_aliases: list[values.Plain] | None = None
    priority_class_name: str | None = None
    priority: values.Int32 | None = None
    dns_config: values.Plain | None = None
    readiness_gates: list[values.Plain] | None = None
    runtime_class_name: str | None = None
    enable_service_links: values.Flag | None = None
    preemption_policy: str | None = None
    overhead: values.Plain | None = None
    topology_spread_constraints: list[values.Plain] | None = None
    set_hostname_as_fqdn: values.Flag | None = None
    os: values.Plain | None = None
    host_users: values.Flag | None = None
    hostname_override: str | None = None
    scheduling_gates: list[values.Plain] | None = None
    resource_claims: list[values.Plain] | None = None
    resources: values.Plain | None = None
    workload_ref: values.Plain | None = None
