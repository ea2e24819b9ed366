/*
 * protobuf_link.c
 *		Protobuf schemas: their parts, and what the names in them stand for.
 *
 * Needs no server.
 */
#include "format/protobuf.h"

#include <stdlib.h>
#include <string.h>

typedef struct Name
{
	const char *name;
	StreamingProtobufMessage *message;	/* or NULL: */
	StreamingProtobufEnum *symbols;
} Name;

/* What files are there without being sent along: as much of them as counts. */
static const struct
{
	const char *name;
	const char *text;
}			well_known[] = {
	{"google/protobuf/timestamp.proto",
		"syntax = \"proto3\"; package google.protobuf;"
	"message Timestamp { int64 seconds = 1; int32 nanos = 2; }"},
	{"google/protobuf/duration.proto",
		"syntax = \"proto3\"; package google.protobuf;"
	"message Duration { int64 seconds = 1; int32 nanos = 2; }"},
	{"google/protobuf/wrappers.proto",
		"syntax = \"proto3\"; package google.protobuf;"
		"message DoubleValue { double value = 1; } message FloatValue { float value = 1; }"
		"message Int64Value { int64 value = 1; } message UInt64Value { uint64 value = 1; }"
		"message Int32Value { int32 value = 1; } message UInt32Value { uint32 value = 1; }"
		"message BoolValue { bool value = 1; } message StringValue { string value = 1; }"
	"message BytesValue { bytes value = 1; }"},
	{"google/protobuf/struct.proto",
		"syntax = \"proto3\"; package google.protobuf;"
		"message Struct { map<string, Value> fields = 1; }"
		"message Value { oneof kind { NullValue null_value = 1; double number_value = 2;"
		" string string_value = 3; bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; } }"
	"enum NullValue { NULL_VALUE = 0; } message ListValue { repeated Value values = 1; }"},
	{"google/protobuf/any.proto",
		"syntax = \"proto3\"; package google.protobuf;"
	"message Any { string type_url = 1; bytes value = 2; }"},
	{"google/protobuf/empty.proto",
	"syntax = \"proto3\"; package google.protobuf; message Empty {}"},
	{"google/protobuf/field_mask.proto",
		"syntax = \"proto3\"; package google.protobuf;"
	"message FieldMask { repeated string paths = 1; }"},
	{"google/type/date.proto",
		"syntax = \"proto3\"; package google.type;"
	"message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"},
	{"google/type/decimal.proto",
	"syntax = \"proto3\"; package google.type; message Decimal { string value = 1; }"},
	{"google/type/timeofday.proto",
		"syntax = \"proto3\"; package google.type;"
	"message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }"},
	{"confluent/type/decimal.proto",
		"syntax = \"proto3\"; package confluent.type;"
	"message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"},
};

static bool add_missing(StreamingProtobufSchema *schema);
static void add_well_known(StreamingProtobufSchema *schema, const char *name);
static void sort_names(StreamingProtobufSchema *schema);
static int	compare_names(const void *a, const void *b);
static const Name *find_name(const StreamingProtobufSchema *schema, const char *name);
static void link_message(StreamingProtobufSchema *schema, StreamingProtobufMessage *message);
static void resolve(StreamingProtobufSchema *schema, StreamingProtobufMessage *message,
					StreamingProtobufField *field);
static void want_all(StreamingProtobufMessage *message);
static int	compare_wanted(const void *a, const void *b);
static void add_owned(const StreamingProtobufWant *want, int *owned, int *n);
static int	count_owned(const StreamingProtobufWant *want);
static void sort_symbols(StreamingProtobufEnum *symbols);
static StreamingProtobufLogical logical_of(const StreamingProtobufMessage *message);
static bool has_shape(const StreamingProtobufMessage *message, const char *shape);
static const char *full_name(StreamingProtobufFile *file, StreamingProtobufMessage *parent,
							 const char *name);
static void check_name(const char *name, size_t length, bool dotted);

/* ------------------------------------------------------------------------
 * Parts
 * ------------------------------------------------------------------------ */

StreamingProtobufFile *
streaming_protobuf_add_file(StreamingProtobufSchema *schema)
{
	StreamingProtobufFile *file = streaming_protobuf_allocate(sizeof(StreamingProtobufFile));

	if (++schema->nfiles > STREAMING_PROTOBUF_MAX_FILES)
		streaming_protobuf_refuse(true, "There are more than %d files.", STREAMING_PROTOBUF_MAX_FILES);
	file->schema = schema;
	file->name = file->package = "";
	file->next = schema->files;
	schema->files = file;
	return file;
}

void
streaming_protobuf_add_import(StreamingProtobufFile *file, const char *name)
{
	if (file->nimports == file->allocated)
	{
		int			more = file->allocated ? file->allocated * 2 : 8;

		file->imports = file->imports ?
			streaming_protobuf_resize(file->imports, sizeof(char *) * more) :
			streaming_protobuf_allocate(sizeof(char *) * more);
		file->allocated = more;
	}
	file->imports[file->nimports++] = name;
}

StreamingProtobufMessage *
streaming_protobuf_add_message(StreamingProtobufSchema *schema, StreamingProtobufFile *file,
							   StreamingProtobufMessage *parent, const char *name)
{
	StreamingProtobufMessage *message = streaming_protobuf_allocate(sizeof(StreamingProtobufMessage));

	message->name = full_name(file, parent, name);
	message->file = file;
	message->parent = parent;
	message->index = parent ? parent->nchildren++ : file->nchildren++;
	message->next = schema->messages;
	schema->messages = message;
	return message;
}

/* Of a message whose fields have all been added none moves any more. */
StreamingProtobufField *
streaming_protobuf_add_field(StreamingProtobufMessage *message)
{
	StreamingProtobufField *field;

	if (message->n == message->allocated)
	{
		int			more = message->allocated ? message->allocated * 2 : 4;

		message->fields = message->fields ?
			streaming_protobuf_resize(message->fields, sizeof(StreamingProtobufField) * more) :
			streaming_protobuf_allocate(sizeof(StreamingProtobufField) * more);
		message->allocated = more;
	}
	field = &message->fields[message->n++];
	memset(field, 0, sizeof(StreamingProtobufField));
	field->oneof = -1;
	return field;
}

StreamingProtobufEnum *
streaming_protobuf_add_enum(StreamingProtobufSchema *schema, StreamingProtobufFile *file,
							StreamingProtobufMessage *parent, const char *name)
{
	StreamingProtobufEnum *symbols = streaming_protobuf_allocate(sizeof(StreamingProtobufEnum));

	symbols->name = full_name(file, parent, name);
	symbols->file = file;
	symbols->next = schema->enums;
	schema->enums = symbols;
	return symbols;
}

void
streaming_protobuf_add_symbol(StreamingProtobufEnum *symbols, const char *name, int32_t number)
{
	check_name(name, strlen(name), false);
	if (symbols->n == symbols->allocated)
	{
		int			more = symbols->allocated ? symbols->allocated * 2 : 8;

		symbols->names = symbols->names ?
			streaming_protobuf_resize(symbols->names, sizeof(char *) * more) :
			streaming_protobuf_allocate(sizeof(char *) * more);
		symbols->numbers = symbols->numbers ?
			streaming_protobuf_resize(symbols->numbers, sizeof(int32_t) * more) :
			streaming_protobuf_allocate(sizeof(int32_t) * more);
		symbols->allocated = more;
	}
	symbols->names[symbols->n] = name;
	symbols->numbers[symbols->n++] = number;
}

char *
streaming_protobuf_copy(const char *data, size_t length)
{
	char	   *copy = streaming_protobuf_allocate(length + 1);

	memcpy(copy, data, length);
	return copy;
}

static const char *
full_name(StreamingProtobufFile *file, StreamingProtobufMessage *parent, const char *name)
{
	const char *scope = parent ? parent->name : file->package;
	size_t		before = strlen(scope);
	size_t		length = strlen(name);
	char	   *full;

	check_name(name, length, false);
	if (before + 1 + length > STREAMING_PROTOBUF_MAX_NAME)
		streaming_protobuf_refuse(true, "A name is longer than %d bytes.", STREAMING_PROTOBUF_MAX_NAME);
	if (before == 0)
		return streaming_protobuf_copy(name, length);
	full = streaming_protobuf_allocate(before + 1 + length + 1);
	memcpy(full, scope, before);
	full[before] = '.';
	memcpy(full + before + 1, name, length);
	return full;
}

/* Letters, digits and underscores, so that a name is the same in any encoding. */
static void
check_name(const char *name, size_t length, bool dotted)
{
	bool		begins = true;

	if (length > STREAMING_PROTOBUF_MAX_NAME)
		streaming_protobuf_refuse(true, "A name is longer than %d bytes.", STREAMING_PROTOBUF_MAX_NAME);
	for (size_t i = 0; i < length; i++)
	{
		char		c = name[i];
		bool		letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(c >= '0' && c <= '9' && !begins) && !(dotted && c == '.' && !begins))
			streaming_protobuf_refuse(false, "A name has other characters than letters, digits and underscores.");
		begins = c == '.';
	}
	if (begins)
		streaming_protobuf_refuse(false, "A name is missing.");
}

/* ------------------------------------------------------------------------
 * Links
 * ------------------------------------------------------------------------ */

void
streaming_protobuf_link(StreamingProtobufSchema *schema)
{
	for (StreamingProtobufFile *file = schema->files; file; file = file->next)
		if (file->package[0])
			check_name(file->package, strlen(file->package), true);
	schema->main = schema->files;
	while (add_missing(schema))
		;
	sort_names(schema);
	for (StreamingProtobufEnum *symbols = schema->enums; symbols; symbols = symbols->next)
	{
		streaming_protobuf_breathe();
		symbols->closed = !symbols->file->proto3;
		sort_symbols(symbols);
	}
	for (StreamingProtobufMessage *message = schema->messages; message; message = message->next)
	{
		streaming_protobuf_breathe();
		link_message(schema, message);
	}
	/* By then the fields of all of them are known. */
	for (StreamingProtobufMessage *message = schema->messages; message; message = message->next)
	{
		streaming_protobuf_breathe();
		message->logical = logical_of(message);
		want_all(message);
	}
}

/* Adds files that are imported and known; true: others may be, by them. */
static bool
add_missing(StreamingProtobufSchema *schema)
{
	for (StreamingProtobufFile *file = schema->files; file; file = file->next)
	{
		for (int i = 0; i < file->nimports; i++)
		{
			const char *name = file->imports[i];
			StreamingProtobufFile *other = schema->files;

			if (name == NULL)
				continue;
			file->imports[i] = NULL;
			while (other && strcmp(other->name, name) != 0)
				other = other->next;
			if (other)
				continue;
			add_well_known(schema, name);
			return true;
		}
	}
	return false;
}

/* That another file is not there matters only if a name is not there. */
static void
add_well_known(StreamingProtobufSchema *schema, const char *name)
{
	for (size_t i = 0; i < sizeof(well_known) / sizeof(well_known[0]); i++)
		if (strcmp(well_known[i].name, name) == 0)
			streaming_protobuf_parse(schema, name, well_known[i].text);
}

static void
sort_names(StreamingProtobufSchema *schema)
{
	Name	   *names;
	int			n = 0;

	for (StreamingProtobufMessage *message = schema->messages; message; message = message->next)
		n++;
	for (StreamingProtobufEnum *symbols = schema->enums; symbols; symbols = symbols->next)
		n++;
	names = streaming_protobuf_allocate(sizeof(Name) * (n + 1));
	n = 0;
	for (StreamingProtobufMessage *message = schema->messages; message; message = message->next)
	{
		names[n].message = message;
		names[n++].name = message->name;
	}
	for (StreamingProtobufEnum *symbols = schema->enums; symbols; symbols = symbols->next)
	{
		names[n].symbols = symbols;
		names[n++].name = symbols->name;
	}
	qsort(names, n, sizeof(Name), compare_names);
	for (int i = 1; i < n; i++)
		if (strcmp(names[i - 1].name, names[i].name) == 0)
			streaming_protobuf_refuse(false, "Type \"%s\" is there twice.", names[i].name);
	schema->names = names;
	schema->nnames = n;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const Name *) a)->name, ((const Name *) b)->name);
}

static const Name *
find_name(const StreamingProtobufSchema *schema, const char *name)
{
	Name		key = {.name = name};

	return bsearch(&key, schema->names, schema->nnames, sizeof(Name), compare_names);
}

StreamingProtobufMessage *
streaming_protobuf_find(const StreamingProtobufSchema *schema, const char *name)
{
	const Name *found = find_name(schema, name);

	return found ? found->message : NULL;
}

static void
link_message(StreamingProtobufSchema *schema, StreamingProtobufMessage *message)
{
	bool		proto3 = message->file->proto3;

	for (int i = 0; i < message->n; i++)
	{
		StreamingProtobufField *field = &message->fields[i];
		bool		whole;

		check_name(field->name, strlen(field->name), false);
		if (field->number < 1 || field->number > STREAMING_PROTOBUF_MAX_NUMBER)
			streaming_protobuf_refuse(false, "Field \"%s\" of message \"%s\" has no valid number.",
									  field->name, message->name);
		if (field->type_name)
			resolve(schema, message, field);
		if (field->kind < STREAMING_PROTOBUF_DOUBLE || field->kind > STREAMING_PROTOBUF_SINT64 ||
			(field->kind == STREAMING_PROTOBUF_ENUM) != (field->symbols != NULL) ||
			(field->kind == STREAMING_PROTOBUF_MESSAGE ||
			 field->kind == STREAMING_PROTOBUF_GROUP) != (field->message != NULL))
			streaming_protobuf_refuse(false, "Field \"%s\" of message \"%s\" has no valid type.",
									  field->name, message->name);
		if (field->oneof >= message->noneofs || (field->oneof >= 0 && field->repeated))
			streaming_protobuf_refuse(false, "Field \"%s\" of message \"%s\" is of a oneof that there is not.",
									  field->name, message->name);
		if (proto3 && field->optional)
			field->oneof = -1;	/* one of its own, which says no more */
		whole = field->message != NULL || field->kind == STREAMING_PROTOBUF_STRING ||
			field->kind == STREAMING_PROTOBUF_BYTES;
		field->presence = !field->repeated && !message->map_entry &&
			(!proto3 || field->optional || field->oneof >= 0 || field->message != NULL);
		field->packed = field->repeated && !whole && (field->packed_said ? field->packed : proto3);
	}
	if (message->map_entry &&
		(message->n != 2 || message->fields[0].number != 1 || message->fields[1].number != 2 ||
		 message->fields[0].repeated || message->fields[1].repeated || message->fields[0].message ||
		 message->fields[0].oneof >= 0 || message->fields[1].oneof >= 0))
		streaming_protobuf_refuse(false, "Message \"%s\" is no entry of a map.", message->name);
}

/* From the innermost scope outwards. */
static void
resolve(StreamingProtobufSchema *schema, StreamingProtobufMessage *message,
		StreamingProtobufField *field)
{
	char		name[2 * STREAMING_PROTOBUF_MAX_NAME + 3];
	size_t		scope = strlen(message->name);
	size_t		length = strlen(field->type_name);
	const Name *found = NULL;

	check_name(field->type_name + (field->type_name[0] == '.'), length - (field->type_name[0] == '.'), true);
	if (field->type_name[0] == '.')
		found = find_name(schema, field->type_name + 1);
	else
	{
		memcpy(name, message->name, scope);
		for (;;)
		{
			size_t		at = scope;

			if (scope > 0)
				name[at++] = '.';
			memcpy(name + at, field->type_name, length + 1);
			found = find_name(schema, name);
			if (found || scope == 0)
				break;
			memcpy(name, message->name, scope);
			while (--scope > 0 && name[scope] != '.')
				;
		}
	}
	if (found == NULL)
		streaming_protobuf_refuse(false, "Type \"%s\" of field \"%s\" of message \"%s\" is not there.",
								  field->type_name, field->name, message->name);
	field->message = found->message;
	field->symbols = found->symbols;
	if (field->kind == STREAMING_PROTOBUF_UNRESOLVED)
		field->kind = found->message ? STREAMING_PROTOBUF_MESSAGE : STREAMING_PROTOBUF_ENUM;
}

/* ------------------------------------------------------------------------
 * What is wanted
 * ------------------------------------------------------------------------ */

static void
want_all(StreamingProtobufMessage *message)
{
	StreamingProtobufWant *want = streaming_protobuf_allocate(sizeof(StreamingProtobufWant));
	int			nvalues = message->n;

	want->message = message;
	want->seen = -1;
	want->n = message->n;
	want->fields = streaming_protobuf_allocate(sizeof(StreamingProtobufWantField) * (message->n + 1));
	for (int i = 0; i < message->n; i++)
	{
		want->fields[i].field = &message->fields[i];
		want->fields[i].value = i;
	}
	streaming_protobuf_complete(want, &nvalues);
	message->all = want;
	message->nvalues = nvalues;
}

void
streaming_protobuf_complete(StreamingProtobufWant *want, int *nvalues)
{
	int		   *oneofs = streaming_protobuf_allocate(sizeof(int) * (want->message->noneofs + 1));
	uint32_t	largest = 0;

	qsort(want->fields, want->n, sizeof(StreamingProtobufWantField), compare_wanted);
	for (int i = 0; i < want->n; i++)
	{
		StreamingProtobufWantField *wanted = &want->fields[i];

		largest = (uint32_t) wanted->field->number;
		if (i > 0 && want->fields[i - 1].field->number == wanted->field->number)
			streaming_protobuf_refuse(false, "Message \"%s\" has two fields with the number %d.",
									  want->message->name, wanted->field->number);
		if (wanted->nested)
		{
			wanted->nested->seen = (*nvalues)++;
			streaming_protobuf_complete(wanted->nested, nvalues);
		}
		wanted->oneof = -1;
		if (wanted->field->oneof >= 0)
		{
			int		   *oneof = &oneofs[wanted->field->oneof];

			/* The first of a record is 0, which says here that there is none yet. */
			if (*oneof == 0)
				*oneof = ++*nvalues;
			wanted->oneof = *oneof - 1;
			wanted->owned = streaming_protobuf_allocate(sizeof(int) * (count_owned(wanted->nested) + 1));
			if (wanted->value >= 0)
				wanted->owned[wanted->nowned++] = wanted->value;
			add_owned(wanted->nested, wanted->owned, &wanted->nowned);
		}
		wanted->wire = streaming_protobuf_wire(wanted->field->kind);
		wanted->plain = wanted->value >= 0 && wanted->oneof < 0 && !wanted->field->repeated &&
			wanted->field->message == NULL &&
			!(wanted->field->symbols && wanted->field->symbols->closed);
	}
	/* Numbers are small, as a rule; where they are not, they are looked up. */
	if (want->n > 0 && largest < 4 * (uint32_t) want->n + 32)
	{
		want->ndense = largest + 1;
		want->dense = streaming_protobuf_allocate(sizeof(StreamingProtobufWantField *) * want->ndense);
		for (int i = 0; i < want->n; i++)
			want->dense[want->fields[i].field->number] = &want->fields[i];
	}
}

static int
compare_wanted(const void *a, const void *b)
{
	int32_t		first = ((const StreamingProtobufWantField *) a)->field->number;
	int32_t		second = ((const StreamingProtobufWantField *) b)->field->number;

	return first < second ? -1 : first > second;
}

static int
count_owned(const StreamingProtobufWant *want)
{
	int			n = 0;

	if (want == NULL)
		return 0;
	n++;
	for (int i = 0; i < want->n; i++)
		n += 2 + count_owned(want->fields[i].nested);
	return n;
}

static void
add_owned(const StreamingProtobufWant *want, int *owned, int *n)
{
	if (want == NULL)
		return;
	owned[(*n)++] = want->seen;
	for (int i = 0; i < want->n; i++)
	{
		if (want->fields[i].value >= 0)
			owned[(*n)++] = want->fields[i].value;
		if (want->fields[i].oneof >= 0)
			owned[(*n)++] = want->fields[i].oneof;
		add_owned(want->fields[i].nested, owned, n);
	}
}

/* ------------------------------------------------------------------------
 * Enums and well-known messages
 * ------------------------------------------------------------------------ */

typedef struct Symbol
{
	int32_t		number;
	int			place;
} Symbol;

static int
compare_symbols(const void *a, const void *b)
{
	const Symbol *first = a;
	const Symbol *second = b;

	if (first->number != second->number)
		return first->number < second->number ? -1 : 1;
	return first->place - second->place;
}

static void
sort_symbols(StreamingProtobufEnum *symbols)
{
	Symbol	   *sorted = streaming_protobuf_allocate(sizeof(Symbol) * (symbols->n + 1));

	for (int i = 0; i < symbols->n; i++)
	{
		sorted[i].number = symbols->numbers[i];
		sorted[i].place = i;
	}
	qsort(sorted, symbols->n, sizeof(Symbol), compare_symbols);
	symbols->sorted = streaming_protobuf_allocate(sizeof(int) * (symbols->n + 1));
	for (int i = 0; i < symbols->n; i++)
		symbols->sorted[i] = sorted[i].place;
}

/* A message that has such a name and other fields is one as any other. */
static StreamingProtobufLogical
logical_of(const StreamingProtobufMessage *message)
{
	static const struct
	{
		const char *name;
		StreamingProtobufLogical logical;
		const char *shape;		/* kinds of fields 1, 2, ..., a letter each */
	}			logicals[] = {
		{"google.protobuf.Timestamp", STREAMING_PROTOBUF_TIMESTAMP, "li"},
		{"google.protobuf.Duration", STREAMING_PROTOBUF_DURATION, "li"},
		{"google.protobuf.DoubleValue", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.FloatValue", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.Int64Value", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.UInt64Value", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.Int32Value", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.UInt32Value", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.BoolValue", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.StringValue", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.BytesValue", STREAMING_PROTOBUF_WRAPPER, "*"},
		{"google.protobuf.Struct", STREAMING_PROTOBUF_STRUCT, "M"},
		{"google.protobuf.Value", STREAMING_PROTOBUF_VALUE, "edsbmm"},
		{"google.protobuf.ListValue", STREAMING_PROTOBUF_LIST, "R"},
		{"google.protobuf.Any", STREAMING_PROTOBUF_ANY, "sy"},
		{"google.type.Date", STREAMING_PROTOBUF_DATE, "iii"},
		{"google.type.Decimal", STREAMING_PROTOBUF_DECIMAL, "s"},
		{"confluent.type.Decimal", STREAMING_PROTOBUF_BINARY_DECIMAL, "yui"},
	};

	for (size_t i = 0; i < sizeof(logicals) / sizeof(logicals[0]); i++)
		if (strcmp(logicals[i].name, message->name) == 0 && has_shape(message, logicals[i].shape))
			return logicals[i].logical;
	return STREAMING_PROTOBUF_PLAIN;
}

static bool
has_shape(const StreamingProtobufMessage *message, const char *shape)
{
	if (message->n != (int) strlen(shape))
		return false;
	for (int i = 0; i < message->n; i++)
	{
		const StreamingProtobufField *field = &message->fields[i];
		bool		map = field->message && field->message->map_entry;
		char		letter = 0;

		switch (field->kind)
		{
			case STREAMING_PROTOBUF_INT64:
				letter = 'l';
				break;
			case STREAMING_PROTOBUF_INT32:
				letter = 'i';
				break;
			case STREAMING_PROTOBUF_UINT32:
				letter = 'u';
				break;
			case STREAMING_PROTOBUF_DOUBLE:
				letter = 'd';
				break;
			case STREAMING_PROTOBUF_STRING:
				letter = 's';
				break;
			case STREAMING_PROTOBUF_BYTES:
				letter = 'y';
				break;
			case STREAMING_PROTOBUF_BOOL:
				letter = 'b';
				break;
			case STREAMING_PROTOBUF_ENUM:
				letter = 'e';
				break;
			case STREAMING_PROTOBUF_MESSAGE:
				letter = map ? 'M' : field->repeated ? 'R' : 'm';
				break;
			default:
				break;
		}
		if (field->number != i + 1)
			return false;
		if (shape[i] == '*' ? field->message != NULL || field->symbols != NULL || field->repeated : letter != shape[i])
			return false;
		if (field->repeated && letter != 'M' && letter != 'R')
			return false;
		if (letter == 'M' && (!field->repeated || field->message->fields[0].kind != STREAMING_PROTOBUF_STRING ||
							  field->message->fields[1].message == NULL))
			return false;
	}
	return true;
}
