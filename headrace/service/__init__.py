"""The parts that every service needs: its life, servers, logs, locks; knows no service."""
