"""The private descriptor pool of the Open Inference Protocol's generated code.

`tritonclient` ships generated code of its own for the package `inference`. In one pool the two
clash ("duplicate symbol 'inference.DataType'"), and a user's process may well import both.
"""

from google.protobuf import descriptor_pool

POOL = descriptor_pool.DescriptorPool()
