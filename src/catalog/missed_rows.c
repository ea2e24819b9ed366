/*
 * missed_rows.c
 *		streaming_internal.missed_rows: records that views have passed without a row.
 *
 * A record that cannot be decoded is in streaming.rejected_rows once, whoever reads the
 * stream.  Which views are without it is another matter: one that begins behind it never
 * wanted it, one that has yet to come to it may find it mended, and one that reads the
 * source itself after it was mended has it already.  So each view writes down what it
 * passes, in the transaction of the batch that does:
 *
 *		rejected_rows	stream, partition, position		payload, why
 *		missed_rows		stream, partition, position, view
 *
 * streaming.retry_rejected (command/retry_rejected.c) moves the payload of a record
 * that is good now from there to here, for each view that is without it.  The view's next
 * batch takes these rows (input/input_retried.c) and deletes them.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/internal.h"
#include "catalog/missed_rows.h"

static void execute(const char *sql, int nargs, Oid *types, Datum *args, int expected);

/* The list is cut when it has twice as many as are to stay. */
void
streaming_missed_add(StreamingMissed *missed, int32 partition, int64 offset)
{
	int64		limit = streaming_rejected_limit;

	if (limit == 0)
		return;
	if (limit > 0 && missed->n >= 2 * limit)
	{
		memmove(missed->records, missed->records + missed->n - limit,
				sizeof(StreamingPosition) * limit);
		missed->n = limit;
	}
	if (missed->n == missed->allocated)
	{
		missed->allocated = Max(missed->allocated * 2, 16);
		if (missed->records == NULL)
			missed->records = palloc(sizeof(StreamingPosition) * missed->allocated);
		else
			missed->records = repalloc_huge(missed->records,
											sizeof(StreamingPosition) * missed->allocated);
	}
	missed->records[missed->n++] = (StreamingPosition) {partition, offset};
}

void
streaming_missed_write(Oid view, Oid stream, StreamingSourceKind kind,
					   const StreamingMissed *missed)
{
	static const char *const sql =
		"INSERT INTO " STREAMING_INTERNAL_SCHEMA ".missed_rows (stream, partition, position, view)"
		" SELECT r.stream, r.partition, r.position, $1"
		" FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4)) AS m (partition, position)"
		" JOIN " STREAMING_SCHEMA ".rejected_rows r USING (partition, position)"
		" WHERE r.stream = $2 AND r.whole ON CONFLICT DO NOTHING";
	const int	most = 10000;
	Oid			types[4] = {OIDOID, OIDOID, TEXTARRAYOID, TEXTARRAYOID};
	StreamingOwnerRights rights;

	if (missed->n == 0)
		return;
	streaming_owner_rights_begin(&rights);
	for (int from = 0; from < missed->n; from += most)
	{
		int			n = Min(missed->n - from, most);
		Datum	   *partitions = palloc(sizeof(Datum) * n);
		Datum	   *positions = palloc(sizeof(Datum) * n);
		Datum		args[4] = {ObjectIdGetDatum(view), ObjectIdGetDatum(stream)};

		for (int i = 0; i < n; i++)
		{
			const StreamingPosition *record = &missed->records[from + i];

			partitions[i] = CStringGetTextDatum(psprintf("%d", record->partition));
			positions[i] = CStringGetTextDatum(streaming_position_out(kind, record->offset));
		}
		args[2] = PointerGetDatum(construct_array(partitions, n, TEXTOID, -1, false, TYPALIGN_INT));
		args[3] = PointerGetDatum(construct_array(positions, n, TEXTOID, -1, false, TYPALIGN_INT));
		execute(sql, lengthof(args), types, args, SPI_OK_INSERT);
	}
	streaming_owner_rights_end(&rights);
}

bool
streaming_missed_has_retried(Oid view, Oid stream)
{
	Oid			types[2] = {OIDOID, OIDOID};
	Datum		args[2] = {ObjectIdGetDatum(view), ObjectIdGetDatum(stream)};
	StreamingOwnerRights rights;
	bool		found;

	streaming_owner_rights_begin(&rights);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT FROM " STREAMING_INTERNAL_SCHEMA ".missed_rows"
							  " WHERE view = $1 AND stream = $2 AND retried IS NOT NULL LIMIT 1",
							  lengthof(args), types, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read %s.missed_rows", STREAMING_INTERNAL_SCHEMA);
	found = SPI_processed > 0;
	SPI_finish();
	streaming_owner_rights_end(&rights);
	return found;
}

/* What another transaction is at is left to it, so that nobody waits for a batch. */
void
streaming_missed_clean(Oid stream)
{
	Oid			types[1] = {OIDOID};
	Datum		args[1] = {ObjectIdGetDatum(stream)};

	execute("DELETE FROM " STREAMING_INTERNAL_SCHEMA ".missed_rows WHERE ctid = ANY (ARRAY("
			"SELECT m.ctid FROM " STREAMING_INTERNAL_SCHEMA ".missed_rows m"
			" WHERE m.stream = $1 AND m.retried IS NULL AND NOT EXISTS ("
			"SELECT FROM " STREAMING_SCHEMA ".rejected_rows r WHERE r.stream = m.stream"
			" AND r.partition = m.partition AND r.position = m.position)"
			" FOR UPDATE SKIP LOCKED))",
			lengthof(args), types, args, SPI_OK_DELETE);
}

void
streaming_missed_forget(Oid view)
{
	Oid			types[1] = {OIDOID};
	Datum		args[1] = {ObjectIdGetDatum(view)};

	execute("DELETE FROM " STREAMING_INTERNAL_SCHEMA ".missed_rows WHERE view = $1",
			lengthof(args), types, args, SPI_OK_DELETE);
}

static void
execute(const char *sql, int nargs, Oid *types, Datum *args, int expected)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(sql, nargs, types, args, NULL, false, 0) != expected)
		elog(ERROR, "could not write to %s.missed_rows", STREAMING_INTERNAL_SCHEMA);
	SPI_finish();
}
