"""Every case of ONNX's backend test suite, through Headrace, against bare ONNX Runtime."""
