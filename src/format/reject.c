/*
 * reject.c
 *		streaming.rejected_rows: records that could not be decoded.
 *
 * Who reads a record first, the ingest worker or a view that reads the source
 * on its own, writes it here; the unique key (stream, partition, position)
 * keeps those that are read again from coming twice.  The ingest worker's
 * commit comes before rows behind the record are shown to a reader, so in WAL
 * it precedes every checkpoint that passes the record: no crash can leave a
 * checkpoint behind a record that is neither taken nor kept here.
 *
 * Of a stream no more than streaming.rejected_limit are kept.  When there are more
 * the oldest are deleted, and an eighth of the limit with them, so that who rejects
 * one after the other looks for the oldest once in so many; then the stream's rows
 * are read, which are as many as the limit.  A process counts the rows once and
 * goes on from there.  What others write meanwhile it does not see before it counts
 * anew, nor what it has written itself and rolled back; neither does harm.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/view.h"
#include "catalog/internal.h"
#include "catalog/position.h"
#include "format/reject.h"

/* A statement takes no more than this; an array must stay below 1 GB. */
#define MAX_ROWS	1000
#define MAX_BYTES	(16 * 1024 * 1024)

/* Of a record: partition, position, path, payload, error, column_name, sqlstate. */
#define NCOLUMNS	7

PG_FUNCTION_INFO_V1(streaming_delete_rejected_rows);

/* The stream whose rows were counted last, and how many it has. */
static Oid	counted_stream = InvalidOid;
static int64 counted_rows;

static void keep_limit(Oid stream, int64 inserted);
static int64 count_rows(Oid stream, int64 max);
static void delete_oldest(Oid stream, int64 keep);
static int64 insert_some(const StreamingStream *stream, const StreamingReject *rejects,
						 int n);
static Datum make_array(Datum *values, bool *isnull, int n, Oid type);

int64
streaming_reject(const StreamingStream *stream, const StreamingReject *rejects, int nrejects)
{
	StreamingOwnerRights rights;
	int64		inserted = 0;
	int			passed = 0;

	if (nrejects == 0)
		return 0;
	if (streaming_rejected_limit >= 0)
		passed = Max(nrejects - streaming_rejected_limit, 0);

	streaming_owner_rights_begin(&rights);
	for (int from = passed; from < nrejects;)
	{
		int			n = 0;
		size_t		bytes = 0;

		while (from + n < nrejects && n < MAX_ROWS && (n == 0 || bytes < MAX_BYTES))
			bytes += rejects[from + n++].length;
		inserted += insert_some(stream, rejects + from, n);
		from += n;
	}
	if (streaming_rejected_limit > 0)
		keep_limit(stream->relid, inserted);
	else
		counted_stream = InvalidOid;
	streaming_owner_rights_end(&rights);
	return passed + inserted;
}

/* inserted: rows that have just come to those of stream. */
static void
keep_limit(Oid stream, int64 inserted)
{
	int			limit = streaming_rejected_limit;

	if (counted_stream == stream)
		counted_rows += inserted;
	else
		counted_rows = count_rows(stream, (int64) limit + 1);
	counted_stream = stream;
	if (counted_rows > limit)
	{
		counted_stream = InvalidOid;	/* should that fail */
		delete_oldest(stream, limit - limit / 8);
		counted_rows = count_rows(stream, limit);
		counted_stream = stream;
	}
}

/* Looks at no more than max of them. */
static int64
count_rows(Oid stream, int64 max)
{
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		args[2] = {ObjectIdGetDatum(stream), Int64GetDatum(max)};
	int64		count;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT FROM " STREAMING_SCHEMA ".rejected_rows"
							  " WHERE stream = $1 LIMIT $2",
							  lengthof(args), types, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read %s.rejected_rows", STREAMING_SCHEMA);
	count = SPI_processed;
	SPI_finish();
	return count;
}

/* What was written in one transaction is about as old as it is high in the table. */
static void
delete_oldest(Oid stream, int64 keep)
{
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		args[2] = {ObjectIdGetDatum(stream), Int64GetDatum(keep)};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("DELETE FROM " STREAMING_SCHEMA ".rejected_rows"
							  " WHERE ctid = ANY (ARRAY(SELECT ctid FROM " STREAMING_SCHEMA
							  ".rejected_rows WHERE stream = $1"
							  " ORDER BY rejected_at DESC, ctid DESC OFFSET $2))",
							  lengthof(args), types, args, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from %s.rejected_rows", STREAMING_SCHEMA);
	SPI_finish();
}

static int64
insert_some(const StreamingStream *stream, const StreamingReject *rejects, int n)
{
	static const char *const sql =
		"INSERT INTO " STREAMING_SCHEMA ".rejected_rows"
		" (stream, partition, position, path, payload, error, column_name, sqlstate)"
		" SELECT $1, r.* FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),"
		" pg_catalog.unnest($7), pg_catalog.unnest($8)) AS r"
		" ON CONFLICT DO NOTHING";
	Oid			types[NCOLUMNS + 1] = {OIDOID};
	Datum		args[NCOLUMNS + 1] = {ObjectIdGetDatum(stream->relid)};
	Datum	   *values[NCOLUMNS];
	bool	   *isnull[NCOLUMNS];
	int64		inserted;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (int i = 0; i < NCOLUMNS; i++)
	{
		values[i] = palloc0(sizeof(Datum) * n);
		isnull[i] = palloc0(sizeof(bool) * n);
	}
	for (int i = 0; i < n; i++)
	{
		const StreamingReject *reject = &rejects[i];

		values[0][i] = CStringGetTextDatum(psprintf("%d", reject->partition));
		values[1][i] = CStringGetTextDatum(streaming_position_out(stream->kind, reject->offset));
		isnull[2][i] = reject->path == NULL;
		if (reject->path)
			values[2][i] = CStringGetTextDatum(reject->path);
		isnull[3][i] = reject->payload == NULL;
		if (reject->payload)
			values[3][i] = PointerGetDatum(cstring_to_text_with_len(reject->payload,
																	reject->length));
		values[4][i] = CStringGetTextDatum(reject->message);
		isnull[5][i] = reject->column == NULL;
		if (reject->column)
			values[5][i] = CStringGetTextDatum(reject->column);
		values[6][i] = CStringGetTextDatum(unpack_sql_state(reject->sqlerrcode));
	}
	for (int i = 0; i < NCOLUMNS; i++)
	{
		args[i + 1] = make_array(values[i], isnull[i], n, i == 3 ? BYTEAOID : TEXTOID);
		types[i + 1] = i == 3 ? BYTEAARRAYOID : TEXTARRAYOID;
	}
	if (SPI_execute_with_args(sql, NCOLUMNS + 1, types, args, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write to %s.rejected_rows", STREAMING_SCHEMA);
	inserted = SPI_processed;
	SPI_finish();
	return inserted;
}

/* Both types are varlena with alignment 'i'. */
static Datum
make_array(Datum *values, bool *isnull, int n, Oid type)
{
	int			dim = n;
	int			lower = 1;

	return PointerGetDatum(construct_md_array(values, isnull, 1, &dim, &lower, type,
											  -1, false, TYPALIGN_INT));
}

/*
 * streaming.delete_rejected_rows(stream regclass, before timestamptz) returns bigint
 *
 * Nobody has the right to DELETE from the table: who has it may also lock the
 * table, for which the ingest workers of all streams would wait.
 */
Datum
streaming_delete_rejected_rows(PG_FUNCTION_ARGS)
{
	Oid			stream = PG_GETARG_OID(0);
	char	   *name = get_rel_name(stream);
	Oid			types[2] = {OIDOID, TIMESTAMPTZOID};
	Datum		args[2] = {ObjectIdGetDatum(stream), PG_GETARG_DATUM(1)};
	StreamingOwnerRights rights;
	int64		deleted;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", stream)));
	if (!object_ownercheck(RelationRelationId, stream, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(stream)), name);

	streaming_owner_rights_begin(&rights);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("DELETE FROM " STREAMING_SCHEMA ".rejected_rows"
							  " WHERE stream = $1 AND rejected_at < $2",
							  lengthof(args), types, args, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from %s.rejected_rows", STREAMING_SCHEMA);
	deleted = SPI_processed;
	SPI_finish();
	streaming_owner_rights_end(&rights);
	PG_RETURN_INT64(deleted);
}
