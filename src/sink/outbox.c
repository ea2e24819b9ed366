/*
 * outbox.c
 *		The table streaming_internal.outbox: written by whoever writes to a sink stream,
 *		read by its delivery worker.
 *
 * A row is a chunk of messages of one transaction; number counts the chunks of a
 * transaction.  At its end the transaction itself becomes a row of
 * streaming_internal.outbox_transactions, by which it has its place among the others.  Chunks are as large as fits a page, so that a message costs
 * little more than its bytes, and are written many at a time; a message that is
 * larger is a chunk of its own, in the table's TOAST.  xid is that of the
 * top-level transaction: with it, a stored snapshot (pg_snapshot) tells the
 * committed ones, and what a subtransaction has rolled back is invisible by
 * itself.
 *
 * In a chunk, a message is
 *
 *		flags (1)  [partition (4)]  [timestamp (8)]
 *		[key length, key]  [headers length, headers]  [payload length, payload]
 *
 * where the flags say which parts there are.  Lengths are written in groups of
 * seven bits, the lowest first.
 *
 * Sessions count what they have written in shared memory when they have
 * committed, and wake the worker.  The counts are for monitoring, and for who
 * asks whether it is too much; deliveries do not depend on them.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/heapam.h"
#include "access/hio.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/xid8.h"

#include "catalog/view.h"
#include "sink/outbox_table.h"
#include "shared/sink_slots.h"
#include "shared/notify.h"

#define CHUNK_BYTES		8000	/* of data; fills a page */
#define CHUNKS_AT_ONCE	16

/*
 * What is written is read at once by the delivery worker, and then deleted.
 * So, up to this size, it uses shared buffers as others do, not the small ring
 * of bulk inserts, whose pages are written out and read again.
 */
#define SHARED_BYTES	((Size) NBuffers / 4 * BLCKSZ)

/* Which parts a message has; stored, with the flags of the message above. */
#define HAS_PARTITION	0x10
#define HAS_TIMESTAMP	0x20
#define HAS_KEY			0x40
#define HAS_PAYLOAD		0x80
#define HAS_HEADERS		0x08
#define STORED_FLAGS	0x07

struct StreamingOutbox
{
	MemoryContext context;
	Oid			stream;
	StreamingTable table;
	EState	   *estate;
	ResultRelInfo *result;
	BulkInsertState bulk;
	bool		ring;			/* bulk has a ring of buffers of its own */
	Size		written;
	StringInfoData chunk;		/* as a bytea, header included */
	int			messages;		/* in it */
	MemoryContext chunks;		/* what the slots hold */
	TupleTableSlot *slots[CHUNKS_AT_ONCE];
	int			nslots;			/* filled */
};

/* What a subtransaction that has not ended has written to a stream. */
typedef struct Written
{
	Oid			stream;
	Oid			owner;			/* of the stream */
	SubTransactionId subid;
	int64		messages;
	int64		bytes;
} Written;

static List *all_written = NIL; /* of Written, in TopTransactionContext */
static FullTransactionId numbered = {0};	/* the transaction that */
static int32 last_number = 0;	/* is the last number of */

static void end_chunk(StreamingOutbox *outbox);
static void write_chunks(StreamingOutbox *outbox);
static void begin_ring(StreamingOutbox *outbox);
static void append_length(StringInfo chunk, uint32 length);
static void append_part(StringInfo chunk, const char *data, int length);
static void count_written(Oid stream, int64 messages, int64 bytes);
static void transaction_ends(XactEvent event, void *arg);
static void take_places(void);
static void publish(void);
static void subtransaction_ends(SubXactEvent event, SubTransactionId subid,
								SubTransactionId parent, void *arg);

/* ---- Writing ---- */

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
	registered = true;
}

StreamingOutbox *
streaming_outbox_open(Oid stream)
{
	StreamingOutbox *outbox;

	streaming_require_loaded();
	register_callbacks();
	streaming_sink_claim(stream);
	outbox = palloc0(sizeof(StreamingOutbox));
	outbox->context = CurrentMemoryContext;
	outbox->stream = stream;
	streaming_outbox_table_open(&outbox->table, RowExclusiveLock);
	outbox->estate = CreateExecutorState();
	outbox->result = makeNode(ResultRelInfo);
	InitResultRelInfo(outbox->result, outbox->table.rel, 1, NULL, 0);
	ExecOpenIndices(outbox->result, false);
	outbox->bulk = GetBulkInsertState();
	FreeAccessStrategy(outbox->bulk->strategy);
	outbox->bulk->strategy = NULL;
	outbox->chunks = AllocSetContextCreate(CurrentMemoryContext, "streaming outbox",
										   ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < CHUNKS_AT_ONCE; i++)
		outbox->slots[i] = table_slot_create(outbox->table.rel, NULL);
	initStringInfo(&outbox->chunk);
	enlargeStringInfo(&outbox->chunk, CHUNK_BYTES + VARHDRSZ);
	outbox->chunk.len = VARHDRSZ;
	return outbox;
}

void
streaming_outbox_put(StreamingOutbox *outbox, const StreamingMessage *message)
{
	StringInfo	chunk = &outbox->chunk;
	Size		size = 32 + (Size) message->payload_length + message->key_length +
		message->headers_length;
	uint8		flags = message->flags & STORED_FLAGS;

	if (chunk->len > VARHDRSZ && chunk->len + size > CHUNK_BYTES)
		end_chunk(outbox);
	if (size > MaxAllocSize - 2 * VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("message for stream \"%s\" is too large",
						get_rel_name(outbox->stream))));
	enlargeStringInfo(chunk, size);

	flags |= message->partition >= 0 ? HAS_PARTITION : 0;
	flags |= message->timestamp != 0 ? HAS_TIMESTAMP : 0;
	flags |= message->key ? HAS_KEY : 0;
	flags |= message->headers ? HAS_HEADERS : 0;
	flags |= message->payload ? HAS_PAYLOAD : 0;
	appendStringInfoCharMacro(chunk, (char) flags);
	if (flags & HAS_PARTITION)
		appendBinaryStringInfo(chunk, (const char *) &message->partition, sizeof(int32));
	if (flags & HAS_TIMESTAMP)
		appendBinaryStringInfo(chunk, (const char *) &message->timestamp, sizeof(int64));
	if (flags & HAS_KEY)
		append_part(chunk, message->key, message->key_length);
	if (flags & HAS_HEADERS)
		append_part(chunk, message->headers, message->headers_length);
	if (flags & HAS_PAYLOAD)
		append_part(chunk, message->payload, message->payload_length);
	outbox->messages++;
	if (chunk->len >= CHUNK_BYTES)
		end_chunk(outbox);
}

static void
append_length(StringInfo chunk, uint32 length)
{
	for (; length >= 0x80; length >>= 7)
		appendStringInfoCharMacro(chunk, (char) (length | 0x80));
	appendStringInfoCharMacro(chunk, (char) length);
}

static void
append_part(StringInfo chunk, const char *data, int length)
{
	append_length(chunk, length);
	appendBinaryStringInfo(chunk, data, length);
}

static void
set_column(StreamingOutbox *outbox, TupleTableSlot *slot, int column, Datum value)
{
	slot->tts_values[outbox->table.attnums[column - 1] - 1] = value;
	slot->tts_isnull[outbox->table.attnums[column - 1] - 1] = false;
}

/* The chunk becomes a row; rows are written when there are some. */
static void
end_chunk(StreamingOutbox *outbox)
{
	FullTransactionId xid = GetTopFullTransactionId();
	TupleTableSlot *slot = outbox->slots[outbox->nslots];
	MemoryContext old;
	char	   *data;

	if (!FullTransactionIdEquals(xid, numbered))
	{
		numbered = xid;
		last_number = 0;
	}
	old = MemoryContextSwitchTo(outbox->chunks);
	data = palloc(outbox->chunk.len);
	memcpy(data, outbox->chunk.data, outbox->chunk.len);
	SET_VARSIZE(data, outbox->chunk.len);

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	set_column(outbox, slot, Anum_outbox_stream, ObjectIdGetDatum(outbox->stream));
	set_column(outbox, slot, Anum_outbox_xid, FullTransactionIdGetDatum(xid));
	set_column(outbox, slot, Anum_outbox_number, Int32GetDatum(++last_number));
	set_column(outbox, slot, Anum_outbox_messages, Int32GetDatum(outbox->messages));
	set_column(outbox, slot, Anum_outbox_data, PointerGetDatum(data));
	ExecStoreVirtualTuple(slot);
	outbox->nslots++;
	outbox->written += outbox->chunk.len;
	MemoryContextSwitchTo(old);

	count_written(outbox->stream, outbox->messages, outbox->chunk.len - VARHDRSZ);
	outbox->messages = 0;
	if (outbox->nslots == CHUNKS_AT_ONCE || outbox->chunk.len > CHUNK_BYTES * CHUNKS_AT_ONCE)
		write_chunks(outbox);
	if (outbox->chunk.maxlen > CHUNK_BYTES * CHUNKS_AT_ONCE)
	{
		/* Do not keep what one large message has needed. */
		pfree(outbox->chunk.data);
		old = MemoryContextSwitchTo(outbox->context);
		initStringInfo(&outbox->chunk);
		MemoryContextSwitchTo(old);
	}
	outbox->chunk.len = VARHDRSZ;
}

static void
write_chunks(StreamingOutbox *outbox)
{
	MemoryContext old;

	if (outbox->nslots == 0)
		return;
	old = MemoryContextSwitchTo(outbox->chunks);
	table_multi_insert(outbox->result->ri_RelationDesc, outbox->slots, outbox->nslots,
					   GetCurrentCommandId(true), 0, outbox->bulk);
	for (int i = 0; i < outbox->nslots; i++)
	{
		(void) streaming_insert_index_tuples(outbox->result, outbox->slots[i], outbox->estate,
											 false);
		ResetPerTupleExprContext(outbox->estate);
		ExecClearTuple(outbox->slots[i]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(outbox->chunks);
	outbox->nslots = 0;
	if (!outbox->ring && outbox->written > SHARED_BYTES)
		begin_ring(outbox);
}

static void
begin_ring(StreamingOutbox *outbox)
{
	MemoryContext old = MemoryContextSwitchTo(outbox->context);

	FreeBulkInsertState(outbox->bulk);
	outbox->bulk = GetBulkInsertState();
	outbox->ring = true;
	MemoryContextSwitchTo(old);
}

void
streaming_outbox_close(StreamingOutbox *outbox)
{
	if (outbox->messages > 0)
		end_chunk(outbox);
	write_chunks(outbox);
	for (int i = 0; i < CHUNKS_AT_ONCE; i++)
		ExecDropSingleTupleTableSlot(outbox->slots[i]);
	FreeBulkInsertState(outbox->bulk);
	ExecCloseIndices(outbox->result);
	streaming_table_close(&outbox->table, NoLock);
	FreeExecutorState(outbox->estate);
	MemoryContextDelete(outbox->chunks);
	pfree(outbox->chunk.data);
	pfree(outbox);
}

bool
streaming_outbox_full(Oid stream)
{
	StreamingSinkSlot *slot;
	int64		messages;
	int64		bytes = 0;

	if (streaming_outbox_size == 0)
		return false;
	LWLockAcquire(streaming_sinks->lock, LW_SHARED);
	slot = streaming_sink_slot(stream, false);
	if (slot)
		streaming_sink_pending(slot, &messages, &bytes);
	LWLockRelease(streaming_sinks->lock);
	return bytes / 1024 >= streaming_outbox_size;
}

/* ---- Reading ---- */

static int
read_length(const char **at, const char *end)
{
	uint32		length = 0;

	for (int shift = 0; *at < end && shift < 35; shift += 7)
	{
		uint8		byte = *(*at)++;

		length |= (uint32) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return length <= end - *at ? (int) length : -1;
	}
	return -1;
}

/* Also of corrupt chunks: nothing is read behind the end. */
static bool
read_part(const char **at, const char *end, const char **part, int *length)
{
	*length = read_length(at, end);
	if (*length < 0)
		return false;
	*part = *at;
	*at += *length;
	return true;
}

/* Do names and values end where the headers do? */
static bool
are_headers(const char *at, int length)
{
	const char *end = at + length;

	while (at < end)
	{
		const char *name_end = memchr(at, '\0', end - at);
		int32		value;

		if (name_end == NULL || end - name_end - 1 < sizeof(value))
			return false;
		memcpy(&value, name_end + 1, sizeof(value));
		at = name_end + 1 + sizeof(value);
		if (value > end - at)
			return false;
		at += Max(value, 0);
	}
	return true;
}

bool
streaming_outbox_message(const char **at, const char *end, StreamingMessage *message)
{
	uint8		flags;
	bool		good = true;

	if (*at == end)
		return false;
	memset(message, 0, sizeof(*message));
	message->partition = -1;
	flags = *(*at)++;
	message->flags = flags & STORED_FLAGS;
	if (flags & HAS_PARTITION)
	{
		good = end - *at >= sizeof(int32);
		if (good)
			memcpy(&message->partition, *at, sizeof(int32));
		*at += sizeof(int32);
	}
	if (good && (flags & HAS_TIMESTAMP))
	{
		good = end - *at >= sizeof(int64);
		if (good)
			memcpy(&message->timestamp, *at, sizeof(int64));
		*at += sizeof(int64);
	}
	if (good && (flags & HAS_KEY))
		good = read_part(at, end, &message->key, &message->key_length);
	if (good && (flags & HAS_HEADERS))
		good = read_part(at, end, &message->headers, &message->headers_length) &&
			are_headers(message->headers, message->headers_length);
	if (good && (flags & HAS_PAYLOAD))
		good = read_part(at, end, &message->payload, &message->payload_length);
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of streaming_internal.outbox is corrupt")));
	return true;
}

/* ---- The end of the transaction ---- */

/*
 * What subid has written to stream among the first n of all_written, or NULL.
 * They lie as subtransactions do, the innermost last.
 */
static Written *
find_written(Oid stream, SubTransactionId subid, int n)
{
	while (--n >= 0)
	{
		Written    *written = list_nth(all_written, n);

		if (written->subid != subid)
			break;
		if (written->stream == stream)
			return written;
	}
	return NULL;
}

static void
count_written(Oid stream, int64 messages, int64 bytes)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Written    *written = find_written(stream, subid, list_length(all_written));

	if (written == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		written = palloc0(sizeof(Written));
		written->stream = stream;
		written->owner = streaming_relation_owner(stream, true);
		written->subid = subid;
		all_written = lappend(all_written, written);
		MemoryContextSwitchTo(old);
	}
	written->messages += messages;
	written->bytes += bytes;
}

static void
transaction_ends(XactEvent event, void *arg)
{
	if (all_written == NIL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has inserted into a stream"),
					 errhint("End the transaction with COMMIT.")));
			break;
		case XACT_EVENT_PRE_COMMIT:
			take_places();
			break;
		case XACT_EVENT_COMMIT:
			publish();
			all_written = NIL;
			break;
		case XACT_EVENT_ABORT:
			all_written = NIL;
			break;
		default:
			break;
	}
}

/* Deferred triggers have run: nothing is written any more, and all locks are held. */
static void
take_places(void)
{
	XLogRecPtr	lsn = GetXLogInsertRecPtr();
	ListCell   *lc;

	foreach(lc, all_written)
	{
		Oid			stream = ((Written *) lfirst(lc))->stream;

		/* the transaction may have dropped it */
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(stream)))
			streaming_outbox_write_transaction(stream, lsn);
	}
}

/* Counts what is committed now, and wakes the workers, or has them started. */
static void
publish(void)
{
	bool		attended = true;
	ListCell   *lc;

	LWLockAcquire(streaming_sinks->lock, LW_EXCLUSIVE);
	foreach(lc, all_written)
	{
		Written    *written = lfirst(lc);
		StreamingSinkSlot *slot = streaming_sink_slot(written->stream, true);

		if (slot == NULL || slot->latch == NULL)
			attended = false;
		if (slot == NULL)
			continue;
		slot->owner = written->owner;
		slot->written_messages += written->messages;
		slot->written_bytes += written->bytes;
		if (slot->latch)
			SetLatch(slot->latch);
	}
	LWLockRelease(streaming_sinks->lock);
	if (!attended)
		streaming_workers_notify_now();
}

/* What a subtransaction has written becomes its parent's, or nobody's. */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId subid,
					SubTransactionId parent, void *arg)
{
	int			first = list_length(all_written);
	int			n = list_length(all_written);

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	while (first > 0 && ((Written *) list_nth(all_written, first - 1))->subid == subid)
		first--;
	for (int i = first; event == SUBXACT_EVENT_COMMIT_SUB && i < n; i++)
	{
		Written    *written = list_nth(all_written, i);
		Written    *of_parent = find_written(written->stream, parent, first);

		if (of_parent)
		{
			of_parent->messages += written->messages;
			of_parent->bytes += written->bytes;
			pfree(written);
			continue;
		}
		/* Into the place of one that has gone to the parent's, or its own. */
		written->subid = parent;
		lfirst(list_nth_cell(all_written, first++)) = written;
	}
	all_written = list_truncate(all_written, first);
}
