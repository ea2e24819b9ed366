/*
 * decoder.c
 *		Records -> rows: what all formats share.
 *
 * A bad record must cost nothing but itself, and finding it must cost the good
 * ones nothing.  An error of an input function unwinds the stack, and whatever
 * it leaves behind (a locked relation, a pinned buffer, an open SPI connection
 * of a domain's check) only a subtransaction cleans up.  So:
 *
 *		chunk	|--- good ---|bad|------- good -------|bad|-- good --|
 *		guard	[............ x] [.................... x] [..........]
 *
 * A guard is an internal subtransaction that writes nothing, hence takes no
 * transaction id and leaves nothing in the log; it costs about a microsecond.
 * Rows before the bad record keep their values: these are plain memory of the
 * caller's, which the rollback does not touch.  With on_error 'null' the bad
 * record is decoded again with the failed column left out, as many times as it
 * has such columns.
 *
 * In parallel mode (the stream is scanned by the leader while some other part
 * of the plan is parallel) there are no subtransactions.  There the guard is a
 * resource owner, which cleans up after all that the server's types and ours
 * do, but not after user code.
 *
 * What else an error leaves behind is the formats' own matter: their next call
 * copes with an unfinished one.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "format/change.h"
#include "format/columnar.h"
#include "format/key.h"
#include "format/path_partition.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "catalog/position.h"
#include "catalog/run_as.h"
#include "format/schema_registry.h"

/* Bytes of a message that are kept; input functions repeat the whole value. */
#define MAX_MESSAGE		1000

/* What palloc says to a size that is none, SQLSTATE XX000. */
#define ALLOC_ERROR "invalid memory alloc request size"

/* A column that tells something about the record. */
typedef struct MetadataColumn
{
	AttrNumber	attnum;
	StreamingMetadata metadata;
	StreamingConverter *converter;
	bool		needed;			/* else the value is only checked */
} MetadataColumn;

typedef struct StreamingDecoderPrivate
{
	MemoryContextCallback callback;
	bool		prepared;
	int			nmetadata;
	MetadataColumn *metadata;
	StreamingKeyDecoder *key;	/* of columns that come from the message's key; or NULL */
	StreamingChangeDecoder *change; /* of a stream whose rows change */
} StreamingDecoderPrivate;

/* One call of streaming_decode.  Not on the stack: it outlives a longjmp. */
typedef struct Run
{
	StreamingDecoder *decoder;
	const StreamingRecord *records;
	int			nrecords;
	Datum	   *values;
	bool	   *isnull;
	bool	   *result;
	int			next;			/* the record under way */
	StreamingReject *rejects;
	int			nrejects;
	int			allocated;
} Run;

typedef struct Guard
{
	bool		subtransaction;
	MemoryContext context;
	ResourceOwner owner;
	ResourceOwner own;			/* if it is no subtransaction */
} Guard;

static void decoder_closed(void *arg);
static void prepare(StreamingDecoder *decoder);
static void decode_guarded(Run *run);
static void decode_record(Run *run);
static bool decode_changing(StreamingDecoder *decoder, const StreamingRecord *record,
							Datum *values, bool *isnull);
static void decode_metadata(StreamingDecoder *decoder, const StreamingRecord *record,
							Datum *values, bool *isnull);
static bool is_surely_good(const StreamingColumn *column);
static bool is_of_many(const StreamingDecoder *decoder, const StreamingRecord *record);
static bool metadata_value(StreamingDecoder *decoder, const MetadataColumn *column,
						   const StreamingRecord *record, Datum *value);
static void record_failed(Run *run, ErrorData *edata);
static void show_record(StreamingDecoder *decoder, const StreamingRecord *record, StreamingReject *reject);
static bool is_data_error(const ErrorData *edata);
static bool may_run_user_code(Oid type);
static char *short_message(StreamingDecoder *decoder, const ErrorData *edata);

static void guard_begin(Guard *guard);
static void guard_release(Guard *guard);
static void guard_roll_back(Guard *guard);

const StreamingFormatRoutine *
streaming_format_by_name(const char *name)
{
	static const StreamingFormatRoutine *const routines[] = {
		&streaming_format_json,
		&streaming_format_csv,
		&streaming_format_text,
		&streaming_format_avro,
		&streaming_format_protobuf,
		&streaming_format_parquet,
		&streaming_format_arrow,
		&streaming_format_orc
	};

	for (int i = 0; i < lengthof(routines); i++)
		if (pg_strcasecmp(routines[i]->name, name) == 0)
			return routines[i];
	return NULL;
}

void
streaming_format_is_binary(StreamingDecoder *decoder)
{
	decoder->utf8 = false;
}

StreamingDecoder *
streaming_decoder_open(StreamingStream *stream, Bitmapset *needed)
{
	StreamingDecoder *decoder;
	const StreamingFormatRoutine *routine = streaming_format_by_name(stream->format);
	MemoryContext context;
	MemoryContext old;

	if (routine == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("format \"%s\" is not supported", stream->format)));

	/* A child of the caller's, so that it goes when that is reset. */
	context = AllocSetContextCreate(CurrentMemoryContext, "streaming decoder",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	decoder = palloc0(sizeof(StreamingDecoder));
	decoder->routine = routine;
	decoder->stream = stream;
	decoder->needed = needed;
	if (needed && stream->nkeys > 0)
	{
		/* rows are told apart, whoever reads them */
		decoder->needed = bms_copy(needed);
		for (int i = 0; i < stream->nkeys; i++)
			decoder->needed = bms_add_member(decoder->needed, stream->keys[i]);
	}
	decoder->utf8 = true;
	decoder->context = context;
	decoder->private_data = palloc0(sizeof(StreamingDecoderPrivate));
	decoder->private_data->callback.func = decoder_closed;
	decoder->private_data->callback.arg = decoder;
	MemoryContextRegisterResetCallback(context, &decoder->private_data->callback);
	if (routine->begin != NULL)
		routine->begin(decoder);
	MemoryContextSwitchTo(old);
	return decoder;
}

void
streaming_decode(StreamingDecoder *decoder,
				 const StreamingRecord *records, int nrecords,
				 Datum *values, bool *isnull, bool *result,
				 StreamingReject **rejects, int *nrejects)
{
	Run		   *run = palloc0(sizeof(Run));
	StreamingRunAs saved;

	Assert(IsTransactionState());
	streaming_run_as_begin(&saved, decoder->stream->owner, decoder->stream->settings);
	if (!decoder->private_data->prepared)
		prepare(decoder);

	run->decoder = decoder;
	run->records = records;
	run->nrecords = nrecords;
	run->values = values;
	run->isnull = isnull;
	run->result = result;
	decoder->failed = NULL;		/* whatever an error left there is gone */

	while (run->next < nrecords)
		decode_guarded(run);
	streaming_run_as_end(&saved);

	*rejects = run->rejects;
	*nrejects = run->nrejects;
}

/* The decoder's context is being reset. */
static void
decoder_closed(void *arg)
{
	StreamingDecoder *decoder = arg;

	if (decoder->routine->end != NULL)
		decoder->routine->end(decoder);
}

static void
prepare(StreamingDecoder *decoder)
{
	StreamingDecoderPrivate *private_data = decoder->private_data;
	StreamingStream *stream = decoder->stream;
	MemoryContext old = MemoryContextSwitchTo(decoder->context);

	private_data->nmetadata = 0;
	private_data->metadata = palloc(sizeof(MetadataColumn) * Max(stream->tupdesc->natts, 1));
	for (int i = 0; i < stream->tupdesc->natts; i++)
	{
		StreamingColumn column = stream->columns[i];
		MetadataColumn *metadata = &private_data->metadata[private_data->nmetadata];

		if (column.dropped || column.metadata == STREAMING_META_NONE ||
			streaming_key_column_is_read(stream, &column))
			continue;
		metadata->needed = decoder->needed == NULL || bms_is_member(i + 1, decoder->needed);
		if (!metadata->needed &&
			(stream->on_error == STREAMING_ON_ERROR_NULL || is_surely_good(&column)))
			continue;
		if (column.metadata == STREAMING_META_TIMESTAMP)
			column.time_format = STREAMING_TIME_EPOCH_MS;
		if (column.metadata == STREAMING_META_MTIME)
			column.time_format = STREAMING_TIME_EPOCH_US;
		metadata->attnum = i + 1;
		metadata->metadata = column.metadata;
		metadata->converter = streaming_converter_open(&column);
		private_data->nmetadata++;
	}
	decoder->routine->prepare(decoder);
	private_data->key = streaming_key_decoder_open(decoder);
	if (stream->change_attno)
		private_data->change = streaming_change_decoder_open(decoder);
	MemoryContextSwitchTo(old);
	private_data->prepared = true;
}

/*
 * Decodes records from run->next on under one guard: to the end, or to the
 * first that fails and what follows from its failure.
 */
static void
decode_guarded(Run *run)
{
	MemoryContext context = CurrentMemoryContext;
	Guard		guard;

	guard_begin(&guard);
	PG_TRY();
	{
		while (run->next < run->nrecords)
		{
			decode_record(run);
			if (run->decoder->failed != NULL)
			{
				bms_free(run->decoder->failed);
				run->decoder->failed = NULL;
			}
			run->next++;
		}
		guard_release(&guard);
	}
	PG_CATCH();
	{
		StreamingDecoder *decoder = run->decoder;
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		guard_roll_back(&guard);

		if (decoder->private_data->key && streaming_key_is_at_work(decoder->private_data->key))
			decoder->column = streaming_key_failed(decoder->private_data->key);
		if (!is_data_error(edata) ||
			(!guard.subtransaction && decoder->column > 0 &&
			 may_run_user_code(decoder->stream->columns[decoder->column - 1].type)))
			ReThrowError(edata);
		record_failed(run, edata);
		FreeErrorData(edata);
	}
	PG_END_TRY();
}

static void
decode_record(Run *run)
{
	StreamingDecoder *decoder = run->decoder;
	const StreamingRecord *record = &run->records[run->next];
	StreamingRecord unmarked;
	int			natts = decoder->stream->tupdesc->natts;
	Datum	   *values = run->values + (size_t) run->next * natts;
	bool	   *isnull = run->isnull + (size_t) run->next * natts;

	CHECK_FOR_INTERRUPTS();
	decoder->column = 0;
	if (decoder->private_data->key)
		streaming_key_rest(decoder->private_data->key);
	run->result[run->next] = false;

	if (record->framing_error != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s", record->framing_error)));

	/* No value can be longer than its record. */
	if (record->length > MaxAllocSize - STREAMING_RECORD_PADDING)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("record of %zu bytes is too long", record->length)));

	/* The byte order mark of a file its reader has passed over. */
	if ((record->path == NULL || is_of_many(decoder, record)) && decoder->utf8 && record->payload != NULL &&
		streaming_begins_with_mark(record->payload, record->length))
	{
		unmarked = *record;
		unmarked.payload += STREAMING_MARK_LENGTH;
		unmarked.length -= STREAMING_MARK_LENGTH;
		record = &unmarked;
	}

	memset(values, 0, sizeof(Datum) * natts);
	memset(isnull, true, sizeof(bool) * natts);
	if (decoder->private_data->change)
	{
		run->result[run->next] = decode_changing(decoder, record, values, isnull);
		return;
	}
	if (!decoder->routine->decode(decoder, record, values, isnull))
		return;
	decode_metadata(decoder, record, values, isnull);
	run->result[run->next] = true;
}

/* A row must have its key.  Returns false if the record changes none. */
static bool
decode_changing(StreamingDecoder *decoder, const StreamingRecord *record,
				Datum *values, bool *isnull)
{
	StreamingStream *stream = decoder->stream;
	StreamingChange change = streaming_decode_change(decoder->private_data->change, record,
													 values, isnull);

	if (change == STREAMING_CHANGE_NONE)
		return false;
	values[stream->change_attno - 1] = Int16GetDatum(change);
	isnull[stream->change_attno - 1] = false;
	if (change == STREAMING_CHANGE_TRUNCATE)
		return true;
	decode_metadata(decoder, record, values, isnull);
	for (int i = 0; i < stream->nkeys; i++)
	{
		decoder->column = stream->keys[i];
		if (isnull[decoder->column - 1])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("record has no key"),
					 errdetail("Column \"%s\" of the key is NULL.",
							   stream->columns[decoder->column - 1].name)));
	}
	decoder->column = 0;
	return true;
}

static void
decode_metadata(StreamingDecoder *decoder, const StreamingRecord *record,
				Datum *values, bool *isnull)
{
	if (decoder->private_data->key)
		streaming_decode_key(decoder->private_data->key, record, values, isnull);
	for (int i = 0; i < decoder->private_data->nmetadata; i++)
	{
		const MetadataColumn *column = &decoder->private_data->metadata[i];
		int			at = column->attnum - 1;
		Datum		value;

		decoder->column = column->attnum;
		if (bms_is_member(column->attnum, decoder->failed))
			continue;
		if (!metadata_value(decoder, column, record, &value))
			streaming_convert_null(column->converter);
		else if (column->needed)
		{
			values[at] = value;
			isnull[at] = false;
		}
	}
}

/* Is there no record whose metadata the column cannot hold? */
static bool
is_surely_good(const StreamingColumn *column)
{
	switch (column->metadata)
	{
		case STREAMING_META_KEY:
			return column->type == BYTEAOID;
		case STREAMING_META_PARTITION:
			return column->type != INT2OID;
		case STREAMING_META_HEADERS:
			return GetDatabaseEncoding() == PG_UTF8;
		case STREAMING_META_TIMESTAMP:
		case STREAMING_META_MTIME:
		case STREAMING_META_PATH_VALUE:
			return false;
		default:
			return true;
	}
}

/* Is it of one of many topics, so that its path says of which, and where in it? */
static bool
is_of_many(const StreamingDecoder *decoder, const StreamingRecord *record)
{
	return decoder->stream->kind == STREAMING_SOURCE_KAFKA && record->path != NULL &&
		strchr(record->path, ':') != NULL;
}

static const char *
partition_in_topic(const StreamingRecord *record)
{
	return strrchr(record->path, ':') + 1;
}

/* Returns false if there is none. */
static bool
metadata_value(StreamingDecoder *decoder, const MetadataColumn *column,
			   const StreamingRecord *record, Datum *value)
{
	StreamingTokenKind kind = STREAMING_TOKEN_NUMBER;
	char		buffer[MAXINT8LEN + 1];
	const char *token = buffer;
	size_t		length = 0;

	switch (column->metadata)
	{
		case STREAMING_META_KEY:
			if (record->key == NULL)
				return false;
			if (decoder->stream->columns[column->attnum - 1].type == BYTEAOID)
			{
				*value = PointerGetDatum(cstring_to_text_with_len(record->key, record->key_length));
				return true;
			}
			kind = STREAMING_TOKEN_TEXT;
			token = pg_any_to_server(record->key, record->key_length, PG_UTF8);
			length = token == record->key ? record->key_length : strlen(token);
			break;

		case STREAMING_META_PARTITION:
			length = pg_ltoa(record->partition, buffer);
			if (is_of_many(decoder, record))
			{
				token = partition_in_topic(record);
				length = strlen(token);
			}
			break;

		case STREAMING_META_OFFSET:
			length = pg_lltoa(record->offset, buffer);
			break;

		case STREAMING_META_TIMESTAMP:
			if (record->timestamp_ms < 0)
				return false;
			length = pg_lltoa(record->timestamp_ms, buffer);
			break;

		case STREAMING_META_SCHEMA_ID:
			{
				int32		id;

				if (decoder->stream->registry == NULL || record->payload == NULL ||
					!streaming_registry_id(record->payload, record->length, &id))
					return false;
				length = pg_ltoa(id, buffer);
			}
			break;

		case STREAMING_META_HEADERS:
			token = record->headers == NULL ? NULL : record->headers_json(record);
			if (token == NULL)
				return false;
			kind = STREAMING_TOKEN_JSON;
			length = strlen(token);
			break;

		case STREAMING_META_PATH:
			if (record->path == NULL)
				return false;
			kind = STREAMING_TOKEN_TEXT;
			token = record->path;
			length = strlen(token);
			pg_verify_mbstr(GetDatabaseEncoding(), token, length, false);
			break;

		case STREAMING_META_TOPIC:
			if (decoder->stream->topic == NULL)
				return false;
			kind = STREAMING_TOKEN_TEXT;
			token = decoder->stream->topic;
			length = strlen(token);
			if (is_of_many(decoder, record))
			{
				token = record->path;
				length = partition_in_topic(record) - token - 1;
			}
			break;

		case STREAMING_META_PATH_VALUE:
			token = record->path == NULL ? NULL :
				streaming_path_partition(record->path, decoder->stream->base,
										 decoder->stream->columns[column->attnum - 1].path_value,
										 &length);
			if (token == NULL)
				return false;
			kind = STREAMING_TOKEN_TEXT;
			pg_verify_mbstr(GetDatabaseEncoding(), token, length, false);
			break;

		case STREAMING_META_MTIME:
		case STREAMING_META_SIZE:
			if (record->path == NULL)
				return false;
			length = pg_lltoa(column->metadata == STREAMING_META_SIZE ?
							  record->file_size : record->file_modified, buffer);
			break;

		case STREAMING_META_LINE:
			/* The low half of a directory's offset counts from 0. */
			length = pg_lltoa((record->offset & PG_UINT32_MAX) + 1, buffer);
			break;

		case STREAMING_META_NONE:
		case STREAMING_META_KEY_FIELD:
			elog(ERROR, "column %d is no metadata column", column->attnum);
	}

	*value = streaming_convert(column->converter, kind, token, length);
	return true;
}

/*
 * The record under way failed with a data error, which has been rolled back:
 * does as on_error says.  Moves on, unless the record is to be tried again.
 */
static void
record_failed(Run *run, ErrorData *edata)
{
	StreamingDecoder *decoder = run->decoder;
	StreamingStream *stream = decoder->stream;
	const StreamingRecord *record = &run->records[run->next];
	StreamingReject *reject;

	switch (stream->on_error)
	{
		case STREAMING_ON_ERROR_STOP:
			{
				const char *position = streaming_position_out(stream->kind, record->offset);
				const char *partition = is_of_many(decoder, record) ? record->path :
					psprintf("%d", record->partition);
				const char *where = decoder->column == 0 ?
					psprintf("Record at position %s in partition %s of stream %s.",
							 position, partition, stream->name) :
					psprintf("Column \"%s\" of the record at position %s in partition %s of stream %s.",
							 stream->columns[decoder->column - 1].name,
							 position, partition, stream->name);

				edata->detail = edata->detail == NULL ? pstrdup(where) :
					psprintf("%s\n%s", edata->detail, where);
				ReThrowError(edata);
			}
			break;

		case STREAMING_ON_ERROR_NULL:
			if (decoder->column > 0 && !bms_is_member(decoder->column, decoder->failed))
			{
				decoder->failed = bms_add_member(decoder->failed, decoder->column);
				return;
			}
			break;

		case STREAMING_ON_ERROR_REJECT:
			break;
	}

	if (run->nrejects == run->allocated)
	{
		run->allocated = Max(run->allocated * 2, 8);
		if (run->rejects == NULL)
			run->rejects = palloc(sizeof(StreamingReject) * run->allocated);
		else
			run->rejects = repalloc_huge(run->rejects, sizeof(StreamingReject) * run->allocated);
	}
	reject = &run->rejects[run->nrejects++];
	reject->partition = record->partition;
	reject->offset = record->offset;
	show_record(decoder, record, reject);
	reject->path = record->path;
	reject->key = record->key;
	reject->key_length = record->key_length;
	reject->timestamp_ms = record->timestamp_ms;
	reject->whole = record->framing_error == NULL;
	reject->column = decoder->column > 0 ? stream->columns[decoder->column - 1].name : NULL;
	reject->sqlerrcode = edata->sqlerrcode;
	reject->message = short_message(decoder, edata);

	run->result[run->next] = false;
	bms_free(decoder->failed);
	decoder->failed = NULL;
	run->next++;
}

/*
 * What is shown of a record that is rejected.  What cannot be shown is left out: that
 * may be what it is rejected for.  To show it holds nothing but memory.
 */
static void
show_record(StreamingDecoder *decoder, const StreamingRecord *record, StreamingReject *reject)
{
	MemoryContext context = CurrentMemoryContext;

	reject->payload = record->payload;
	reject->length = record->length;
	if (record->batch == NULL || record->framing_error != NULL || decoder->routine->show == NULL)
		return;
	PG_TRY();
	{
		reject->payload = decoder->routine->show(decoder, record, &reject->length);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		if (!is_data_error(edata))
			ReThrowError(edata);
		FreeErrorData(edata);
		reject->payload = NULL;
		reject->length = 0;
	}
	PG_END_TRY();
}

/*
 * Can the record be blamed for it?  Class 42 is what the types of the regclass
 * family say of names they do not find.  An input function that asks for more
 * memory than any value may have will do so each time, whatever the memory
 * there is; "out of memory" is the server's trouble and may pass.
 */
static bool
is_data_error(const ErrorData *edata)
{
	int			sqlerrcode = edata->sqlerrcode;

	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_INVALID_SCHEMA_NAME:
			return true;
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
			return sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE;
		case ERRCODE_INTERNAL_ERROR:
			/* elog does not translate its message */
			return strncmp(edata->message, ALLOC_ERROR, strlen(ALLOC_ERROR)) == 0;
		default:
			return sqlerrcode == ERRCODE_RAISE_EXCEPTION;
	}
}

/*
 * Domains have checks; composite types, arrays, ranges and multiranges may contain
 * domains.  Base types are a superuser's.
 */
static bool
may_run_user_code(Oid type)
{
	for (;;)
	{
		Oid			element = get_element_type(type);

		if (OidIsValid(element))
		{
			type = element;
			continue;
		}
		switch (get_typtype(type))
		{
			case TYPTYPE_BASE:
			case TYPTYPE_ENUM:
				return false;
			case TYPTYPE_RANGE:
				type = get_range_subtype(type);
				break;
			case TYPTYPE_MULTIRANGE:
				type = get_multirange_range(type);
				break;
			default:
				return true;
		}
	}
}

/* One line of bounded length for streaming.rejected_rows. */
static char *
short_message(StreamingDecoder *decoder, const ErrorData *edata)
{
	StringInfoData message;

	initStringInfo(&message);
	if (decoder->column > 0)
		appendStringInfo(&message, "column \"%s\": ",
						 decoder->stream->columns[decoder->column - 1].name);
	else if (decoder->private_data->key && streaming_key_is_at_work(decoder->private_data->key))
		appendStringInfoString(&message, "message key: ");
	appendStringInfoString(&message, edata->message);
	if (edata->detail != NULL)
		appendStringInfo(&message, " (%s)", edata->detail);
	if (edata->hint != NULL)
		appendStringInfo(&message, " (%s)", edata->hint);
	if (message.len > MAX_MESSAGE)
	{
		message.len = pg_mbcliplen(message.data, message.len, MAX_MESSAGE);
		message.data[message.len] = '\0';
		appendStringInfoString(&message, "...");
	}
	return message.data;
}

/* ------------------------------------------------------------------------
 * The guard: what an error does between begin and roll_back is undone.
 * CurrentMemoryContext stays the caller's, and so does what is in it.
 * ------------------------------------------------------------------------ */

static void
guard_begin(Guard *guard)
{
	guard->context = CurrentMemoryContext;
	guard->owner = CurrentResourceOwner;
	guard->subtransaction = !IsInParallelMode();
	if (guard->subtransaction)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(guard->context);
	}
	else
	{
		guard->own = ResourceOwnerCreate(guard->owner, "streaming decoder");
		CurrentResourceOwner = guard->own;
	}
}

static void
guard_release(Guard *guard)
{
	if (guard->subtransaction)
		ReleaseCurrentSubTransaction();
	else
	{
		ResourceOwnerRelease(guard->own, RESOURCE_RELEASE_BEFORE_LOCKS, true, false);
		ResourceOwnerRelease(guard->own, RESOURCE_RELEASE_LOCKS, true, false);
		ResourceOwnerRelease(guard->own, RESOURCE_RELEASE_AFTER_LOCKS, true, false);
	}
	MemoryContextSwitchTo(guard->context);
	CurrentResourceOwner = guard->owner;
	if (!guard->subtransaction)
		ResourceOwnerDelete(guard->own);
}

static void
guard_roll_back(Guard *guard)
{
	if (guard->subtransaction)
		RollbackAndReleaseCurrentSubTransaction();
	else
	{
		ResourceOwnerRelease(guard->own, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
		ResourceOwnerRelease(guard->own, RESOURCE_RELEASE_LOCKS, false, false);
		ResourceOwnerRelease(guard->own, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	}
	MemoryContextSwitchTo(guard->context);
	CurrentResourceOwner = guard->owner;
	if (!guard->subtransaction)
		ResourceOwnerDelete(guard->own);
}
