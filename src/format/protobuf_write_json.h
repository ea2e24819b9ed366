/*
 * protobuf_write_json.h
 *		jsonb -> google.protobuf.Value.
 */
#ifndef STREAMING_PROTOBUF_WRITE_JSON_H
#define STREAMING_PROTOBUF_WRITE_JSON_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * Appends the fields of a Value.  column: for messages.  Errors: class 22 for a number
 * that a double cannot hold, which is all that a Value has.
 */
extern void streaming_protobuf_write_json(StringInfo buf, Jsonb *json, const char *column);

#endif							/* STREAMING_PROTOBUF_WRITE_JSON_H */
