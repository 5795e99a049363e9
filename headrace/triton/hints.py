"""Explains why fields of a Triton config have no counterpart, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

NOTHING = "nothing to do"
UNKNOWN = ("Headrace has no such setting", "see docs/migrating-from-triton.md")

_GRAPH_ONLY = ("Headrace serves ONNX graphs", "export the model to ONNX")
_OUT_OF_RANGE = "is out of the range that Headrace takes"
_PROVIDER_OPTIONS = "Headrace does not offer this option, or not with this value"
_OTHER_OPTION = "docs/serving-config.md lists the options that serving configs take"
_SEQUENTIAL = "without execution_mode 1 ONNX Runtime runs operators one after another"

Advice = tuple[str, str]
"""Why it is not carried over, and what to do."""

ADVICE: Mapping[str, Advice] = {
    "platform": _GRAPH_ONLY,
    "backend": _GRAPH_ONLY,
    "runtime": ("names a library of Triton's backend", NOTHING),
    "version_policy": (
        "a push makes one version",
        "`headrace import triton` follows it; a model's keep_latest says how many stay loaded",
    ),
    "max_batch_size": (_OUT_OF_RANGE, "split larger requests"),
    "input.format": ("Triton checks dims against it and no more", NOTHING),
    "input.is_shape_tensor": ("shape tensors are TensorRT's", NOTHING),
    "output.is_shape_tensor": ("shape tensors are TensorRT's", NOTHING),
    "input.is_non_linear_format_io": ("such formats are TensorRT's", NOTHING),
    "output.is_non_linear_format_io": ("such formats are TensorRT's", NOTHING),
    "input.optional": (
        "every input that the graph declares is required",
        "let callers send it, or give it a default in the graph (an initializer)",
    ),
    "input.allow_ragged_batch": (
        "requests of different shapes run in different batches",
        "pad in the callers, or accept smaller batches",
    ),
    "output.label_filename": (
        "a label file is part of the version",
        "push a folder with the graph and OUTPUT.labels.txt",
    ),
    "instance_group.name": ("instances have no names", NOTHING),
    "instance_group.count": (_OUT_OF_RANGE, "start more replicas"),
    "instance_group.kind": (
        "a version runs on one kind of device; the group is left out",
        "push a second model, or start replicas of both kinds with provider auto",
    ),
    "instance_group.gpus": (
        "a replica runs on one device",
        "start a replica for each GPU, with CUDA_VISIBLE_DEVICES",
    ),
    "instance_group.profile": ("profiles are TensorRT's", NOTHING),
    "instance_group.rate_limiter": ("there is no rate limiter", "bound queue.max_requests"),
    "instance_group.passive": ("every instance serves", NOTHING),
    "instance_group.secondary_devices": ("there are no secondary devices", NOTHING),
    "instance_group.host_policy": ("there are no host policies", "bind the replica with numactl"),
    "cc_model_filenames": (
        "a version has one graph for all devices",
        "push the other graphs as models of their own",
    ),
    "metric_tags": ("metrics are labelled by model and version", "relabel in Prometheus"),
    "model_metrics": ("histograms have fixed buckets for all models", NOTHING),
    "dynamic_batching.preferred_batch_size": (
        _OUT_OF_RANGE,
        "name sizes between 1 and max_batch_size",
    ),
    "dynamic_batching.max_queue_delay_microseconds": (_OUT_OF_RANGE, "10 s are the most"),
    "dynamic_batching.priority_levels": (_OUT_OF_RANGE, "100 levels are the most"),
    "dynamic_batching.default_priority_level": (
        _OUT_OF_RANGE,
        "name one of the levels; without one it is the lowest",
    ),
    "dynamic_batching.priority_queue_policy": (
        _OUT_OF_RANGE,
        "name levels from 1 to priority_levels, bounds up to 1,000,000 and times up to 1 h",
    ),
    "dynamic_batching.default_queue_policy.default_timeout_microseconds": (
        _OUT_OF_RANGE,
        "set queue.timeout, up to 1 h",
    ),
    "dynamic_batching.default_queue_policy.max_queue_size": (
        _OUT_OF_RANGE,
        "1,000,000 requests are the most",
    ),
    "sequence_batching": (
        "a version keeps no state between requests; its control inputs are plain inputs",
        "let callers send control inputs and state, or keep the model on Triton",
    ),
    "ensemble_scheduling": (
        "there are no ensembles",
        "join the graphs (onnx.compose), or call the models one after another",
    ),
    "optimization.graph.level": ("ONNX Runtime's levels are -1, 0, 1 and 2", "correct it"),
    "optimization.priority": ("models have no priorities among each other", NOTHING),
    "optimization.cuda": ("CUDA graphs are not offered", NOTHING),
    "optimization.execution_accelerators.gpu_execution_accelerator.name": (
        "TensorRT holds only together with KIND_GPU, and CUDA not with KIND_CPU; there are no others",
        'push with "provider": "PROVIDER_TENSORRT" where every replica has a GPU',
    ),
    "optimization.execution_accelerators.gpu_execution_accelerator.parameters": (
        _PROVIDER_OPTIONS,
        _OTHER_OPTION,
    ),
    "optimization.execution_accelerators.cpu_execution_accelerator": (
        "on the CPU only ONNX Runtime's own provider is offered",
        NOTHING,
    ),
    "optimization.input_pinned_memory": ("there are no pinned buffers to choose", NOTHING),
    "optimization.output_pinned_memory": ("there are no pinned buffers to choose", NOTHING),
    "optimization.gather_kernel_buffer_threshold": ("there is no gather kernel", NOTHING),
    "optimization.eager_batching": ("a batch is formed when an instance is free", NOTHING),
    "model_warmup.batch_size": (
        "sizes warmed are 1, max_batch_size, powers of two and preferred sizes",
        "add it to preferred_batch_size",
    ),
    "model_warmup.count": (_OUT_OF_RANGE, "1000 runs are the most"),
    "model_warmup.name": (
        "a sample is taken whole, and 100 are the most",
        "correct its inputs, or leave out those that say the least",
    ),
    "model_warmup.inputs": (
        "its file must lie in the model's folder warmup",
        "put it there, and correct its name",
    ),
    "model_operations": ("16 libraries are the most", "join them"),
    "model_transaction_policy": (
        "a request has one answer",
        "keep models that answer several times on Triton",
    ),
    "batch_input": ("ragged batching is not offered", "pad in the callers"),
    "batch_output": ("ragged batching is not offered", "pad in the callers"),
    "model_repository_agents": (
        "there are no agents; every artifact is checked and kept by its digest",
        "decrypt or convert before the push",
    ),
    "response_cache": ("there is no response cache", "cache before the replicas"),
    "parameters.intra_op_thread_count": (_OUT_OF_RANGE, "0 to 1024 threads are allowed"),
    "parameters.inter_op_thread_count": (_SEQUENTIAL, NOTHING),
    "parameters.execution_mode": ("execution modes are 0 and 1", "correct it"),
    "parameters.enable_mem_arena": ("it is 0 or 1", "correct it"),
    "parameters.enable_mem_pattern": ("it is 0 or 1", "correct it"),
    "parameters.memory.enable_memory_arena_shrinkage": (
        "the arena is not shrunk",
        "set session.cpu_memory_arena to false to give memory back after every run",
    ),
    "parameters.cudnn_conv_algo_search": (_PROVIDER_OPTIONS, _OTHER_OPTION),
    "parameters.gpu_mem_limit": (_PROVIDER_OPTIONS, _OTHER_OPTION),
    "parameters.arena_extend_strategy": (_PROVIDER_OPTIONS, _OTHER_OPTION),
    "parameters.do_copy_in_default_stream": (_PROVIDER_OPTIONS, _OTHER_OPTION),
    "parameters": (
        "Headrace has no setting of this name",
        "if callers read it from the model's config, tell them another way",
    ),
}
"""By a field's path, without the names of elements; a whole message is listed as one."""
