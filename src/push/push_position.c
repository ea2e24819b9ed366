/*
 * push_position.c
 *		Which pushed rows have been taken: positions of pushed streams.
 *
 * The position, in streaming.checkpoints as partition 0, is the text
 *
 *		segment:block:xmin:xmax:xid,xid,...@identity.era[.xid.command]
 *
 * a place and a snapshot as pg_snapshot shows it; what comes last says how much
 * the snapshot saw of its own transaction, if that had written.  The identity is that of the
 * stream's tables, made when they were: a position that a dump has carried to
 * another database, where the rows are others and transaction ids mean
 * nothing, is no position.  The block counts in its table's era
 * (source_push.c), of which there is another one after each start of the server.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/transam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "utils/snapmgr.h"

#include "buffer/shift_slot.h"
#include "push/push_scan.h"

char *
streaming_snapshot_position_out(const StreamingSnapshotPosition *position, uint32 identity)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, UINT64_FORMAT ":%u:" UINT64_FORMAT ":" UINT64_FORMAT ":",
					 position->number, position->block, position->xmin, position->xmax);
	for (int i = 0; i < position->nxip; i++)
		appendStringInfo(&buf, "%s" UINT64_FORMAT, i > 0 ? "," : "", position->xip[i]);
	appendStringInfo(&buf, "@%08x.%016llx", identity,
					 (unsigned long long) position->era);
	if (position->own_xid > 0)
		appendStringInfo(&buf, "." UINT64_FORMAT ".%u", position->own_xid, position->own_cid);
	return buf.data;
}

bool
streaming_snapshot_position_in(const char *text, uint32 identity,
							   StreamingSnapshotPosition *position)
{
	const char *at = strchr(text, '@');
	char	   *end;
	int			max;

	memset(position, 0, sizeof(*position));
	if (at == NULL || strtoul(at + 1, &end, 16) != identity)
		return false;
	if (*end == '.')
		position->era = strtou64(end + 1, &end, 16);
	if (*end == '.')
		position->own_xid = strtou64(end + 1, &end, 10);
	if (*end == '.')
		position->own_cid = strtoul(end + 1, &end, 10);
	position->number = strtou64(text, &end, 10);
	if (*end != ':')
		return false;
	position->block = strtoul(end + 1, &end, 10);
	if (*end != ':')
		return false;
	position->xmin = strtou64(end + 1, &end, 10);
	if (*end != ':')
		return false;
	position->xmax = strtou64(end + 1, &end, 10);
	if (*end != ':')
		return false;
	max = (at - end) / 2 + 1;
	position->xip = palloc(sizeof(uint64) * max);
	while (end + 1 < at && position->nxip < max)
		position->xip[position->nxip++] = strtou64(end + 1, &end, 10);
	return true;
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* The 64-bit ids of a snapshot's are those next to the one to come. */
void
streaming_snapshot_position_set(StreamingSnapshotPosition *position, Snapshot snapshot)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint64		epoch = EpochFromFullTransactionId(next);
	TransactionId next_xid = XidFromFullTransactionId(next);
	FullTransactionId own = GetTopFullTransactionIdIfAny();

#define WIDEN(xid) ((((xid) > next_xid ? epoch - 1 : epoch) << 32) | (xid))
	position->xmin = WIDEN(snapshot->xmin);
	position->xmax = WIDEN(snapshot->xmax);
	position->nxip = snapshot->xcnt;
	position->xip = palloc(sizeof(uint64) * (snapshot->xcnt + 1));
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		position->xip[i] = WIDEN(snapshot->xip[i]);
#undef WIDEN

	/* A snapshot leaves its own transaction out; it has not ended. */
	position->own_xid = U64FromFullTransactionId(own);
	position->own_cid = snapshot->curcid;
	if (FullTransactionIdIsValid(own))
	{
		position->xip[position->nxip++] = U64FromFullTransactionId(own);
		position->xmin = Min(position->xmin, U64FromFullTransactionId(own));
	}
	qsort(position->xip, position->nxip, sizeof(uint64), compare_xids);
}

bool
streaming_snapshot_has_seen(const StreamingSnapshotPosition *position, uint64 xid,
							CommandId cid)
{
	if (xid == position->own_xid)
		return cid < position->own_cid;
	if (xid >= position->xmax)
		return false;
	if (xid < position->xmin)
		return true;
	return bsearch(&xid, position->xip, position->nxip, sizeof(uint64), compare_xids) == NULL;
}

bool
streaming_snapshot_needs(const char *position, StreamingStreamShared *shared, Oid table,
						 uint64 number)
{
	StreamingSnapshotPosition taken;
	StreamingPushScan scan = {.tables = {table}, .numbers = {number, number + 1}};
	TupleTableSlot *slot;
	bool		needs;

	if (!streaming_snapshot_position_in(position, shared->push_identity, &taken))
		return true;
	streaming_push_scan_lock_table(&scan, shared, 0);
	slot = streaming_stored_slot_make();
	streaming_push_scan_begin(&scan, GetActiveSnapshot(), &taken, slot);
	needs = streaming_push_scan_next(&scan);
	streaming_push_scan_end(&scan);
	ExecDropSingleTupleTableSlot(slot);
	return needs;
}
