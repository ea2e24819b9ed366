/*
 * hash_order.c
 *		An executor node that brings rows into the order of their groups' hashes.
 *
 * To aggregate by a hash table takes several cache misses a row where the groups
 * are so many that the table fits into no cache, and what comes out of it has to
 * be sorted by hash to be merged.  Here the rows themselves are brought into
 * that order, in two steps that both stay in the caches:
 *
 *		row ──▶ part of its hash's first 8 bits ──▶ sorted when it is its turn
 *
 * and a GroupAggregate above, to which it is all the same in which order groups
 * come, hands groups up in the order in which they are merged.  (A radix join
 * partitions for the same reason: Manegold, Boncz, Kersten, "Optimizing
 * main-memory join on modern hardware", 2002.)
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "executor/executor.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "exec/hash_order.h"
#include "query/program.h"
#include "state/group_key.h"
#include "streaming.h"

#define PARTS			256

/* A part's rows are in blocks, the first of MIN_BLOCK bytes; a larger row has its own. */
#define MIN_BLOCK		1024
#define MAX_BLOCK		16384

/* Rows of the part that come next, which the processor begins to load. */
#define PREFETCH_DISTANCE	4

/* Rows one behind the other, each: hash, tuple with its header, both aligned. */
typedef struct RowBlock
{
	struct RowBlock *next;
	Size		used;
	Size		size;
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* aligned */
} RowBlock;

typedef struct Part
{
	RowBlock   *first;
	RowBlock   *last;
	int			nrows;
} Part;

typedef struct HashOrder
{
	CustomScanState css;
	StreamingGroupKey *key;
	int			nkeys;
	AttrNumber *attnos;			/* of the keys */
	Datum	   *values;			/* of the keys of a row */
	bool	   *isnull;

	Size		limit;			/* of the memory for rows */
	MemoryContext context;		/* of a piece's rows */
	Size		size;			/* of what is allocated in it */
	Part		parts[PARTS];
	bool		exhausted;		/* nothing more comes from below */
	int			part;			/* that comes next */
	StreamingHashed *rows;		/* of the part before; HeapTupleHeaders, whose
								 * length is that of a composite datum */
	int			nrows;
	int			max_rows;
	int			next;			/* of rows */
	HeapTupleData tuple;		/* the row handed up last */
} HashOrder;

static Node *create_state(CustomScan *plan);
static void begin(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *execute(CustomScanState *node);
static void end(CustomScanState *node);
static void rescan(CustomScanState *node);

static const CustomScanMethods scan_methods = {
	.CustomName = "Streaming Hash Order",
	.CreateCustomScanState = create_state
};

static const CustomExecMethods exec_methods = {
	.CustomName = "Streaming Hash Order",
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan
};

/* ----------
 * Planning
 * ----------
 */

/* Is the hash that streaming_group_hash computes one of the type's values? */
static bool
has_hash(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_EXTENDED_PROC);

	return OidIsValid(entry->hash_extended_proc) || type < FirstNormalObjectId;
}

/* The columns of a plan, as its reader knows them by varno. */
static List *
columns_of(Plan *plan, int varno)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Var		   *var = makeVarFromTargetEntry(varno, entry);

		columns = lappend(columns, makeTargetEntry((Expr *) var, entry->resno, NULL, false));
	}
	return columns;
}

Plan *
streaming_hash_order(Sort *sort, List *keys)
{
	CustomScan *scan = makeNode(CustomScan);
	ListCell   *lc;

	foreach(lc, keys)
	{
		if (!has_hash(lfirst_node(Var, lc)->vartype))
			return NULL;
	}
	scan->scan.plan = sort->plan;
	scan->scan.plan.type = T_CustomScan;
	scan->scan.plan.targetlist = columns_of(outerPlan(sort), INDEX_VAR);
	scan->custom_scan_tlist = columns_of(outerPlan(sort), OUTER_VAR);
	scan->custom_private = keys;
	scan->methods = &scan_methods;
	return (Plan *) scan;
}

/* ----------
 * Execution
 * ----------
 */

static Node *
create_state(CustomScan *plan)
{
	HashOrder  *order = palloc0(sizeof(HashOrder));

	NodeSetTag(order, T_CustomScanState);
	order->css.methods = &exec_methods;
	return (Node *) order;
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	HashOrder  *order = (HashOrder *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	StreamingValue *keys = palloc0(sizeof(StreamingValue) * list_length(plan->custom_private));
	TupleDesc	desc;
	ListCell   *lc;

	outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, eflags);
	desc = ExecGetResultType(outerPlanState(node));
	streaming_init_scan_slot(estate, &node->ss, desc, &TTSOpsHeapTuple);
	node->ss.ps.resultops = &TTSOpsHeapTuple;
	node->ss.ps.resultopsfixed = true;
	node->ss.ps.resultopsset = true;

	order->nkeys = list_length(plan->custom_private);
	order->attnos = palloc(sizeof(AttrNumber) * order->nkeys);
	order->values = palloc(sizeof(Datum) * order->nkeys);
	order->isnull = palloc(sizeof(bool) * order->nkeys);
	foreach(lc, plan->custom_private)
	{
		Var		   *var = lfirst_node(Var, lc);
		int			i = foreach_current_index(lc);

		order->attnos[i] = var->varattno;
		keys[i].type = var->vartype;
		keys[i].collation = var->varcollid;
		keys[i].eqop = lookup_type_cache(var->vartype, TYPECACHE_EQ_OPR)->eq_opr;
	}
	order->key = streaming_group_key(keys, order->nkeys, NULL, 0);
	order->limit = get_hash_memory_limit();
	order->context = AllocSetContextCreate(CurrentMemoryContext, "streaming hash order",
										   ALLOCSET_DEFAULT_SIZES);
	order->part = PARTS;
}

/* Room for a row of size bytes at the end of its part; it is zero. */
static char *
add_room(HashOrder *order, Part *part, Size size)
{
	RowBlock   *block = part->last;
	char	   *room;

	if (block == NULL || block->used + size > block->size)
	{
		Size		room_size = block == NULL ? MIN_BLOCK : Min(block->size * 2, MAX_BLOCK);

		room_size = Max(room_size, size);
		block = MemoryContextAllocZero(order->context, offsetof(RowBlock, data) + room_size);
		block->size = room_size;
		order->size += offsetof(RowBlock, data) + room_size;
		if (part->last)
			part->last->next = block;
		else
			part->first = block;
		part->last = block;
	}
	room = block->data + block->used;
	block->used += size;
	return room;
}

/* As heap_form_tuple does, which allocates each. */
static void
add_row(HashOrder *order, TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	Size		header = SizeofHeapTupleHeader;
	bool		hasnull = false;
	int64		hash;
	Size		data_size;
	char	   *room;
	Part	   *part;
	HeapTupleHeader tuple;

	slot_getallattrs(slot);
	for (int i = 0; i < order->nkeys; i++)
	{
		order->values[i] = slot->tts_values[order->attnos[i] - 1];
		order->isnull[i] = slot->tts_isnull[order->attnos[i] - 1];
	}
	hash = streaming_group_hash(order->key, order->values, order->isnull);
	for (int i = 0; i < desc->natts && !hasnull; i++)
		hasnull = slot->tts_isnull[i];
	if (hasnull)
		header += BITMAPLEN(desc->natts);
	header = MAXALIGN(header);
	data_size = heap_compute_data_size(desc, slot->tts_values, slot->tts_isnull);

	/* the sign comes first in the order */
	part = &order->parts[((uint64) hash >> 56) ^ 0x80];
	room = add_room(order, part, MAXALIGN(sizeof(int64)) + MAXALIGN(header + data_size));
	part->nrows++;
	*(int64 *) room = hash;
	tuple = (HeapTupleHeader) (room + MAXALIGN(sizeof(int64)));
	HeapTupleHeaderSetDatumLength(tuple, header + data_size);
	HeapTupleHeaderSetNatts(tuple, desc->natts);
	ItemPointerSetInvalid(&tuple->t_ctid);
	tuple->t_hoff = header;
	heap_fill_tuple(desc, slot->tts_values, slot->tts_isnull, (char *) tuple + header,
					data_size, &tuple->t_infomask, hasnull ? tuple->t_bits : NULL);
}

/* Reads what fits into memory. */
static void
collect(HashOrder *order)
{
	PlanState  *below = outerPlanState(order);
	ExprContext *econtext = order->css.ss.ps.ps_ExprContext;

	memset(order->parts, 0, sizeof(order->parts));
	MemoryContextReset(order->context);
	order->rows = NULL;
	order->max_rows = order->nrows = order->next = 0;
	order->size = 0;
	order->part = 0;
	while (order->size < order->limit)
	{
		TupleTableSlot *slot = ExecProcNode(below);
		MemoryContext old;

		if (TupIsNull(slot))
		{
			order->exhausted = true;
			return;
		}
		ResetExprContext(econtext);
		old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		add_row(order, slot);
		MemoryContextSwitchTo(old);
	}
}

/* Sorts the rows of a part. */
static void
sort_part(HashOrder *order, Part *part)
{
	order->nrows = order->next = 0;
	if (part->nrows > order->max_rows)
	{
		if (order->rows)
			pfree(order->rows);
		order->max_rows = part->nrows + part->nrows / 4;
		order->rows = MemoryContextAllocHuge(order->context,
											 sizeof(StreamingHashed) * order->max_rows);
	}
	for (RowBlock *block = part->first; block; block = block->next)
	{
		Size		at = 0;

		while (at < block->used)
		{
			StreamingHashed *row = &order->rows[order->nrows++];
			HeapTupleHeader tuple = (HeapTupleHeader)
				(block->data + at + MAXALIGN(sizeof(int64)));

			row->hash = *(int64 *) (block->data + at);
			row->tuple = tuple;
			at += MAXALIGN(sizeof(int64)) + MAXALIGN(HeapTupleHeaderGetDatumLength(tuple));
		}
	}
	streaming_sort_hashed(order->rows, order->nrows);
}

static TupleTableSlot *
execute(CustomScanState *node)
{
	HashOrder  *order = (HashOrder *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	while (order->next >= order->nrows)
	{
		CHECK_FOR_INTERRUPTS();
		if (order->part < PARTS)
			sort_part(order, &order->parts[order->part++]);
		else if (!order->exhausted)
			collect(order);
		else
			return ExecClearTuple(slot);
	}
	if (order->next + PREFETCH_DISTANCE < order->nrows)
		streaming_prefetch(order->rows[order->next + PREFETCH_DISTANCE].tuple);
	order->tuple.t_data = order->rows[order->next++].tuple;
	order->tuple.t_len = HeapTupleHeaderGetDatumLength(order->tuple.t_data);
	return ExecStoreHeapTuple(&order->tuple, slot, false);
}

static void
end(CustomScanState *node)
{
	HashOrder  *order = (HashOrder *) node;

	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	MemoryContextDelete(order->context);
	ExecEndNode(outerPlanState(node));
}

static void
rescan(CustomScanState *node)
{
	HashOrder  *order = (HashOrder *) node;

	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	order->part = PARTS;
	order->nrows = order->next = 0;
	order->exhausted = false;
	ExecReScan(outerPlanState(node));
}
