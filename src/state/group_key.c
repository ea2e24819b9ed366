/*
 * group_key.c
 *		Hash and equality of group keys, for any type that can be grouped.
 *
 * A type's own extended hash function is used where there is one.  Of the
 * built-in types without one (money, bit, tsvector, ...) equal values have equal
 * bytes, which are hashed.  Types of other extensions that have only a btree
 * operator class add nothing to the hash: slow, but right.
 */
#include "postgres.h"

#include "access/transam.h"
#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "state/group_key.h"
#include "state/row_image.h"

/* streaming_sort_hashed */
#define ST_SORT streaming_sort_hashed
#define ST_ELEMENT_TYPE StreamingHashed
#define ST_COMPARE(a, b) ((a)->hash < (b)->hash ? -1 : (a)->hash > (b)->hash ? 1 : 0)
#define ST_SCOPE
#define ST_DEFINE
#include "lib/sort_template.h"

static bool
same_image(const StreamingKeyColumn *column, Datum a, Datum b)
{
	if (datum_image_eq(a, b, column->typbyval, column->typlen))
		return true;
	return OidIsValid(column->row_type) &&
		datum_image_eq(streaming_row_image(a, column->row_type),
					   streaming_row_image(b, column->row_type), column->typbyval, column->typlen);
}

static uint64
image_hash(const StreamingKeyColumn *column, Datum value)
{
	if (OidIsValid(column->row_type))
		value = streaming_row_image(value, column->row_type);
	/* of 32 bits, which are spread: the map of rows looks at the upper ones */
	return hash_bytes_uint32_extended(datum_image_hash(value, column->typbyval, column->typlen), 0);
}

static void
fill_column(StreamingKeyColumn *column, StreamingValue *value)
{
	TypeCacheEntry *type = lookup_type_cache(value->type,
											 TYPECACHE_HASH_EXTENDED_PROC);

	memset(column, 0, sizeof(*column));
	if (!OidIsValid(value->eqop))
		column->by_image = true;
	else if (OidIsValid(type->hash_extended_proc))
		fmgr_info(type->hash_extended_proc, &column->hash);
	else
		column->by_image = value->type < FirstNormalObjectId;
	if (OidIsValid(value->eqop))
		fmgr_info(get_opcode(value->eqop), &column->equal);
	if (column->by_image && streaming_has_rows(value->type))
		column->row_type = value->type;
	column->collation = value->collation;
	get_typlenbyval(value->type, &column->typlen, &column->typbyval);
}

StreamingGroupKey *
streaming_group_key(StreamingValue *values, int nvalues,
					StreamingValue *extra, int nextra)
{
	StreamingGroupKey *key = palloc(offsetof(StreamingGroupKey, columns) +
									sizeof(StreamingKeyColumn) * (nvalues + nextra));

	key->ncolumns = nvalues + nextra;
	for (int i = 0; i < key->ncolumns; i++)
		fill_column(&key->columns[i], i < nvalues ? &values[i] : &extra[i - nvalues]);
	return key;
}

int64
streaming_group_hash(StreamingGroupKey *key, const Datum *values, const bool *isnull)
{
	uint64		hash = 0;

	for (int i = 0; i < key->ncolumns; i++)
	{
		StreamingKeyColumn *column = &key->columns[i];
		uint64		one = 0;

		if (isnull[i])
			one = 0;
		else if (OidIsValid(column->hash.fn_oid))
			one = DatumGetUInt64(FunctionCall2Coll(&column->hash, column->collation,
												   values[i], Int64GetDatum(0)));
		else if (column->by_image)
			one = image_hash(column, values[i]);
		hash = hash_combine64(hash, one);
	}
	return (int64) hash;
}

bool
streaming_group_equal(StreamingGroupKey *key,
					  const Datum *values1, const bool *isnull1,
					  const Datum *values2, const bool *isnull2)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		StreamingKeyColumn *column = &key->columns[i];

		if (isnull1[i] != isnull2[i])
			return false;
		if (isnull1[i])
			continue;
		if (!OidIsValid(column->equal.fn_oid) ?
			!same_image(column, values1[i], values2[i]) :
			!DatumGetBool(FunctionCall2Coll(&column->equal, column->collation,
											values1[i], values2[i])))
			return false;
	}
	return true;
}
