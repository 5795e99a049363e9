"""The payload log: what requests said and what was answered, as files that replicas write."""
