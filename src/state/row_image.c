/*
 * row_image.c
 *		Bytes by which rows that are values can be compared.
 *
 * A row that is a value holds its fields as they were where it was made: what came from a
 * table may be compressed, and what was computed, or was out of line there, is not.
 * So rows are formed anew of fields that are plain.  record_image_eq() compares
 * them likewise, but there is no hash that goes with it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "state/row_image.h"

static Datum field_image(Datum value, Oid type, int16 typlen);

bool
streaming_has_rows(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = get_base_element_type(base);

	return type_is_rowtype(base) || (OidIsValid(element) && streaming_has_rows(element));
}

static Datum
row_image(Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *isnull = palloc(sizeof(bool) * desc->natts);
	Datum		result;

	ItemPointerSetInvalid(&tuple.t_self);
	heap_deform_tuple(&tuple, desc, values, isnull);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!isnull[i] && !att->attisdropped)
			values[i] = field_image(values[i], att->atttypid, att->attlen);
	}
	result = HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
	ReleaseTupleDesc(desc);
	pfree(values);
	pfree(isnull);
	return result;
}

static Datum
array_image(Datum value, Oid element)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	ArrayType  *result;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *values;
	bool	   *isnull;
	int			n;

	get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
	deconstruct_array(array, element, typlen, typbyval, typalign, &values, &isnull, &n);
	for (int i = 0; i < n; i++)
	{
		if (!isnull[i])
			values[i] = field_image(values[i], element, typlen);
	}
	result = construct_md_array(values, isnull, ARR_NDIM(array), ARR_DIMS(array),
								ARR_LBOUND(array), element, typlen, typbyval, typalign);
	return PointerGetDatum(result);
}

static Datum
field_image(Datum value, Oid type, int16 typlen)
{
	if (typlen != -1)
		return value;
	if (streaming_has_rows(type))
		return streaming_row_image(value, type);
	return PointerGetDatum(PG_DETOAST_DATUM(value));
}

Datum
streaming_row_image(Datum value, Oid type)
{
	Oid			base;

	check_stack_depth();
	base = getBaseType(type);
	return type_is_rowtype(base) ? row_image(value) : array_image(value, get_base_element_type(base));
}
