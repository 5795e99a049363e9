"""Manifests for Kubernetes: the chart, KServe's runtime, the plain ones. No cluster is asked."""
