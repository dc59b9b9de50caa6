/* descriptors.h - all our .proto files, those of health and reflection included, as one encoded FileDescriptorSet. */
#pragma once

#include <stddef.h>
#include <stdint.h>

extern const uint8_t proto_descriptors[];
extern const size_t proto_n_descriptor_bytes;
