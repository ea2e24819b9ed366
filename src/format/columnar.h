/*
 * columnar.h
 *		Files in columnar formats: Parquet, ORC and Arrow's own.
 *
 * The module streaming_arrow reads them (arrow_module.h) and hands over batches of rows,
 * column by column, of those columns that somebody wants.  A record is a row of one.
 */
#ifndef STREAMING_COLUMNAR_H
#define STREAMING_COLUMNAR_H

#include "catalog/stream.h"
#include "format/arrow_module.h"
#include "format/format.h"
#include "lib/stringinfo.h"

typedef enum StreamingArrowTypeKind
{
	STREAMING_ARROW_NULL,
	STREAMING_ARROW_BOOL,
	STREAMING_ARROW_INT,		/* of size bytes */
	STREAMING_ARROW_UINT,
	STREAMING_ARROW_FLOAT,		/* of 2, 4 or 8 bytes */
	STREAMING_ARROW_DECIMAL,
	STREAMING_ARROW_DATE,		/* in days (4 bytes) or milliseconds (8) */
	STREAMING_ARROW_TIME,
	STREAMING_ARROW_TIMESTAMP,	/* a moment */
	STREAMING_ARROW_LOCAL_TIMESTAMP,
	STREAMING_ARROW_DURATION,
	STREAMING_ARROW_MONTHS,
	STREAMING_ARROW_DAYS,		/* and milliseconds */
	STREAMING_ARROW_INTERVAL,	/* months, days, nanoseconds */
	STREAMING_ARROW_BYTES,
	STREAMING_ARROW_TEXT,
	STREAMING_ARROW_UUID,		/* BYTES of 16 */
	STREAMING_ARROW_JSON,		/* TEXT */
	/* those with parts */
	STREAMING_ARROW_STRUCT,
	STREAMING_ARROW_LIST,
	STREAMING_ARROW_MAP,		/* a LIST of STRUCTs of two */
	STREAMING_ARROW_UNKNOWN		/* none that we read */
} StreamingArrowTypeKind;

/* Where the bytes of BYTES and TEXT are, and the items of a LIST. */
typedef enum StreamingArrowLayout
{
	STREAMING_ARROW_FIXED,		/* size each */
	STREAMING_ARROW_OFFSETS,	/* of 4 bytes */
	STREAMING_ARROW_LONG_OFFSETS,	/* of 8 */
	STREAMING_ARROW_VIEWS
} StreamingArrowLayout;

typedef struct StreamingArrowType StreamingArrowType;

struct StreamingArrowType
{
	StreamingArrowTypeKind kind;
	StreamingArrowLayout layout;
	int			size;
	int			unit;			/* parts of a second, of times */
	int			precision;
	int			scale;
	const char *format;			/* as Arrow writes the type */
	const char *name;			/* of the field; in the database's encoding */
	StreamingArrowType *values; /* not NULL: these are numbers of them (dictionary) */
	int			n;
	StreamingArrowType **types; /* of its parts */
};

/* What a file's rows are made of.  It lives as long as the file and its batches. */
typedef struct StreamingLayout
{
	MemoryContext context;
	int			references;
	uint64		number;			/* no other of this process has it */
	StreamingArrowType *type;	/* a STRUCT */
	int		   *place;			/* of each of its fields in batches; -1: not wanted */
} StreamingLayout;

struct StreamingBatch
{
	StreamingLayout *layout;
	uint64		number;			/* likewise */
	struct ArrowArray array;
	int64		size;			/* bytes, about */
};

typedef struct StreamingColumnarFile StreamingColumnarFile;

/* in columnar_file.c */

/* Is the format one of these? */
extern bool streaming_format_is_columnar(const char *format, StreamingArrowKind *kind);

/* Is what such a format needs installed?  check fails with a hint where it is not. */
extern bool streaming_columnar_is_installed(StreamingArrowKind kind);
extern void streaming_columnar_check(StreamingArrowKind kind);

/* The module; fails likewise. */
extern const StreamingArrowModule *streaming_arrow_module(void);

/*
 * Makes one in CurrentMemoryContext.  Rows may be left out that do not meet the
 * conditions, which may be NULL.
 */
struct StreamingConditions;
extern StreamingColumnarFile *streaming_columnar_open(StreamingDecoder *decoder,
													  struct StreamingConditions *conditions);

/* Frees what a reset of the memory context would not; may not ereport. */
extern void streaming_columnar_close(StreamingColumnarFile *file);

/*
 * A file of size bytes begins, behind its first skip rows; *skipped: as many as there
 * are of them.  The fields are read that the decoder wants.  DAMAGE: *why, in
 * CurrentMemoryContext; TROUBLE: errno.
 */
extern StreamingArrowStatus streaming_columnar_begin(StreamingColumnarFile *file, int fd, int64 size,
													 int64 skip, int64 *skipped, const char **why);

/*
 * The next rows, at least one.  The batch is good until it is forgotten.  *excluded: how
 * many have been left out before it, or before the end.
 */
extern StreamingArrowStatus streaming_columnar_next(StreamingColumnarFile *file, StreamingBatch **batch,
													int64 *excluded, const char **why);

/* What its rows are made of, a STRUCT; NULL: it cannot be read. */
extern const StreamingArrowType *streaming_columnar_type(const StreamingColumnarFile *file);

/* The file ends here; its batches stay. */
extern void streaming_columnar_end(StreamingColumnarFile *file);

/* Nobody looks any more at batches but keep. */
extern void streaming_columnar_forget(StreamingColumnarFile *file, const StreamingBatch *keep);

/* Bytes of the batches that are kept. */
extern int64 streaming_columnar_size(const StreamingColumnarFile *file);

/* in columnar_type.c */

/*
 * What a schema says, in CurrentMemoryContext.  Fails with class 22 or 54 for one that is
 * too deep or wide.
 */
extern StreamingArrowType *streaming_arrow_type(const struct ArrowSchema *schema);

/* The type that a column for such values has, in SQL; NULL: there is none. */
extern const char *streaming_arrow_type_name(const StreamingArrowType *type);

/* in columnar_value.c: values -> Datums */
typedef struct StreamingArrowConverter StreamingArrowConverter;

/* How values of one type become values of a column. */
typedef enum StreamingArrowPair
{
	STREAMING_ARROW_BY_TEXT,	/* by the column's input function, which may fail */
	STREAMING_ARROW_AS_JSON,	/* likewise; any value is one of the column's */
	STREAMING_ARROW_TO_BOOL,
	STREAMING_ARROW_TO_INT2,
	STREAMING_ARROW_TO_INT4,
	STREAMING_ARROW_TO_INT8,
	STREAMING_ARROW_TO_FLOAT4,
	STREAMING_ARROW_TO_FLOAT8,
	STREAMING_ARROW_TO_NUMERIC,
	STREAMING_ARROW_TO_DATE,
	STREAMING_ARROW_TO_TIME,
	STREAMING_ARROW_TO_TIMESTAMP,
	STREAMING_ARROW_TO_UUID,
	STREAMING_ARROW_TO_BYTEA,
	STREAMING_ARROW_TO_TEXT
} StreamingArrowPair;

/* Reads no catalog. */
extern StreamingArrowPair streaming_arrow_pair(const StreamingArrowType *type, const StreamingColumn *column);

/* Makes a converter for a column's values, in CurrentMemoryContext. */
extern StreamingArrowConverter *streaming_arrow_converter_open(const StreamingColumn *column);

/* Is value number i of the array, which counts from its offset, NULL? */
extern bool streaming_arrow_is_null(const StreamingArrowType *type, const struct ArrowArray *array, int64 i);

/*
 * Converts value number i, which is not NULL; in CurrentMemoryContext.  Errors are of
 * class 22 and 54, and those of the column's input function.
 */
extern Datum streaming_arrow_convert(StreamingArrowConverter *converter, StreamingArrowPair pair,
									 const StreamingArrowType *type, const struct ArrowArray *array, int64 i);

/* Fails if the column's type is a domain that does not take NULL. */
extern void streaming_arrow_convert_null(StreamingArrowConverter *converter);

/* Appends a value, which may be NULL, as JSON. */
extern void streaming_arrow_json(StringInfo buf, const StreamingArrowType *type,
								 const struct ArrowArray *array, int64 i);

/* in format_columnar.c */
extern const StreamingFormatRoutine streaming_format_parquet;
extern const StreamingFormatRoutine streaming_format_arrow;
extern const StreamingFormatRoutine streaming_format_orc;

/*
 * Does anybody want the field of that number, or must values of it be checked?  Needs
 * no catalog.
 */
extern bool streaming_columnar_wants(StreamingDecoder *decoder, const StreamingArrowType *type, int field);

/*
 * Where the values of a column are: returns how many structs are above them, -1: there are
 * none.  *path, in CurrentMemoryContext: the numbers of fields; *value: their type.
 */
extern int	streaming_columnar_find(StreamingDecoder *decoder, const StreamingArrowType *type, AttrNumber attnum,
									int **path, const StreamingArrowType **value);

/* in row_group.c */

/*
 * Of each row group of the file, whether it holds no row that meets the conditions; NULL:
 * nothing is known.
 */
extern bool *streaming_row_groups_exclude(const StreamingArrowModule *module, StreamingArrowFile *file,
										  StreamingDecoder *decoder, const StreamingArrowType *type,
										  struct StreamingConditions *conditions);

#endif							/* STREAMING_COLUMNAR_H */
