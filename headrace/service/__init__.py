"""What every service process needs: its life, servers, logs, locks; knows no service."""
