"""The methods: from a game, or a predictor, to attributions."""
