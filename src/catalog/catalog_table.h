/*
 * catalog_table.h
 *		The extension's tables, read and written without SQL.
 *
 * They are ordinary tables, so a superuser, a half-finished restore or an
 * accident may have left any of them without a column, without an index, or
 * with a NULL where none may be.  So nobody counts on their shape: a file says
 * which columns it wants, by name and type, and these functions find them.
 * What is not as it must be is an error that says so, ERRCODE_DATA_CORRUPTED: not
 * one that workers take for final.  Columns that nobody asks for are left alone.
 */
#ifndef STREAMING_CATALOG_TABLE_H
#define STREAMING_CATALOG_TABLE_H

#include "access/genam.h"
#include "access/htup.h"
#include "access/skey.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#define STREAMING_TABLE_COLUMNS	24
#define STREAMING_TABLE_INDEXES	2
#define STREAMING_INDEX_COLUMNS	3

typedef struct StreamingTableColumn
{
	const char *name;
	Oid			type;
	bool		nullable;
} StreamingTableColumn;

/*
 * What a file knows of a table; static there.  Columns are numbered from 1 in the
 * order of this list, whatever their numbers in the table are.
 */
typedef struct StreamingTableDef
{
	const char *name;
	int			ncolumns;
	const StreamingTableColumn *columns;
	/* B-trees to look for, by their first columns; zeros at the end */
	int			indexes[STREAMING_TABLE_INDEXES][STREAMING_INDEX_COLUMNS];
	bool		for_users;		/* in schema streaming; else in streaming_internal */

	/* what was found, by catalog_table.c */
	struct StreamingTableShape *shape;
} StreamingTableDef;

/* One that is open. */
typedef struct StreamingTable
{
	const StreamingTableDef *def;
	Relation	rel;
	AttrNumber	attnums[STREAMING_TABLE_COLUMNS];
	Oid			indexes[STREAMING_TABLE_INDEXES];	/* Invalid: there is none */
	bool		writes_many;
	struct ResultRelInfo *written;	/* its indexes are open; NULL: not yet, or for each row */
} StreamingTable;

/* Where a row was written last.  It may have gone since, and another be there. */
typedef struct StreamingRowPlace
{
	Oid			file;			/* of the table; Invalid: not known */
	ItemPointerData tid;
} StreamingRowPlace;

/* in catalog_table.c */

/*
 * False, with missing_ok: there is no such table (any more).  lockmode
 * RowExclusiveLock or stronger: it is to be written.
 */
extern bool streaming_table_open(StreamingTable *table, StreamingTableDef *def,
								 int lockmode, bool missing_ok);
extern void streaming_table_close(StreamingTable *table, int lockmode); /* NoLock: keeps it */

/* A condition on a column, as ScanKeyInit makes it. */
extern void streaming_table_key(const StreamingTable *table, ScanKey key, int column,
								StrategyNumber strategy, RegProcedure procedure, Datum value);

/*
 * A scan that ends with systable_endscan.  index: of def->indexes; where there is
 * none the table is read as a whole.  -1: no index.  snapshot NULL: the latest.
 */
extern SysScanDesc streaming_table_scan(const StreamingTable *table, int index,
										Snapshot snapshot, int nkeys, ScanKey keys);

/* Opens that index, for scans in its order; an error if there is none. */
extern Relation streaming_table_index(const StreamingTable *table, int index);

/*
 * Takes the columns of a row out of tuple, into arrays of def->ncolumns.  What
 * is by reference points into the tuple.
 */
extern void streaming_table_read(const StreamingTable *table, HeapTuple tuple,
								 Datum *values, bool *isnull);

/* Likewise; returns the name of a column that must not be NULL and is, or NULL. */
extern const char *streaming_table_try_read(const StreamingTable *table, HeapTuple tuple,
											Datum *values, bool *isnull);

/*
 * The row that is alive at a place, in slot, which is one of the table's; NULL: there is
 * none.  The caller looks whether it is the one that was meant.
 */
extern HeapTuple streaming_table_row_at(const StreamingTable *table,
										const StreamingRowPlace *place,
										struct TupleTableSlot *slot);

/* Several rows are to be written before it is closed, in one memory context. */
extern void streaming_table_write_many(StreamingTable *table);

/*
 * Inserts a row, or puts it in the place of old, of which it keeps the columns
 * that are not in def.  Returns where it is now.
 */
extern StreamingRowPlace streaming_table_write(StreamingTable *table, HeapTuple old,
											   const Datum *values, const bool *isnull);

#endif							/* STREAMING_CATALOG_TABLE_H */
