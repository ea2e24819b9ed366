/*
 * protobuf.h
 *		Protocol Buffers: types of messages, and the walk over their bytes.
 *
 * A schema, be it the text of a .proto file (protobuf_parse.c) or a descriptor
 * (protobuf_descriptor.c), becomes a graph of types, whose names are then resolved
 * (protobuf_link.c).  A record is read in two steps: the walk (protobuf_read.c) notes
 * the last value of each field that somebody wants, or all of them where it is
 * repeated; then these become Datums (protobuf_value.c).
 *
 * The wire format knows fields by number alone.  So a walk is over a table of the
 * wanted ones, and all else is stepped over, unknown or not.  Messages in a message
 * are walked only where they are wanted.
 *
 * What a record says of lengths is believed only as far as its bytes go.  Memory is
 * taken for repeated fields alone, a piece for each time that one is there.
 *
 * All of this header needs no server: where memory comes from, and where errors of a
 * schema go, is up to who links it.
 */
#ifndef STREAMING_PROTOBUF_H
#define STREAMING_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages and groups inside of each other; the libraries' own limit. */
#define STREAMING_PROTOBUF_MAX_DEPTH	100

/* Times that repeated fields may be in a record. */
#ifndef STREAMING_PROTOBUF_MAX_PIECES
#define STREAMING_PROTOBUF_MAX_PIECES	(16 * 1024 * 1024)
#endif

/* A longer schema is refused, and a longer name in it. */
#define STREAMING_PROTOBUF_MAX_SCHEMA	(1024 * 1024)
#define STREAMING_PROTOBUF_MAX_NAME		500
#define STREAMING_PROTOBUF_MAX_FILES	1000

#define STREAMING_PROTOBUF_MAX_NUMBER	((1 << 29) - 1)

/* As FieldDescriptorProto.Type numbers them. */
typedef enum StreamingProtobufKind
{
	STREAMING_PROTOBUF_UNRESOLVED = 0,
	STREAMING_PROTOBUF_DOUBLE = 1,
	STREAMING_PROTOBUF_FLOAT = 2,
	STREAMING_PROTOBUF_INT64 = 3,
	STREAMING_PROTOBUF_UINT64 = 4,
	STREAMING_PROTOBUF_INT32 = 5,
	STREAMING_PROTOBUF_FIXED64 = 6,
	STREAMING_PROTOBUF_FIXED32 = 7,
	STREAMING_PROTOBUF_BOOL = 8,
	STREAMING_PROTOBUF_STRING = 9,
	STREAMING_PROTOBUF_GROUP = 10,
	STREAMING_PROTOBUF_MESSAGE = 11,
	STREAMING_PROTOBUF_BYTES = 12,
	STREAMING_PROTOBUF_UINT32 = 13,
	STREAMING_PROTOBUF_ENUM = 14,
	STREAMING_PROTOBUF_SFIXED32 = 15,
	STREAMING_PROTOBUF_SFIXED64 = 16,
	STREAMING_PROTOBUF_SINT32 = 17,
	STREAMING_PROTOBUF_SINT64 = 18
} StreamingProtobufKind;

typedef enum StreamingProtobufWire
{
	STREAMING_PROTOBUF_VARINT = 0,
	STREAMING_PROTOBUF_I64 = 1,
	STREAMING_PROTOBUF_LEN = 2,
	STREAMING_PROTOBUF_BEGIN = 3,	/* of a group */
	STREAMING_PROTOBUF_END = 4,
	STREAMING_PROTOBUF_I32 = 5
} StreamingProtobufWire;

/* Messages that mean more than their fields, by their full names. */
typedef enum StreamingProtobufLogical
{
	STREAMING_PROTOBUF_PLAIN,
	STREAMING_PROTOBUF_TIMESTAMP,
	STREAMING_PROTOBUF_DURATION,
	STREAMING_PROTOBUF_WRAPPER, /* Int64Value and its like */
	STREAMING_PROTOBUF_STRUCT,
	STREAMING_PROTOBUF_VALUE,
	STREAMING_PROTOBUF_LIST,
	STREAMING_PROTOBUF_ANY,
	STREAMING_PROTOBUF_DATE,	/* google.type */
	STREAMING_PROTOBUF_DECIMAL,
	STREAMING_PROTOBUF_BINARY_DECIMAL	/* confluent.type */
} StreamingProtobufLogical;

typedef struct StreamingProtobufMessage StreamingProtobufMessage;
typedef struct StreamingProtobufEnum StreamingProtobufEnum;
typedef struct StreamingProtobufFile StreamingProtobufFile;
typedef struct StreamingProtobufSchema StreamingProtobufSchema;
typedef struct StreamingProtobufWant StreamingProtobufWant;

typedef struct StreamingProtobufField
{
	const char *name;
	int32_t		number;
	StreamingProtobufKind kind;
	bool		repeated;
	bool		optional;		/* proto3: the word was there */
	bool		presence;		/* a record may lack it; else it has its zero */
	bool		required;		/* proto2 */
	bool		packed;			/* is written so; both ways are read */
	bool		packed_said;
	int			oneof;			/* in its message; -1: none */
	const char *type_name;		/* until it is resolved; a dot first: full */
	StreamingProtobufMessage *message;	/* of MESSAGE, GROUP */
	StreamingProtobufEnum *symbols; /* of ENUM */
} StreamingProtobufField;

struct StreamingProtobufMessage
{
	const char *name;			/* full, without a dot before it */
	StreamingProtobufFile *file;
	StreamingProtobufMessage *parent;	/* NULL: none */
	int			index;			/* among those of its parent or its file */
	int			nchildren;
	bool		map_entry;		/* field 1 is the key, 2 the value */
	StreamingProtobufLogical logical;
	StreamingProtobufField *fields; /* as they are declared */
	int			n;
	int			allocated;
	int			noneofs;
	StreamingProtobufWant *all; /* wants each field, as value of its place */
	int			nvalues;		/* of that */
	StreamingProtobufMessage *next;
};

struct StreamingProtobufEnum
{
	const char *name;
	StreamingProtobufFile *file;
	const char **names;
	int32_t    *numbers;
	int			n;
	int			allocated;
	int		   *sorted;			/* by number, of equal ones the first declared */
	bool		closed;			/* proto2: other numbers are unknown fields */
	StreamingProtobufEnum *next;
};

struct StreamingProtobufFile
{
	StreamingProtobufSchema *schema;
	const char *name;			/* "" for the text of an option */
	const char *package;
	bool		proto3;
	int			nchildren;
	const char **imports;
	int			nimports;
	int			allocated;
	StreamingProtobufFile *next;
};

struct StreamingProtobufSchema
{
	StreamingProtobufFile *files;	/* those that are read last come first */
	StreamingProtobufFile *main;	/* the one that the others are read for */
	int			nfiles;
	StreamingProtobufMessage *messages;
	StreamingProtobufEnum *enums;
	void	   *names;			/* of messages and enums, sorted */
	int			nnames;
};

/*
 * What somebody wants of a message: a table of its fields, those that are wanted and
 * those that are in a oneof with them.  values: numbers in what streaming_protobuf_read
 * fills in.
 */
typedef struct StreamingProtobufWantField
{
	const StreamingProtobufField *field;
	int			value;			/* -1: nobody wants it as a whole */
	int			oneof;			/* value whose field is the last one set; -1: none */
	StreamingProtobufWant *nested;	/* what is wanted of the message; NULL: nothing */
	int		   *owned;			/* what goes when another member of the oneof is set */
	int			nowned;
	StreamingProtobufWire wire; /* of one value */
	bool		plain;			/* the last one of that wire is its value, and no more to it */
} StreamingProtobufWantField;

struct StreamingProtobufWant
{
	const StreamingProtobufMessage *message;
	int			seen;			/* value that is set if the message is there; -1: it always is */
	StreamingProtobufWantField *fields; /* by number */
	int			n;
	StreamingProtobufWantField **dense; /* by number, below ndense; NULL: not wanted */
	uint32_t	ndense;			/* 0: there are too few for a table */
};

typedef struct StreamingProtobufPiece
{
	const uint8_t *data;
	uint32_t	length;
	int32_t		next;			/* -1: the last */
} StreamingProtobufPiece;

/*
 * The value of a field, which is in one piece or several.  Of a number it is its bytes,
 * and bits, as read from the wire; pieces of repeated numbers have one or more of them
 * each.  Pieces of a message that is not repeated are parts of one message.
 */
typedef struct StreamingProtobufValue
{
	const StreamingProtobufField *field;	/* NULL: the record has none */
	uint64_t	bits;
	const uint8_t *data;
	uint32_t	length;
	int32_t		next;			/* further pieces; -1: none */
	int32_t		last;
} StreamingProtobufValue;

typedef struct StreamingProtobufPieces
{
	StreamingProtobufPiece *items;	/* allocated at least 1 */
	int			n;
	int			allocated;
} StreamingProtobufPieces;

typedef struct StreamingProtobufError
{
	const char *message;		/* what is wrong */
	const uint8_t *at;			/* where it was noticed */
	bool		limit;			/* nothing, but it is too much */
} StreamingProtobufError;

typedef struct StreamingProtobufCursor
{
	const uint8_t *p;
	const uint8_t *end;
} StreamingProtobufCursor;

/* A field in bytes.  data and length: its value without a length before it. */
typedef struct StreamingProtobufItem
{
	uint32_t	number;
	StreamingProtobufWire wire;
	uint64_t	bits;			/* of VARINT, I64, I32 */
	const uint8_t *data;
	size_t		length;
} StreamingProtobufItem;

/* in protobuf_read.c */

/*
 * Walks over the bytes of a message, or of a part of it, and notes what is wanted.
 * The caller has reset values and pieces, which those of earlier parts stay in.
 * Returns false, with *error filled in, if the bytes are no message.
 */
extern bool streaming_protobuf_read(const StreamingProtobufWant *want,
									const uint8_t *data, size_t length,
									StreamingProtobufValue *values,
									StreamingProtobufPieces *pieces,
									StreamingProtobufError *error);

/* The next field.  false: there is none, and if error->message is set, it is broken. */
extern bool streaming_protobuf_next(StreamingProtobufCursor *cursor, StreamingProtobufItem *item,
									StreamingProtobufError *error);

/*
 * A number of at most 10 bytes, 7 bits in each; bits beyond 64 are cut off.  false: it
 * is none.
 */
extern bool streaming_protobuf_varint(StreamingProtobufCursor *cursor, uint64_t *value);

/* The next of the numbers of a piece, of a field of such a kind; false: it is none. */
extern bool streaming_protobuf_number(StreamingProtobufCursor *cursor, StreamingProtobufKind kind,
									  uint64_t *bits);

/* How a value of the kind is on the wire, alone. */
extern StreamingProtobufWire streaming_protobuf_wire(StreamingProtobufKind kind);

/* Which of an enum's names the number has; -1: none. */
extern int	streaming_protobuf_symbol(const StreamingProtobufEnum *symbols, int32_t number);

/* in protobuf_parse.c: adds the file that the text is.  Refuses what is none. */
extern void streaming_protobuf_parse(StreamingProtobufSchema *schema, const char *name,
									 const char *text);

/* in protobuf_descriptor.c: adds the files of a FileDescriptorSet. */
extern void streaming_protobuf_describe(StreamingProtobufSchema *schema,
										const uint8_t *data, size_t length);

/* in protobuf_link.c */

/*
 * Takes the file that was read last for the main one, adds well-known files that are imported and not there, resolves all names, and makes
 * what the walk needs.  Refuses a schema that is none.
 */
extern void streaming_protobuf_link(StreamingProtobufSchema *schema);

/* The message of a full name; NULL: there is none. */
extern StreamingProtobufMessage *streaming_protobuf_find(const StreamingProtobufSchema *schema,
														 const char *name);

/*
 * Makes the tables of a want whose message and fields are filled in, and those of the
 * wants in it.  *nvalues: numbers of values that are given out; it grows.
 */
extern void streaming_protobuf_complete(StreamingProtobufWant *want, int *nvalues);

/* The field of a number; NULL: it is not in the table. */
extern StreamingProtobufWantField *streaming_protobuf_wanted(const StreamingProtobufWant *want,
															 uint32_t number);

/* Parts of a schema, for those who read it.  Names are copied, and checked. */
extern StreamingProtobufFile *streaming_protobuf_add_file(StreamingProtobufSchema *schema);
extern void streaming_protobuf_add_import(StreamingProtobufFile *file, const char *name);
extern StreamingProtobufMessage *streaming_protobuf_add_message(StreamingProtobufSchema *schema,
																StreamingProtobufFile *file,
																StreamingProtobufMessage *parent,
																const char *name);
extern StreamingProtobufField *streaming_protobuf_add_field(StreamingProtobufMessage *message);
extern StreamingProtobufEnum *streaming_protobuf_add_enum(StreamingProtobufSchema *schema,
														  StreamingProtobufFile *file,
														  StreamingProtobufMessage *parent,
														  const char *name);
extern void streaming_protobuf_add_symbol(StreamingProtobufEnum *symbols, const char *name,
										  int32_t number);
extern char *streaming_protobuf_copy(const char *data, size_t length);

/* ---- Who links these files provides: in protobuf_schema.c, or the fuzzer's ---- */

/* Zeroed; does not return if there is none. */
extern void *streaming_protobuf_allocate(size_t size);

/* Of what allocate has given; what is new is not zeroed. */
extern void *streaming_protobuf_resize(void *old, size_t size);

/* The schema is none; limit: it is too much of one.  Does not return. */
extern void streaming_protobuf_refuse(bool limit, const char *format,...)
			__attribute__((noreturn, format(printf, 2, 3)));

/* Called while a schema is read, for whom it takes too long. */
extern void streaming_protobuf_breathe(void);

#endif							/* STREAMING_PROTOBUF_H */
