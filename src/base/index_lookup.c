/*
 * index_lookup.c
 *		Which index of one of our tables rows can be looked up by.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "base/index_lookup.h"

static bool
begins_with(Relation index, const AttrNumber *attnos, int n)
{
	Form_pg_index form = index->rd_index;

	if (index->rd_rel->relam != BTREE_AM_OID || !form->indisvalid || !form->indislive ||
		form->indnkeyatts < n)
		return false;
	for (int i = 0; i < n; i++)
	{
		Oid			type = TupleDescAttr(RelationGetDescr(index), i)->atttypid;

		/* an expression has the number 0 */
		if (form->indkey.values[i] != attnos[i] || index->rd_indoption[i] != 0 ||
			index->rd_opfamily[i] != lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf)
			return false;
	}
	return true;
}

static bool
is_partial(Relation index)
{
	return !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

bool
streaming_index_fits(Relation index, const AttrNumber *attnos, int n)
{
	return begins_with(index, attnos, n) && !is_partial(index);
}

bool
streaming_partial_index_fits(Relation index, const AttrNumber *attnos, int n)
{
	return begins_with(index, attnos, n) && index->rd_index->indnkeyatts == n && is_partial(index);
}
