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
 * anew, nor what it has written itself and rolled back; neither does harm.  With a row go
 * those of the views that have passed it (missed_rows.h); what a view writes down at that
 * moment stays until the next retry.
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

#include "catalog/checkpoint.h"
#include "catalog/view.h"
#include "catalog/internal.h"
#include "catalog/missed_rows.h"
#include "catalog/position.h"
#include "format/reject.h"

/* A statement takes no more than this; an array must stay below 1 GB. */
#define MAX_ROWS	1000
#define MAX_BYTES	(16 * 1024 * 1024)

/* Columns that each record has its own value of. */
enum
{
	COLUMN_PARTITION,
	COLUMN_POSITION,
	COLUMN_PATH,
	COLUMN_PAYLOAD,
	COLUMN_KEY,
	COLUMN_SENT_MS,
	COLUMN_WHOLE,
	COLUMN_ERROR,
	COLUMN_NAME,
	COLUMN_SQLSTATE,
	NCOLUMNS
};

static const struct
{
	Oid			type;
	Oid			array;
}			columns[NCOLUMNS] = {
	{TEXTOID, TEXTARRAYOID}, {TEXTOID, TEXTARRAYOID}, {TEXTOID, TEXTARRAYOID},
	{BYTEAOID, BYTEAARRAYOID}, {BYTEAOID, BYTEAARRAYOID}, {INT8OID, INT8ARRAYOID},
	{BOOLOID, BOOLARRAYOID}, {TEXTOID, TEXTARRAYOID}, {TEXTOID, TEXTARRAYOID},
	{TEXTOID, TEXTARRAYOID},
};

PG_FUNCTION_INFO_V1(streaming_delete_rejected_rows);

/* The stream whose rows were counted last, and how many it has. */
static Oid	counted_stream = InvalidOid;
static int64 counted_rows;

static void keep_limit(Oid stream, int64 inserted);
static int64 count_rows(Oid stream, int64 max);
static void delete_oldest(Oid stream, int64 keep);
static int64 insert_some(const StreamingStream *stream, const StreamingReject *rejects,
						 int n);
static void set_values(const StreamingStream *stream, const StreamingReject *reject,
					   Datum *values, bool *isnull);
static Datum bytes_datum(const char *bytes, size_t length, bool *isnull);
static Datum text_datum(const char *text, bool *isnull);
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
	if (SPI_execute_with_args("WITH gone AS (DELETE FROM " STREAMING_SCHEMA ".rejected_rows"
							  " WHERE ctid = ANY (ARRAY(SELECT ctid FROM " STREAMING_SCHEMA
							  ".rejected_rows WHERE stream = $1"
							  " ORDER BY rejected_at DESC, ctid DESC OFFSET $2))"
							  " RETURNING stream, partition, position)"
							  " DELETE FROM " STREAMING_INTERNAL_SCHEMA ".missed_rows"
							  " WHERE ctid = ANY (ARRAY(SELECT m.ctid FROM gone JOIN "
							  STREAMING_INTERNAL_SCHEMA ".missed_rows m"
							  " USING (stream, partition, position) WHERE m.retried IS NULL"
							  " FOR UPDATE OF m SKIP LOCKED))",
							  lengthof(args), types, args, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from %s.rejected_rows", STREAMING_SCHEMA);
	SPI_finish();
}

static int64
insert_some(const StreamingStream *stream, const StreamingReject *rejects, int n)
{
	static const char *const sql =
		"INSERT INTO " STREAMING_SCHEMA ".rejected_rows"
		" (stream, partition, position, path, payload, key, sent_ms, whole, error,"
		" column_name, sqlstate)"
		" SELECT $1, r.* FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),"
		" pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9),"
		" pg_catalog.unnest($10), pg_catalog.unnest($11)) AS r"
		" ON CONFLICT DO NOTHING";
	Oid			types[NCOLUMNS + 1] = {OIDOID};
	Datum		args[NCOLUMNS + 1] = {ObjectIdGetDatum(stream->relid)};
	Datum		record[NCOLUMNS];
	bool		record_isnull[NCOLUMNS];
	Datum	   *values[NCOLUMNS];
	bool	   *isnull[NCOLUMNS];
	int64		inserted;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (int i = 0; i < NCOLUMNS; i++)
	{
		values[i] = palloc(sizeof(Datum) * n);
		isnull[i] = palloc(sizeof(bool) * n);
	}
	for (int k = 0; k < n; k++)
	{
		set_values(stream, &rejects[k], record, record_isnull);
		for (int i = 0; i < NCOLUMNS; i++)
		{
			values[i][k] = record[i];
			isnull[i][k] = record_isnull[i];
		}
	}
	for (int i = 0; i < NCOLUMNS; i++)
	{
		args[i + 1] = make_array(values[i], isnull[i], n, columns[i].type);
		types[i + 1] = columns[i].array;
	}
	if (SPI_execute_with_args(sql, NCOLUMNS + 1, types, args, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write to %s.rejected_rows", STREAMING_SCHEMA);
	inserted = SPI_processed;
	SPI_finish();
	return inserted;
}

static void
set_values(const StreamingStream *stream, const StreamingReject *reject,
		   Datum *values, bool *isnull)
{
	memset(isnull, false, sizeof(bool) * NCOLUMNS);
	values[COLUMN_PARTITION] = CStringGetTextDatum(psprintf("%d", reject->partition));
	values[COLUMN_POSITION] = CStringGetTextDatum(streaming_position_out(stream->kind,
																		 reject->offset));
	values[COLUMN_PATH] = text_datum(reject->path, &isnull[COLUMN_PATH]);
	values[COLUMN_PAYLOAD] = bytes_datum(reject->payload, reject->length,
										 &isnull[COLUMN_PAYLOAD]);
	values[COLUMN_KEY] = bytes_datum(reject->key, reject->key_length, &isnull[COLUMN_KEY]);
	values[COLUMN_SENT_MS] = Int64GetDatum(reject->timestamp_ms);
	isnull[COLUMN_SENT_MS] = stream->kind != STREAMING_SOURCE_KAFKA || reject->timestamp_ms < 0;
	values[COLUMN_WHOLE] = BoolGetDatum(reject->whole);
	values[COLUMN_ERROR] = CStringGetTextDatum(reject->message);
	values[COLUMN_NAME] = text_datum(reject->column, &isnull[COLUMN_NAME]);
	values[COLUMN_SQLSTATE] = CStringGetTextDatum(unpack_sql_state(reject->sqlerrcode));
}

static Datum
bytes_datum(const char *bytes, size_t length, bool *isnull)
{
	*isnull = bytes == NULL;
	return bytes == NULL ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(bytes, length));
}

static Datum
text_datum(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static Datum
make_array(Datum *values, bool *isnull, int n, Oid type)
{
	int			dim = n;
	int			lower = 1;
	int16		length;
	bool		byval;
	char		align;

	get_typlenbyvalalign(type, &length, &byval, &align);
	return PointerGetDatum(construct_md_array(values, isnull, 1, &dim, &lower, type,
											  length, byval, align));
}

/* A varlena's bytes, with a zero behind them; NULL if it is NULL. */
static char *
get_bytes(HeapTuple row, TupleDesc desc, int attno, size_t *length)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, attno, &isnull);
	bytea	   *bytes;
	char	   *result;

	*length = 0;
	if (isnull)
		return NULL;
	bytes = DatumGetByteaPP(value);
	*length = VARSIZE_ANY_EXHDR(bytes);
	result = palloc(*length + 1);
	memcpy(result, VARDATA_ANY(bytes), *length);
	result[*length] = '\0';
	return result;
}

void
streaming_read_kept(StreamingSourceKind kind, HeapTuple row, TupleDesc desc,
					StreamingRecord *record)
{
	StreamingCheckpoint place = {.partition = SPI_getvalue(row, desc, 1)};
	size_t		length;
	bool		isnull;

	memset(record, 0, sizeof(*record));
	record->partition = streaming_checkpoint_partition(&place);
	record->offset = streaming_position_in(kind, SPI_getvalue(row, desc, 2));
	record->path = get_bytes(row, desc, 3, &length);
	record->payload = get_bytes(row, desc, 4, &record->length);
	record->key = get_bytes(row, desc, 5, &record->key_length);
	record->timestamp_ms = DatumGetInt64(SPI_getbinval(row, desc, 6, &isnull));
	if (isnull)
		record->timestamp_ms = -1;
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
	streaming_missed_clean(stream);
	streaming_owner_rights_end(&rights);
	PG_RETURN_INT64(deleted);
}
