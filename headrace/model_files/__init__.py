"""The files of a model, as its pusher, the registry and replicas read and change them."""
