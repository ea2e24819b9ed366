/*
 * protobuf_derive.c
 *		A Protobuf schema for columns.
 *
 * Each is a field of the type below, whose number is the column's in its table, so that
 * it keeps it while other columns come and go.  Fields have presence, so that NULL is a
 * field that is not there.
 *
 *		bool, int32, int64, float, double	boolean, smallint and integer, bigint, real, ...
 *		bytes								bytea
 *		google.protobuf.Timestamp, Value	timestamptz, json and jsonb
 *		repeated, message					arrays of one dimension, composite types
 *		string								all else, as its text
 */
#include "postgres.h"

#include "streaming.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "format/protobuf_derive.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

static void derive_message(StringInfo proto, const char *name, const StreamingEncodeSource *sources, int n,
						   int *nmessages, int depth);
static const char *derive_type(StringInfo before, const StreamingEncodeSource *source, bool *whole,
							   int *nmessages, int depth);
static char *protobuf_name(const char *name);

char *
streaming_protobuf_derive(const char *name, const StreamingEncodeSource *sources, int n)
{
	StringInfoData proto;
	StringInfoData message;
	int			nmessages = 0;

	initStringInfo(&message);
	derive_message(&message, protobuf_name(name), sources, n, &nmessages, 0);
	initStringInfo(&proto);
	appendStringInfoString(&proto, "syntax = \"proto3\";\n\n");
	if (strstr(message.data, " google.protobuf.Value "))
		appendStringInfoString(&proto, "import \"google/protobuf/struct.proto\";\n\n");
	if (strstr(message.data, " google.protobuf.Timestamp "))
		appendStringInfoString(&proto, "import \"google/protobuf/timestamp.proto\";\n\n");
	appendStringInfoString(&proto, message.data);
	return proto.data;
}

static void
derive_message(StringInfo proto, const char *name, const StreamingEncodeSource *sources, int n,
			   int *nmessages, int depth)
{
	StringInfoData fields;
	int			indent = 2 * depth;

	check_stack_depth();
	initStringInfo(&fields);
	appendStringInfo(proto, "%*smessage %s {\n", indent, "", name);
	for (int i = 0; i < n; i++)
	{
		bool		whole = false;
		const char *type;

		if (strcmp(sources[i].name, protobuf_name(sources[i].name)) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("\"%s\" is no name of a field in Protobuf", sources[i].name),
					 errhint("Give the column the option \"field\" with letters, digits and underscores.")));
		type = derive_type(proto, &sources[i], &whole, nmessages, depth + 1);
		appendStringInfo(&fields, "%*s%s %s %s = %d;\n", indent + 2, "",
						 whole ? "repeated" : "optional", type, sources[i].name, sources[i].attnum);
	}
	appendStringInfo(proto, "%s%*s}\n", fields.data, indent, "");
}

/* before: gets the messages that it needs */
static const char *
derive_type(StringInfo before, const StreamingEncodeSource *source, bool *whole, int *nmessages, int depth)
{
	StreamingEncodeSource inner = *source;

	inner.type = getBaseTypeAndTypmod(source->type, &inner.typmod);
	if (OidIsValid(get_element_type(inner.type)))
	{
		*whole = true;
		inner.type = get_element_type(inner.type);
		inner.type = getBaseTypeAndTypmod(inner.type, &inner.typmod);
	}
	if (get_typtype(inner.type) == TYPTYPE_COMPOSITE)
	{
		int			n;
		StreamingEncodeSource *attributes = streaming_encode_attributes(inner.type, inner.typmod, &n);
		const char *name = psprintf("Row%d", ++*nmessages);

		derive_message(before, name, attributes, n, nmessages, depth);
		return name;
	}
	switch (inner.type)
	{
		case BOOLOID:
			return "bool";
		case INT2OID:
		case INT4OID:
			return "int32";
		case INT8OID:
			return "int64";
		case FLOAT4OID:
			return "float";
		case FLOAT8OID:
			return "double";
		case BYTEAOID:
			return "bytes";
		case TIMESTAMPTZOID:
			return "google.protobuf.Timestamp";
		case JSONOID:
		case JSONBOID:
			return "google.protobuf.Value";
		default:
			return "string";
	}
}

/* Like name, but a name in Protobuf. */
static char *
protobuf_name(const char *name)
{
	char	   *result = psprintf("%s%s", isalpha((unsigned char) name[0]) || name[0] == '_' ? "" : "_", name);

	for (char *c = result; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
			*c = '_';
	return result;
}
