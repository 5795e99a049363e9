"""Tells receivers of alerts: the log, webhooks, Alertmanager, apprise."""
