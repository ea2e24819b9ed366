/*
 * stream_changes.c
 *		Streams whose records change rows: the key that tells these apart, and what
 *		a row has besides its columns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "streaming.h"
#include "catalog/stream.h"

bool
streaming_stream_changes(Oid relid)
{
	StreamingSourceKind kind;
	ListCell   *lc;

	if (!streaming_is_stream(relid, &kind))
		return false;
	foreach(lc, GetForeignTable(relid)->options)
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, "changes") == 0)
			return strcmp(defGetString(def), "append") != 0;
	}
	return false;
}

/* Rows of the stream have a column more than its table. */
void
streaming_changes_begin(StreamingStream *stream)
{
	int			natts = stream->tupdesc->natts;
	TupleDesc	desc = CreateTemplateTupleDesc(natts + 1);

	if (natts >= MaxHeapAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("stream %s, whose rows change, can have at most %d columns", stream->name,
						MaxHeapAttributeNumber - 1)));
	for (int i = 0; i < natts; i++)
		TupleDescCopyEntry(desc, i + 1, stream->tupdesc, i + 1);
	TupleDescInitEntry(desc, natts + 1, "$change", INT2OID, -1, 0);
	TupleDescFinalize(desc);
	stream->tupdesc = desc;
	stream->change_attno = natts + 1;
}

static void
add_key(StreamingStream *stream, AttrNumber attno)
{
	StreamingColumn *column = &stream->columns[attno - 1];

	if (streaming_stream_is_key(stream, attno))
		return;
	if (!OidIsValid(lookup_type_cache(column->type, TYPECACHE_EQ_OPR)->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("column \"%s\" of stream %s cannot be a key", column->name, stream->name),
				 errdetail("Its type, %s, has no equality.", format_type_be(column->type)),
				 errhint("Give it a type such as text.")));
	stream->keys[stream->nkeys++] = attno;
}

/* The option "key"; without it, what is the key of the message. */
static void
read_keys(StreamingStream *stream)
{
	ListCell   *lc;

	stream->keys = palloc(sizeof(AttrNumber) * stream->tupdesc->natts);
	foreach(lc, streaming_key_attnos(stream))
		add_key(stream, lfirst_int(lc));
	if (stream->nkeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("stream %s, whose rows change, has no key", stream->name),
				 stream->kind == STREAMING_SOURCE_KAFKA ?
				 errhint("Set the option \"key\" to the names of the columns that tell its rows apart, or add a column with the option \"metadata\" set to \"key\".") :
				 errhint("Set the option \"key\" to the names of the columns that tell its rows apart.")));
}

static void
refuse_watermark(StreamingStream *stream)
{
	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		if (stream->columns[i].watermark)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of stream %s, whose rows change, cannot have option \"%s\"",
							stream->columns[i].name, stream->name, "watermark"),
					 errdetail("A row can be changed however old its time is, so no time is ever complete."),
					 errhint("Leave the option out, or read the changes themselves as a stream with \"changes\" set to \"append\".")));
	}
}

bool
streaming_stream_is_key(const StreamingStream *stream, AttrNumber attno)
{
	for (int i = 0; i < stream->nkeys; i++)
	{
		if (stream->keys[i] == attno)
			return true;
	}
	return false;
}

/* Fields of Avro are members of the envelope's "after", which is read as a whole. */
static void
read_envelope(StreamingStream *stream)
{
	bool		is_avro = strcmp(stream->format, "avro") == 0;

	if (!is_avro && strcmp(stream->format, "json") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stream %s cannot have format \"%s\" and \"%s\"", stream->name,
						stream->format, "changes 'debezium'"),
				 errhint("Debezium writes the formats \"json\" and \"avro\".")));
	for (int i = 0; is_avro && i < stream->tupdesc->natts; i++)
	{
		StreamingColumn *column = &stream->columns[i];
		char	  **path;

		if (column->dropped || column->metadata != STREAMING_META_NONE)
			continue;
		path = palloc(sizeof(char *) * (column->npath + 1));
		path[0] = "after";
		memcpy(path + 1, column->path, sizeof(char *) * column->npath);
		column->path = path;
		column->npath++;
		column->any_case = false;
	}
}

void
streaming_changes_end(StreamingStream *stream)
{
	read_keys(stream);
	refuse_watermark(stream);
	if (stream->changes == STREAMING_CHANGES_DEBEZIUM)
		read_envelope(stream);
}
