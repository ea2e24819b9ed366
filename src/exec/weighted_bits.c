/*
 * weighted_bits.c
 *		Integers that appear and disappear, by their bits: streaming_internal.weighted_bit_and,
 *		_or, _xor.
 *
 * The state is an array of int8, of 65: how many values there are, and how many of them
 * have each bit.  Narrower integers are widened, which repeats their sign, and what comes
 * out is as wide as they were.  And is_narrow, of values in indexes.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(streaming_weighted_bits_add);
PG_FUNCTION_INFO_V1(streaming_weighted_bits_combine);
PG_FUNCTION_INFO_V1(streaming_weighted_bit_and);
PG_FUNCTION_INFO_V1(streaming_weighted_bit_or);
PG_FUNCTION_INFO_V1(streaming_weighted_bit_xor);
PG_FUNCTION_INFO_V1(streaming_is_narrow);

#define BITS	64
#define COUNTS	(1 + BITS)

/* Bytes of a value.  A B-tree takes 2,704, with a key before it. */
#define MAX_NARROW	2000

/* The counts of a state, in it. */
static int64 *
counts_of(ArrayType *state)
{
	if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] != COUNTS || ARR_HASNULL(state) ||
		ARR_ELEMTYPE(state) != INT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("counts of bits must be an array of %d numbers", COUNTS)));
	return (int64 *) ARR_DATA_PTR(state);
}

static ArrayType *
no_counts(void)
{
	Datum		zeros[COUNTS];

	for (int i = 0; i < COUNTS; i++)
		zeros[i] = Int64GetDatum(0);
	return construct_array(zeros, COUNTS, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

static void
add(int64 *count, int64 weight)
{
	if (pg_add_s64_overflow(*count, weight, count))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range")));
}

/* streaming_internal.weighted_bits_add(state int8[], value int8, weight int8) */
Datum
streaming_weighted_bits_add(PG_FUNCTION_ARGS)
{
	bool		in_place = AggCheckCallContext(fcinfo, NULL) != 0;
	ArrayType  *state;
	int64	   *counts;
	uint64		value;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	state = PG_ARGISNULL(0) ? no_counts() :
		in_place ? PG_GETARG_ARRAYTYPE_P(0) : PG_GETARG_ARRAYTYPE_P_COPY(0);
	counts = counts_of(state);
	value = (uint64) PG_GETARG_INT64(1);
	add(&counts[0], PG_GETARG_INT64(2));
	for (int i = 0; value != 0; i++, value >>= 1)
	{
		if (value & 1)
			add(&counts[1 + i], PG_GETARG_INT64(2));
	}
	PG_RETURN_ARRAYTYPE_P(state);
}

/* streaming_internal.weighted_bits_combine(a int8[], b int8[]), strict */
Datum
streaming_weighted_bits_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *result = PG_GETARG_ARRAYTYPE_P_COPY(0);
	int64	   *counts = counts_of(result);
	int64	   *others = counts_of(PG_GETARG_ARRAYTYPE_P(1));

	for (int i = 0; i < COUNTS; i++)
		add(&counts[i], others[i]);
	PG_RETURN_ARRAYTYPE_P(result);
}

typedef bool (*BitTest) (int64 values, int64 having);

static bool
all_have(int64 values, int64 having)
{
	return having == values;
}

static bool
some_have(int64 values, int64 having)
{
	return having != 0;
}

static bool
odd_have(int64 values, int64 having)
{
	return having % 2 != 0;
}

/* The bits that pass a test; NULL for no values. */
static Datum
bits_of(FunctionCallInfo fcinfo, BitTest test)
{
	int64	   *counts = counts_of(PG_GETARG_ARRAYTYPE_P(0));
	uint64		result = 0;

	if (counts[0] == 0)
		PG_RETURN_NULL();
	for (int i = 0; i < BITS; i++)
	{
		if (test(counts[0], counts[1 + i]))
			result |= UINT64CONST(1) << i;
	}
	PG_RETURN_INT64((int64) result);
}

Datum
streaming_weighted_bit_and(PG_FUNCTION_ARGS)
{
	return bits_of(fcinfo, all_have);
}

Datum
streaming_weighted_bit_or(PG_FUNCTION_ARGS)
{
	return bits_of(fcinfo, some_have);
}

Datum
streaming_weighted_bit_xor(PG_FUNCTION_ARGS)
{
	return bits_of(fcinfo, odd_have);
}

/*
 * streaming_internal.is_narrow(value "any"): of the value itself, however it is stored.
 * NULL and what has a fixed width are narrow.
 */
Datum
streaming_is_narrow(PG_FUNCTION_ARGS)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);

	if (PG_ARGISNULL(0) || !OidIsValid(type) || get_typlen(type) != -1)
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(toast_raw_datum_size(PG_GETARG_DATUM(0)) - VARHDRSZ <= MAX_NARROW);
}
