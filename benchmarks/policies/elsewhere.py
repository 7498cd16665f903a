"""What deployment controllers do in the same case, as their own documentation says; none was run here."""

from __future__ import annotations

from typing import Final

# By scene: who, what, and where it is said.
ELSEWHERE: Final = {
    "grayscale": (
        (
            "Argo Rollouts without a traffic router: a weight is a number of pods, rounded; with one, requests "
            "are split "
            "and a user may meet both versions (Canary)"
        ),
        "Kubernetes: pods are replaced, 25 % may be missing unless said otherwise; no weight (Deployments)",
    ),
    "blue-green": (
        "Argo Rollouts: a service selector changes; the old pods stay 30 s unless said otherwise (BlueGreen)",
        "CodeDeploy: going back is a new deployment of the revision before (Redeploy and roll back)",
    ),
    "several": (
        "Argo Rollouts: an Experiment runs versions side by side; who meets which is the router's (Experiment)",
    ),
    "rolling": (
        (
            "Kubernetes: Progressing becomes False after progressDeadlineSeconds (600), and nothing else "
            "happens; pods of "
            "the new version are started again (Deployments)"
        ),
        (
            "CodeDeploy: the deployment fails once fewer hosts are healthy than the minimum; back only if configured "
            "(Instance health, Automatic rollbacks)"
        ),
    ),
    "batches": (
        "Argo Rollouts: pause without a duration waits for promote; a step is of pods, not of jobs (Canary)",
        "Kubernetes: rollout pause stops replacing pods (Deployments)",
    ),
    "guarded": (
        "Argo Rollouts: an analysis measures at its interval and aborts after failureLimit measurements (Analysis)",
        "CodeDeploy: stops, and goes back if configured, when a CloudWatch alarm goes off (Automatic rollbacks)",
    ),
}
