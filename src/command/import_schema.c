/*
 * import_schema.c
 *		IMPORT FOREIGN SCHEMA: foreign tables found by looking.
 *
 * PostgreSQL asks for the text of CREATE FOREIGN TABLE commands and runs those that
 * LIMIT TO and EXCEPT leave, as the user.  Who looks at files or topics reads them: it
 * takes the rights that a foreign table takes.
 */
#include "postgres.h"

#include "streaming.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "command/import_schema.h"
#include "base/settings.h"

List *
streaming_import_schema(ImportForeignSchemaStmt *stmt, Oid serverOid)
{
	ForeignServer *server = GetForeignServer(serverOid);
	StreamingSourceKind kind;

	streaming_require_loaded();
	if (!streaming_wrapper_kind(server->fdwid, &kind) || kind == STREAMING_SOURCE_PUSH)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
				 errmsg("cannot import a schema from server \"%s\"", server->servername),
				 errdetail("Its streams have the rows that are inserted into them."),
				 errhint("Use CREATE FOREIGN TABLE.")));
	if (stmt->options != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", ((DefElem *) linitial(stmt->options))->defname),
				 errhint("There are no valid options in this context.")));
	return kind == STREAMING_SOURCE_KAFKA ? streaming_import_kafka(stmt, server) :
		streaming_import_directory(stmt, server);
}

StreamingStream *
streaming_import_stream(ForeignServer *server, const char *what)
{
	StreamingStream *stream = streaming_stream_of_server(server->serverid, GetUserId());

	stream->owner = GetUserId();
	stream->name = pstrdup(what);
	stream->tupdesc = CreateTemplateTupleDesc(0);
	TupleDescFinalize(stream->tupdesc);
	stream->columns = palloc0(sizeof(StreamingColumn));
	stream->format = "json";
	stream->settings = streaming_settings_of_records();
	return stream;
}

char *
streaming_import_command(const char *table, StreamingSample *sample, ForeignServer *server,
						 const char *options)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s (", quote_identifier(table));
	if (!streaming_sample_columns(sample, &sql))
	{
		ereport(WARNING,
				(errmsg("foreign table \"%s\" is not created", table),
				 errdetail("None of the records that were looked at tells of a column.")));
		return NULL;
	}
	appendStringInfo(&sql, ") SERVER %s OPTIONS (%s)",
					 quote_identifier(server->servername), options);
	return sql.data;
}
