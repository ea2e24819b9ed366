/*
 * retry_rejected.c
 *		streaming.retry_rejected: decodes the rejected records of a stream again.
 *
 * What has mended them may be ALTER FOREIGN TABLE, another domain, a schema in a registry.
 * Those that are good now leave streaming.rejected_rows, and each view that is without
 * them gets them, once:
 *
 *		passed it without a row		its row of missed_rows gets the payload, and its next
 *									batch takes that (input/input_retried.c)
 *		has not come to it yet		finds it in the source, as it is now
 *		has read it since it is good	has no row of missed_rows
 *		begins later				finds it in the source
 *
 * That is decided while nobody reads the stream: the lock keeps out batches and the
 * ingest worker, so each checkpoint is either before a record or behind it.  What the
 * buffer holds was decoded when the record was bad, and is thrown away, so that no view
 * passes it there later; that costs reading the source again, and an abort no more.
 *
 * A batch of records has none of what the source tells besides: streams with columns of
 * such are refused, since they would get other rows than a reader of the source.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "buffer/buffer.h"
#include "catalog/internal.h"
#include "catalog/missed_rows.h"
#include "catalog/view.h"
#include "format/copy_record.h"
#include "format/reject.h"
#include "shared/notify.h"
#include "worker/worker.h"

/*
 * Records that are looked at at a time, at most: so many that, if they are as long as those
 * before them, they have no more than so many bytes.
 */
#define BLOCK_RECORDS	50
#define FIRST_RECORDS	10
#define BLOCK_BYTES		(16 * 1024 * 1024)

PG_FUNCTION_INFO_V1(streaming_retry_rejected);

/* Arrays of text, as arguments of a statement. */
/* Of a row, as streaming.rejected_rows has it. */
typedef struct Place
{
	char	   *partition;
	char	   *position;
} Place;

typedef struct TextColumns
{
	int			n;
	Datum	   *values[5];
	bool	   *isnull[5];
} TextColumns;

static void check_stream(Oid relid, StreamingSourceKind *kind);
static void check_isolation(void);
static void refuse_metadata(const StreamingStream *stream);
static void refuse_format(const StreamingStream *stream);
static int64 retry_all(StreamingStream *stream);
static void clean(const StreamingStream *stream);
static SPITupleTable *next_rows(const StreamingStream *stream, Place *last, int n);
static int64 retry_block(StreamingStream *stream, StreamingDecoder *decoder,
						 SPITupleTable *rows, int n, int *next);
static void hand_over(const StreamingStream *stream, const StreamingRecord *records,
					  const StreamingReject *rejects, int n, int nrejects);
static void put_errors(const StreamingStream *stream, const StreamingReject *rejects, int n);
static void make_columns(TextColumns *columns, int ncolumns, int n);
static void put_place(const StreamingStream *stream, TextColumns *columns, int32 partition,
					  int64 offset);
static void put_text(TextColumns *columns, int column, const char *text);
static void execute(const char *sql, const StreamingStream *stream, const TextColumns *columns,
					int ncolumns, int expected);
static void renew_readers(Oid relid);

/* streaming.retry_rejected(stream regclass) returns bigint: how many are good now */
Datum
streaming_retry_rejected(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	StreamingSourceKind kind;
	StreamingStream *stream;
	int64		good;

	streaming_require_loaded();
	streaming_refuse_in_batch("streaming.retry_rejected()");
	/* before the lock, and after it, since it may have changed hands meanwhile */
	check_stream(relid, &kind);
	check_isolation();
	LockRelationOid(relid, AccessExclusiveLock);
	check_stream(relid, &kind);
	stream = streaming_stream_open(relid, streaming_relation_owner(relid, false));
	refuse_metadata(stream);
	refuse_format(stream);
	/* here nothing waits behind a record */
	if (stream->on_error == STREAMING_ON_ERROR_STOP)
		stream->on_error = STREAMING_ON_ERROR_REJECT;
	good = retry_all(stream);
	if (good > 0)
		renew_readers(relid);
	streaming_stop_point("rejected_retried");
	PG_RETURN_INT64(good);
}

static void
check_stream(Oid relid, StreamingSourceKind *kind)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!streaming_is_stream(relid, kind))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a stream", name)));
	if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), name);
	if (*kind == STREAMING_SOURCE_PUSH)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stream \"%s\" has no records that could be decoded again", name),
				 errdetail("Rows come into it by INSERT and COPY, which fail where a value is none.")));
}

/* How far the views are must be known as of now, with the lock. */
static void
check_isolation(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot retry rejected records in a transaction of isolation level REPEATABLE READ or SERIALIZABLE"),
				 errhint("Call the function in a transaction of its own.")));
}

#define RESET_HINT "Call streaming.reset() for the views of the stream when it is mended: they then read the source again."

static void
refuse_metadata(const StreamingStream *stream)
{
	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		const StreamingColumn *column = &stream->columns[i];

		if (column->dropped)
			continue;
		if (column->metadata == STREAMING_META_HEADERS || column->metadata == STREAMING_META_MTIME ||
			column->metadata == STREAMING_META_SIZE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("rejected records of stream %s cannot be retried", stream->name),
					 errdetail("Column \"%s\" shows what streaming.rejected_rows does not keep of a record.",
							   column->name),
					 errhint(RESET_HINT)));
	}
}

/*
 * Records that mean something only where they were: behind the beginning of their file, or
 * before the next record of their key.
 */
static void
refuse_format(const StreamingStream *stream)
{
	const char *header = streaming_copy_option(stream, "header");
	const char *why = NULL;

	if (stream->changes != STREAMING_CHANGES_APPEND)
		why = "A record could undo what later ones have changed.";
	else if (stream->kind != STREAMING_SOURCE_DIRECTORY)
		return;
	else if (pg_strcasecmp(stream->format, "avro") == 0 ||
			 pg_strcasecmp(stream->format, "parquet") == 0 ||
			 pg_strcasecmp(stream->format, "arrow") == 0 ||
			 pg_strcasecmp(stream->format, "orc") == 0)
		why = "Records of such files have no meaning without their file.";
	else if (pg_strcasecmp(stream->format, "csv") == 0 && header &&
			 pg_strcasecmp(header, "match") == 0)
		why = "Whether the header of their file matches is not known of single records.";
	if (why)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rejected records of stream %s cannot be retried", stream->name),
				 errdetail("%s", why),
				 errhint(RESET_HINT)));
}

static int64
retry_all(StreamingStream *stream)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "streaming retry",
												  ALLOCSET_DEFAULT_SIZES);
	StreamingDecoder *decoder = streaming_decoder_open(stream, NULL);
	Place		last = {"", ""};
	int			n = FIRST_RECORDS;
	int64		good = 0;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	for (;;)
	{
		MemoryContext old;
		SPITupleTable *rows = next_rows(stream, &last, n);
		int			nrows = rows->numvals;

		CHECK_FOR_INTERRUPTS();
		if (nrows == 0)
			break;
		old = MemoryContextSwitchTo(context);
		good += retry_block(stream, decoder, rows, nrows, &n);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		SPI_freetuptable(rows);
	}
	SPI_finish();
	clean(stream);
	MemoryContextDelete(context);
	return good;
}

/* What views have passed that nobody keeps any more: nobody writes there now. */
static void
clean(const StreamingStream *stream)
{
	StreamingOwnerRights rights;

	streaming_owner_rights_begin(&rights);
	streaming_missed_clean(stream->relid);
	streaming_owner_rights_end(&rights);
}

/*
 * The next n rows behind *last, which is moved.  No cursor: what users wrote runs in
 * between, and may close or move any that is open.
 */
static SPITupleTable *
next_rows(const StreamingStream *stream, Place *last, int n)
{
	Oid			types[4] = {OIDOID, TEXTOID, TEXTOID, INT4OID};
	Datum		args[4] = {ObjectIdGetDatum(stream->relid), CStringGetTextDatum(last->partition),
		CStringGetTextDatum(last->position), Int32GetDatum(n)};
	StreamingOwnerRights rights;
	SPITupleTable *rows;

	streaming_owner_rights_begin(&rights);
	if (SPI_execute_with_args("SELECT " STREAMING_KEPT_COLUMNS " FROM " STREAMING_SCHEMA ".rejected_rows"
							  " WHERE stream = $1 AND whole AND (partition, position) > ($2, $3)"
							  " ORDER BY partition, position LIMIT $4",
							  lengthof(args), types, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read %s.rejected_rows", STREAMING_SCHEMA);
	streaming_owner_rights_end(&rights);
	rows = SPI_tuptable;
	if (rows->numvals > 0)
	{
		HeapTuple	row = rows->vals[rows->numvals - 1];

		last->partition = SPI_getvalue(row, rows->tupdesc, 1);
		last->position = SPI_getvalue(row, rows->tupdesc, 2);
	}
	return rows;
}

/*
 * How many of n records are good; *next: how many to look at then.  In memory that is reset
 * afterwards.
 */
static int64
retry_block(StreamingStream *stream, StreamingDecoder *decoder, SPITupleTable *rows, int n,
			int *next)
{
	int			natts = Max(stream->tupdesc->natts, 1);
	StreamingRecord *records = palloc(sizeof(StreamingRecord) * n);
	Datum	   *values = palloc(sizeof(Datum) * natts * n);
	bool	   *isnull = palloc(sizeof(bool) * natts * n);
	bool	   *result = palloc(sizeof(bool) * n);
	StreamingReject *rejects = NULL;
	int			nrejects = 0;
	size_t		bytes = n;
	StreamingOwnerRights rights;

	for (int i = 0; i < n; i++)
	{
		streaming_read_kept(stream->kind, rows->vals[i], rows->tupdesc, &records[i]);
		bytes += records[i].length;
	}
	*next = Max(1, Min(BLOCK_RECORDS, BLOCK_BYTES / (bytes / n)));
	streaming_decode(decoder, records, n, values, isnull, result, &rejects, &nrejects);
	streaming_owner_rights_begin(&rights);
	if (nrejects < n)
		hand_over(stream, records, rejects, n, nrejects);
	if (nrejects > 0)
		put_errors(stream, rejects, nrejects);
	streaming_owner_rights_end(&rights);
	return n - nrejects;
}

/* Those of the records that are not among the rejects, which are in the same order. */
static void
hand_over(const StreamingStream *stream, const StreamingRecord *records,
		  const StreamingReject *rejects, int n, int nrejects)
{
	TextColumns places;
	int			reject = 0;

	make_columns(&places, 2, n - nrejects);
	for (int i = 0; i < n; i++)
	{
		if (reject < nrejects && rejects[reject].partition == records[i].partition &&
			rejects[reject].offset == records[i].offset)
			reject++;
		else
			put_place(stream, &places, records[i].partition, records[i].offset);
	}
	execute("UPDATE " STREAMING_INTERNAL_SCHEMA ".missed_rows m"
			" SET retried = pg_catalog.pg_current_xact_id()::pg_catalog.text::pg_catalog.int8,"
			" path = r.path, payload = r.payload, key = r.key, sent_ms = r.sent_ms"
			" FROM " STREAMING_SCHEMA ".rejected_rows r"
			" JOIN ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS g (partition, position)"
			" USING (partition, position)"
			" WHERE r.stream = $1 AND m.stream = $1 AND m.partition = r.partition"
			" AND m.position = r.position AND m.retried IS NULL",
			stream, &places, 2, SPI_OK_UPDATE);
	execute("DELETE FROM " STREAMING_SCHEMA ".rejected_rows r"
			" USING ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS g (partition, position)"
			" WHERE r.stream = $1 AND r.partition = g.partition AND r.position = g.position",
			stream, &places, 2, SPI_OK_DELETE);
}

static void
put_errors(const StreamingStream *stream, const StreamingReject *rejects, int n)
{
	TextColumns columns;

	make_columns(&columns, 5, n);
	for (int i = 0; i < n; i++)
	{
		put_text(&columns, 2, rejects[i].message);
		put_text(&columns, 3, rejects[i].column);
		put_text(&columns, 4, unpack_sql_state(rejects[i].sqlerrcode));
		put_place(stream, &columns, rejects[i].partition, rejects[i].offset);
	}
	execute("UPDATE " STREAMING_SCHEMA ".rejected_rows r"
			" SET error = b.error, column_name = b.column_name, sqlstate = b.sqlstate"
			" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
			" pg_catalog.unnest($5), pg_catalog.unnest($6))"
			" AS b (partition, position, error, column_name, sqlstate)"
			" WHERE r.stream = $1 AND r.partition = b.partition AND r.position = b.position",
			stream, &columns, 5, SPI_OK_UPDATE);
}

/* Room for n rows. */
static void
make_columns(TextColumns *columns, int ncolumns, int n)
{
	columns->n = 0;
	for (int i = 0; i < ncolumns; i++)
	{
		columns->values[i] = palloc(sizeof(Datum) * n);
		columns->isnull[i] = palloc(sizeof(bool) * n);
	}
}

static void
put_text(TextColumns *columns, int column, const char *text)
{
	columns->isnull[column][columns->n] = text == NULL;
	columns->values[column][columns->n] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* The first two columns, and the end of the row. */
static void
put_place(const StreamingStream *stream, TextColumns *columns, int32 partition, int64 offset)
{
	put_text(columns, 0, psprintf("%d", partition));
	put_text(columns, 1, streaming_position_out(stream->kind, offset));
	columns->n++;
}

/* $1: the stream; $2 and so on: the columns. */
static void
execute(const char *sql, const StreamingStream *stream, const TextColumns *columns,
		int ncolumns, int expected)
{
	Oid			types[6] = {OIDOID};
	Datum		args[6] = {ObjectIdGetDatum(stream->relid)};
	int			n = columns->n;
	int			lower = 1;

	for (int i = 0; i < ncolumns; i++)
	{
		types[i + 1] = TEXTARRAYOID;
		args[i + 1] = PointerGetDatum(construct_md_array(columns->values[i], columns->isnull[i], 1,
														 &n, &lower, TEXTOID, -1, false,
														 TYPALIGN_INT));
	}
	if (SPI_execute_with_args(sql, ncolumns + 1, types, args, NULL, false, 0) != expected)
		elog(ERROR, "could not retry rejected records of stream %s", stream->name);
}

/*
 * Nobody is to pass the records in the buffer: when our lock is gone the ingest worker
 * begins another one.  At commit the views look for what they have got, as after ALTER
 * FOREIGN TABLE.
 */
static void
renew_readers(Oid relid)
{
	StreamingStreamShared *shared = streaming_stream_use(relid);

	streaming_buffer_doubt(shared);
	streaming_stream_release(shared);
	CacheInvalidateRelcacheByRelid(relid);
	streaming_workers_notify();
}
