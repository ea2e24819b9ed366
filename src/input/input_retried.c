/*
 * input_retried.c
 *		A batch of records that the view has passed and that have been retried since.
 *
 * streaming.retry_rejected has found that they can be decoded now, and has put them
 * down for the view (catalog/missed_rows.c).  They make a batch that moves no position:
 * it takes them from there, and its commit deletes them.  They are decoded once more, since
 * each view reads columns of its own; one that is bad again, because something has
 * changed once more, is rejected as any other and waits for the next retry.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "catalog/internal.h"
#include "catalog/read_columns.h"
#include "format/reject.h"
#include "input/input_internal.h"

/* Records that are decoded at a time. */
#define BLOCK_RECORDS	500

/* A batch ends with the record that makes it as long. */
#define MAX_BYTES		(16 * 1024 * 1024)

static int64 take_records(StreamingInput *input, int64 max, StreamingRecord **records);
static void keep_rows(StreamingInput *input, StreamingDecoder *decoder,
					  StreamingStream *stream, StreamingRecord *records, int n);

bool
streaming_retried_begin(StreamingInput *input, int64 max)
{
	StreamingStream *stream = palloc(sizeof(StreamingStream));
	StreamingDecoder *decoder;
	StreamingRecord *records;
	int64		n = take_records(input, max, &records);

	if (n == 0)
	{
		input->has_retried = false;
		return false;
	}
	/* "stop" is for those that follow the source: here nothing waits behind a record */
	*stream = *input->stream;
	if (stream->on_error == STREAMING_ON_ERROR_STOP)
		stream->on_error = STREAMING_ON_ERROR_REJECT;
	decoder = streaming_decoder_open(stream, streaming_columns_bitmap(&input->columns));
	input->store = tuplestore_begin_heap(true, false, work_mem);
	input->batch_rows = 0;
	for (int64 from = 0; from < n; from += BLOCK_RECORDS)
		keep_rows(input, decoder, stream, records + from, Min(n - from, BLOCK_RECORDS));
	streaming_offsets_copy(&input->after, &input->next);
	input->batch_incarnation = input->incarnation;
	input->batch_more = true;
	input->retried = n;
	input->size = input->batch_rows > STREAMING_FEW_ROWS ? STREAMING_SIZE_MANY :
		STREAMING_SIZE_FEW;
	input->mode = STREAMING_INPUT_SOURCE;
	return true;
}

/* The first of them, always the same ones until they are taken; in the batch's memory. */
static int64
take_records(StreamingInput *input, int64 max, StreamingRecord **records)
{
	Oid			types[4] = {OIDOID, OIDOID, INT8OID, INT8OID};
	Datum		args[4] = {ObjectIdGetDatum(input->view),
		ObjectIdGetDatum(input->stream->relid), Int64GetDatum(max), Int64GetDatum(MAX_BYTES)};
	StreamingOwnerRights rights;
	MemoryContext old;
	int64		n;

	streaming_owner_rights_begin(&rights);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("DELETE FROM " STREAMING_INTERNAL_SCHEMA ".missed_rows"
							  " WHERE ctid = ANY (ARRAY(SELECT id FROM ("
							  "SELECT ctid AS id, retried, partition, position,"
							  " sum(octet_length(payload)) OVER (ORDER BY retried, partition, position"
							  " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes FROM "
							  STREAMING_INTERNAL_SCHEMA ".missed_rows"
							  " WHERE view = $1 AND stream = $2 AND retried IS NOT NULL) m"
							  " WHERE coalesce(bytes, 0) < $4"
							  " ORDER BY retried, partition, position LIMIT $3))"
							  " RETURNING " STREAMING_KEPT_COLUMNS,
							  lengthof(args), types, args, NULL, false, 0) !=
		SPI_OK_DELETE_RETURNING)
		elog(ERROR, "could not read %s.missed_rows", STREAMING_INTERNAL_SCHEMA);
	n = SPI_processed;
	old = MemoryContextSwitchTo(input->batch_context);
	*records = palloc_extended(sizeof(StreamingRecord) * Max(n, 1), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
		streaming_read_kept(input->stream->kind, SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
							*records + i);
	MemoryContextSwitchTo(old);
	SPI_finish();
	streaming_owner_rights_end(&rights);
	return n;
}

/* Decodes a block of them. */
static void
keep_rows(StreamingInput *input, StreamingDecoder *decoder, StreamingStream *stream,
		  StreamingRecord *records, int n)
{
	int			natts = stream->tupdesc->natts;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "streaming retried block",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Datum	   *values = palloc(sizeof(Datum) * Max(natts, 1) * n);
	bool	   *isnull = palloc(sizeof(bool) * Max(natts, 1) * n);
	bool	   *result = palloc(sizeof(bool) * n);
	StreamingReject *rejects = NULL;
	int			nrejects = 0;

	streaming_decode(decoder, records, n, values, isnull, result, &rejects, &nrejects);
	(void) streaming_reject(stream, rejects, nrejects);
	MemoryContextSwitchTo(input->batch_context);
	for (int i = 0; i < nrejects; i++)
		streaming_missed_add(&input->missed, rejects[i].partition, rejects[i].offset);
	for (int i = 0; i < n; i++)
	{
		if (!result[i])
			continue;
		tuplestore_putvalues(input->store, stream->tupdesc, values + i * natts, isnull + i * natts);
		if (input->event_attno && !isnull[i * natts + input->event_attno - 1])
			streaming_track_time(input, records[i].partition,
								 DatumGetTimestampTz(values[i * natts + input->event_attno - 1]));
		input->batch_rows++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
