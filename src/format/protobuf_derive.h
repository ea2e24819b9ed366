/*
 * protobuf_derive.h
 *		A Protobuf schema for columns.
 */
#ifndef STREAMING_PROTOBUF_DERIVE_H
#define STREAMING_PROTOBUF_DERIVE_H

#include "format/encode_source.h"

/*
 * The text of a .proto file, palloc'd, whose only message has the sources as its fields.
 * Errors: FEATURE_NOT_SUPPORTED if one of them has a name that no field has.
 */
extern char *streaming_protobuf_derive(const char *name, const StreamingEncodeSource *sources, int n);

#endif							/* STREAMING_PROTOBUF_DERIVE_H */
