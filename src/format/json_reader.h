/*
 * json_reader.h
 *		Reads the wanted members of one JSON object, and validates all of it.
 *
 * The C face of json_reader.cc, which is C++ because simdjson is.  Nothing
 * here knows the server: no function calls PostgreSQL, raises an error by
 * longjmp or throws, so the reader may stand between the two and can be fuzzed
 * on its own.
 */
#ifndef STREAMING_JSON_READER_H
#define STREAMING_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C"
{
#endif

/* Objects and arrays nested deeper than this are refused. */
#define STREAMING_JSON_MAX_DEPTH 1024

/* Longer records are refused (the server's limit of an allocation). */
#define STREAMING_JSON_MAX_LENGTH ((size_t) 0x3fffffff)

typedef enum StreamingJsonKind
{
	STREAMING_JSON_ABSENT,		/* the object has no such member */
	STREAMING_JSON_NULL,
	STREAMING_JSON_STRING,
	STREAMING_JSON_NUMBER,
	STREAMING_JSON_BOOL,
	STREAMING_JSON_NESTED		/* object or array */
} StreamingJsonKind;

/*
 * A member's value as it stands in the record.  data points into the record;
 * a string comes without its quotes, but its escapes are still there if
 * escaped is true, so data - 1 and length + 2 is the value as JSON text.
 */
typedef struct StreamingJsonValue
{
	const char *data;
	size_t		length;
	StreamingJsonKind kind;
	bool		escaped;
	bool		exact;			/* the member has the field's very name */
} StreamingJsonValue;

typedef enum StreamingJsonErrorCode
{
	STREAMING_JSON_OK,
	STREAMING_JSON_SYNTAX,		/* not JSON */
	STREAMING_JSON_ENCODING,	/* not UTF-8 */
	STREAMING_JSON_NOT_OBJECT,	/* JSON perhaps, but no object */
	STREAMING_JSON_TOO_LONG,	/* or too deep */
	STREAMING_JSON_UNTRANSLATABLE,	/* \u0000 */
	STREAMING_JSON_NO_MEMORY
} StreamingJsonErrorCode;

typedef struct StreamingJsonError
{
	StreamingJsonErrorCode code;
	const char *detail;			/* a sentence without its full stop; static */
	size_t		offset;			/* where, in bytes; (size_t) -1: not known */
} StreamingJsonError;

typedef struct StreamingJsonField
{
	const char *name;			/* UTF-8, as it is after unescaping */
	size_t		length;
	bool		any_case;		/* a member whose name differs in the case of
								 * ASCII letters will do where there is none */
} StreamingJsonField;

typedef struct StreamingJsonReader StreamingJsonReader;

/*
 * Makes a reader of the named members; names must differ from one another, those
 * in any_case also without regard to case, and are copied.  NULL if there is no memory.  The memory is malloc'd: the caller
 * destroys it.
 */
extern StreamingJsonReader *streaming_json_reader_create(const StreamingJsonField *fields,
														 int nfields);

/*
 * Where the value of a field is an object, members of that are wanted, too: they are
 * read with it, into values, whose number is members'.  Of a record where it is none
 * values are those of another record.  Both stay the caller's and live as long as reader,
 * and members is no other's.
 */
extern void streaming_json_reader_nest(StreamingJsonReader *reader, int field,
									   StreamingJsonReader *members, StreamingJsonValue *values);
extern void streaming_json_reader_destroy(StreamingJsonReader *reader);

/*
 * Reads the record data[0 .. length), and no byte beyond it.  Fills values[i]
 * for field i; of members with the same name the last one counts, as in jsonb,
 * and so it does of several that differ in case from a field's name.
 * False, with *error set and values undefined, unless the whole record is
 * valid UTF-8 and one JSON object that the server's type json would take.
 */
extern bool streaming_json_read(StreamingJsonReader *reader, const char *data, size_t length,
								StreamingJsonValue *values, StreamingJsonError *error);

/*
 * Resolves the escapes of a string of a record that was read successfully.
 * out has room for length bytes, which is always enough.  False, with *error
 * set, for what text cannot hold: \u0000 and halves of surrogate pairs.
 */
extern bool streaming_json_unescape(const char *data, size_t length,
									char *out, size_t *out_length, StreamingJsonError *error);

#ifdef __cplusplus
}
#endif

#endif							/* STREAMING_JSON_READER_H */
