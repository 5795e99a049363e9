"""What is wrong now, by rules: alerts, their states, whom they are told, silences."""
