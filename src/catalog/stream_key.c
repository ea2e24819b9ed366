/*
 * stream_key.c
 *		The keys of a stream's messages, as if they were messages of a stream of their own.
 *
 *		key_format		metadata 'key'			metadata 'key:field'
 *		text			the key, as it is		none
 *		json			likewise				a member of it, an object
 *		avro			its value, of any type	a field of it, a record
 *		protobuf		the key, as bytes		a field of it, a message
 *
 * Keys that are written have the columns of the option "key", or else those of the table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "streaming.h"
#include "catalog/stream.h"

static bool
has_format(const StreamingStream *stream, const char *format)
{
	return stream->key_format && strcmp(stream->key_format, format) == 0;
}

bool
streaming_key_has_fields(const StreamingStream *stream)
{
	return stream->key_format && strcmp(stream->key_format, "text") != 0;
}

bool
streaming_key_is_binary(const StreamingStream *stream)
{
	return has_format(stream, "avro") || has_format(stream, "protobuf");
}

bool
streaming_key_column_is_read(const StreamingStream *stream, const StreamingColumn *column)
{
	return !column->dropped &&
		(column->metadata == STREAMING_META_KEY_FIELD ||
		 (column->metadata == STREAMING_META_KEY && has_format(stream, "avro")));
}

bool
streaming_key_is_whole(const StreamingStream *stream, const StreamingColumn *column)
{
	return column->metadata == STREAMING_META_KEY && has_format(stream, "avro");
}

List *
streaming_key_attnos(const StreamingStream *stream)
{
	static const StreamingMetadata kinds[] = {STREAMING_META_KEY, STREAMING_META_KEY_FIELD};
	int			natts = streaming_stream_natts(stream);
	List	   *attnos = NIL;
	ListCell   *lc;

	foreach(lc, stream->key_columns)
	{
		for (int i = 0; i < natts; i++)
			if (!stream->columns[i].dropped &&
				strcmp(stream->columns[i].name, strVal(lfirst(lc))) == 0)
				attnos = list_append_unique_int(attnos, i + 1);
	}
	for (int kind = 0; kind < lengthof(kinds) && attnos == NIL; kind++)
	{
		for (int i = 0; i < natts; i++)
			if (!stream->columns[i].dropped && stream->columns[i].metadata == kinds[kind])
				attnos = lappend_int(attnos, i + 1);
	}
	return attnos;
}

StreamingStream *
streaming_stream_of_keys(const StreamingStream *of)
{
	StreamingStream *stream = palloc(sizeof(StreamingStream));

	*stream = *of;
	stream->is_key = true;
	stream->format = of->key_format ? of->key_format : "text";
	stream->changes = STREAMING_CHANGES_APPEND;
	stream->avro_schema = of->key_avro_schema;
	stream->protobuf_schema = of->key_protobuf_schema;
	stream->protobuf_message = of->key_protobuf_message;
	stream->columns = palloc(sizeof(StreamingColumn) * Max(of->tupdesc->natts, 1));
	memcpy(stream->columns, of->columns, sizeof(StreamingColumn) * of->tupdesc->natts);
	return stream;
}

static void
check_column(const StreamingStream *stream, const StreamingColumn *column)
{
	if (column->metadata == STREAMING_META_KEY_FIELD && !streaming_key_has_fields(stream))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("column \"%s\" of stream %s is a field of the message's key, whose format is not known",
						column->name, stream->name),
				 errhint("Give the stream the option \"%s\": \"json\", \"avro\" or \"protobuf\".", "key_format")));
	if (column->metadata == STREAMING_META_KEY && !has_format(stream, "avro") &&
		column->type != BYTEAOID && (column->type != TEXTOID || has_format(stream, "protobuf")))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("column \"%s\" of stream %s has option \"%s\", and so must be of type %s",
						column->name, stream->name, "metadata",
						has_format(stream, "protobuf") ? "bytea" : "text or bytea"),
				 errdetail("Its type is %s.", format_type_be(column->type)),
				 errhint("With the option \"%s\", columns of any type are fields of the key.", "key_format")));
}

void
streaming_check_keys(const StreamingStream *stream)
{
	bool		is_avro = has_format(stream, "avro");
	bool		is_protobuf = has_format(stream, "protobuf");

	if (stream->registry == NULL && ((is_avro && stream->key_avro_schema == NULL) ||
									 (is_protobuf && stream->key_protobuf_schema == NULL)))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("stream %s with \"%s\" set to \"%s\" has no schema of keys", stream->name,
						"key_format", stream->key_format),
				 errhint("Give it the option \"%s\", or its server the option \"schema_registry\".",
						 is_avro ? "key_avro_schema" : "key_protobuf_schema")));
	for (int i = 0; i < streaming_stream_natts(stream); i++)
		if (!stream->columns[i].dropped)
			check_column(stream, &stream->columns[i]);
}
