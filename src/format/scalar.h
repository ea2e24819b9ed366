/*
 * scalar.h
 *		Values of binary formats: times, decimals, and their text.
 */
#ifndef STREAMING_SCALAR_H
#define STREAMING_SCALAR_H

#include "lib/stringinfo.h"
#include "utils/date.h"
#include "utils/timestamp.h"

/* JSON of one value; jsonb takes no more anyway. */
#define STREAMING_MAX_JSON	(256 * 1024 * 1024)

/* in scalar.c; all fail with class 22 or 54 for what the type does not have */

/* Days since 1970-01-01. */
extern DateADT streaming_date_of(int64 days);

/* Of unit parts a second: since midnight; since 1970.  Parts of a microsecond are cut
 * off, towards the past. */
extern TimeADT streaming_time_of(int64 number, int unit);
extern Timestamp streaming_timestamp_of(int64 number, int unit);

/* A number in two's complement, the highest byte first; scale is 0 or more. */
extern void streaming_append_decimal(StringInfo buf, const uint8_t *data, size_t length,
									 int precision, int scale);

/* UTF-8 as a JSON string in the database's encoding. */
extern void streaming_append_json_string(StringInfo buf, const char *data, size_t length);

/* In the database's encoding; fails if it is no UTF-8 or has a NUL. */
extern const char *streaming_utf8_to_server(const char *data, size_t *length);

/* 16 bytes as a uuid, and any as bytea writes them. */
extern void streaming_append_uuid(StringInfo buf, const uint8_t *data, size_t length);
extern void streaming_append_bytes(StringInfo buf, const uint8_t *data, size_t length);

#endif							/* STREAMING_SCALAR_H */
