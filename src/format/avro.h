/*
 * avro.h
 *		Avro: types of records, and the walk over their bytes.
 *
 * A schema becomes a graph of types (avro_schema.c); with the schema that the
 * reader wants it becomes one that reads the writer's bytes and gives what the
 * reader has asked for (avro_resolve.c).  A record is read in two steps: the walk
 * (avro_read.c) checks all of it and notes where the values are that somebody
 * wants; then these become Datums (avro_value.c).
 *
 * What a record says of lengths and counts is believed only as far as its bytes
 * go: the walk allocates nothing, goes no deeper than STREAMING_AVRO_MAX_DEPTH,
 * and visits no more values than the record's length allows, even where values
 * take no bytes.
 *
 * This header and the walk need no server.
 */
#ifndef STREAMING_AVRO_H
#define STREAMING_AVRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values inside of each other. */
#define STREAMING_AVRO_MAX_DEPTH	200

/* Values that a record of n bytes may have; the fuzzer wants fewer, to be quick. */
#ifndef STREAMING_AVRO_FREE_VALUES
#define STREAMING_AVRO_FREE_VALUES	100000
#endif
#define STREAMING_AVRO_MAX_VALUES(n)	(STREAMING_AVRO_FREE_VALUES + 16 * (uint64_t) (n))

typedef enum StreamingAvroKind
{
	STREAMING_AVRO_NULL,
	STREAMING_AVRO_BOOLEAN,
	STREAMING_AVRO_INT,
	STREAMING_AVRO_LONG,
	STREAMING_AVRO_FLOAT,
	STREAMING_AVRO_DOUBLE,
	STREAMING_AVRO_BYTES,
	STREAMING_AVRO_STRING,
	STREAMING_AVRO_FIXED,
	STREAMING_AVRO_ENUM,
	STREAMING_AVRO_RECORD,
	STREAMING_AVRO_ARRAY,
	STREAMING_AVRO_MAP,
	STREAMING_AVRO_UNION,
	STREAMING_AVRO_NEVER		/* the reader has no place for such a value */
} StreamingAvroKind;

typedef enum StreamingAvroLogical
{
	STREAMING_AVRO_PLAIN,
	STREAMING_AVRO_DECIMAL,		/* bytes, fixed */
	STREAMING_AVRO_UUID,		/* string, fixed of 16 bytes */
	STREAMING_AVRO_DATE,		/* int: days since 1970 */
	STREAMING_AVRO_TIME,		/* int, long: since midnight */
	STREAMING_AVRO_TIMESTAMP,	/* long: since 1970 in UTC */
	STREAMING_AVRO_LOCAL_TIMESTAMP, /* long: what a clock shows */
	STREAMING_AVRO_DURATION,	/* fixed of 12 bytes: months, days, ms */
	STREAMING_AVRO_JSON			/* string: our own, JSON that was written so */
} StreamingAvroLogical;

typedef struct StreamingAvroType StreamingAvroType;

typedef struct StreamingAvroField
{
	const char *name;			/* NULL: nobody wants to know */
	StreamingAvroType *type;
	const uint8_t *constant;	/* not NULL: in no record, always these bytes */
	size_t		constant_length;
	const char **aliases;
	int			naliases;
	void	   *default_value;	/* of the reader; NULL: none (avro_schema.c) */
} StreamingAvroField;

struct StreamingAvroType
{
	StreamingAvroKind kind;		/* as its bytes are */
	StreamingAvroLogical logical;
	int			unit;			/* of TIME, TIMESTAMP: ticks a second */
	int			scale;			/* of DECIMAL */
	int			precision;
	size_t		size;			/* of FIXED */
	size_t		min_size;		/* no value has fewer bytes */
	const char *name;			/* of RECORD, ENUM, FIXED: with its namespace */
	const char **aliases;
	int			naliases;
	int			n;				/* fields, symbols, branches; 1 for ARRAY, MAP */
	StreamingAvroField *fields; /* of RECORD, in the order of the bytes */
	StreamingAvroType **types;	/* branches of UNION, the item of ARRAY, MAP */
	const char **symbols;		/* of ENUM; NULL: the reader has no such symbol */
	const char *default_symbol; /* of ENUM */
};

/*
 * What somebody wants of a record: for each of its fields the number of the value,
 * or -1, and what is wanted of the records in it, one for each branch of a union.
 */
typedef struct StreamingAvroWant StreamingAvroWant;
struct StreamingAvroWant
{
	int		   *values;
	StreamingAvroWant ***nested;	/* NULL: nothing is wanted of it */
};

/* Where a value is: never of a union, but of its branch. */
typedef struct StreamingAvroValue
{
	const StreamingAvroType *type;	/* NULL: the record has none */
	const uint8_t *data;
	size_t		length;
} StreamingAvroValue;

typedef struct StreamingAvroError
{
	const char *message;		/* what is wrong */
	size_t		offset;			/* in the record, where it was noticed */
	bool		limit;			/* nothing, but it is too much */
} StreamingAvroError;

/* A place in the bytes of a record. */
typedef struct StreamingAvroCursor
{
	const uint8_t *p;
	const uint8_t *end;
} StreamingAvroCursor;

/* in avro_read.c */

/*
 * Walks over a record of the type, which takes all of data.  want: one for each
 * branch of a union (of one: itself), NULL: nothing.  The values that are wanted
 * are set, those that the record does not have get type NULL.  Returns false, with
 * *error filled in, if the bytes are no such record.
 */
extern bool streaming_avro_read(const StreamingAvroType *type, StreamingAvroWant *const *want,
								const uint8_t *data, size_t length,
								StreamingAvroValue *values, int nvalues,
								StreamingAvroError *error);

/*
 * How long the record is that data begins with; false: as streaming_avro_read.
 */
extern bool streaming_avro_measure(const StreamingAvroType *type, const uint8_t *data,
								   size_t available, size_t *length, StreamingAvroError *error);

/* A number of at most 10 bytes, 7 bits in each; false: it is none. */
extern bool streaming_avro_long(StreamingAvroCursor *cursor, int64_t *value);

/*
 * Of bytes that the walk has passed: steps over a value.
 */
extern void streaming_avro_skip(StreamingAvroCursor *cursor, const StreamingAvroType *type);

#endif							/* STREAMING_AVRO_H */
