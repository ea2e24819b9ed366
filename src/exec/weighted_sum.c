/*
 * weighted_sum.c
 *		Sums of numerics that appear and disappear: streaming_internal.weighted_sum, _avg.
 *
 * numeric remembers how many digits a value was written with, and a sum has as many as
 * the value that has most: when that disappears it has fewer.  So the values of each
 * scale are counted; and so are NaN and the infinities, from which nothing comes
 * back.  The state is an array of numerics that are added one by one:
 *
 *	{sum of the finite, NaNs, infinities, -infinities, values of scale 0, of scale 1, ...}
 *
 * What is not there is 0; all values and counts are times their weights.
 *
 * variance_of makes variances and standard deviations of such sums, of values and of their
 * squares, as numeric_stddev_internal in PostgreSQL's numeric.c does of its own: with as
 * many digits.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(streaming_weighted_add);
PG_FUNCTION_INFO_V1(streaming_weighted_combine);
PG_FUNCTION_INFO_V1(streaming_weighted_sum);
PG_FUNCTION_INFO_V1(streaming_weighted_avg);
PG_FUNCTION_INFO_V1(streaming_variance_of);

enum
{
	TOTAL,
	NANS,
	INFINITIES,
	NEGATIVE_INFINITIES,
	SCALES
};

typedef struct Sums
{
	Datum	   *values;
	int			n;
} Sums;

static Datum
numeric_of(int64 value)
{
	return NumericGetDatum(int64_to_numeric(value));
}

static int
sign_of(Datum value)
{
	Datum		zero = numeric_of(0);

	if (DatumGetBool(DirectFunctionCall2(numeric_gt, value, zero)))
		return 1;
	return DatumGetBool(DirectFunctionCall2(numeric_lt, value, zero)) ? -1 : 0;
}

/* With room for at least n; in CurrentMemoryContext. */
static Sums
read_sums(ArrayType *array, int n)
{
	Sums		sums = {NULL, 0};
	Datum	   *values = NULL;

	if (array)
		deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &values, NULL, &sums.n);
	n = Max(n, sums.n);
	sums.values = palloc(sizeof(Datum) * Max(n, 1));
	for (int i = 0; i < n; i++)
		sums.values[i] = i < sums.n ? values[i] : numeric_of(0);
	sums.n = n;
	return sums;
}

static Datum
write_sums(Sums sums)
{
	return PointerGetDatum(construct_array(sums.values, sums.n, NUMERICOID, -1, false, TYPALIGN_INT));
}

static void
add(Sums sums, int i, Datum value)
{
	sums.values[i] = DirectFunctionCall2(numeric_add, sums.values[i], value);
}

/* Where a value is counted. */
static int
counter_of(Numeric value)
{
	if (numeric_is_nan(value))
		return NANS;
	if (numeric_is_inf(value))
		return sign_of(NumericGetDatum(value)) > 0 ? INFINITIES : NEGATIVE_INFINITIES;
	return SCALES + DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(value)));
}

/* streaming_internal.weighted_add(state numeric[], value numeric, weight int8) */
Datum
streaming_weighted_add(PG_FUNCTION_ARGS)
{
	ArrayType  *state = PG_ARGISNULL(0) ? NULL : PG_GETARG_ARRAYTYPE_P(0);
	Datum		weight;
	Numeric		value;
	int			counter;
	Sums		sums;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_ARRAYTYPE_P(state);
	}
	value = PG_GETARG_NUMERIC(1);
	weight = numeric_of(PG_GETARG_INT64(2));
	counter = counter_of(value);
	sums = read_sums(state, counter + 1);
	add(sums, counter, weight);
	if (counter >= SCALES)
		add(sums, TOTAL, DirectFunctionCall2(numeric_mul, NumericGetDatum(value), weight));
	return write_sums(sums);
}

/* streaming_internal.weighted_combine(a numeric[], b numeric[]), strict */
Datum
streaming_weighted_combine(PG_FUNCTION_ARGS)
{
	Sums		a = read_sums(PG_GETARG_ARRAYTYPE_P(0), 0);
	Sums		b = read_sums(PG_GETARG_ARRAYTYPE_P(1), a.n);

	for (int i = 0; i < a.n; i++)
		add(b, i, a.values[i]);
	/* what has gone leaves no trace */
	while (b.n > SCALES && sign_of(b.values[b.n - 1]) == 0)
		b.n--;
	return write_sums(b);
}

/* How many values there are, infinite and not. */
static Datum
count(Sums sums)
{
	Datum		result = numeric_of(0);

	for (int i = NANS; i < sums.n; i++)
		result = DirectFunctionCall2(numeric_add, result, sums.values[i]);
	return result;
}

/* As sum(numeric) says, of one value at least. */
static Datum
total(Sums sums)
{
	bool		infinity = sign_of(sums.values[INFINITIES]) != 0;
	bool		negative = sign_of(sums.values[NEGATIVE_INFINITIES]) != 0;
	int			scale = sums.n - 1 - SCALES;

	if (sign_of(sums.values[NANS]) != 0 || infinity || negative)
		return DirectFunctionCall3(numeric_in,
								   CStringGetDatum(sign_of(sums.values[NANS]) != 0 ||
												   (infinity && negative) ? "NaN" :
												   infinity ? "Infinity" : "-Infinity"),
								   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	while (scale > 0 && sign_of(sums.values[SCALES + scale]) == 0)
		scale--;
	return DirectFunctionCall2(numeric_round, sums.values[TOTAL], Int32GetDatum(scale));
}

/* The result of weighted_sum: NULL for no values. */
Datum
streaming_weighted_sum(PG_FUNCTION_ARGS)
{
	Sums		sums = read_sums(PG_GETARG_ARRAYTYPE_P(0), SCALES);

	if (sign_of(count(sums)) == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(total(sums));
}

Datum
streaming_weighted_avg(PG_FUNCTION_ARGS)
{
	Sums		sums = read_sums(PG_GETARG_ARRAYTYPE_P(0), SCALES);
	Datum		n = count(sums);

	if (sign_of(n) == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall2(numeric_div, total(sums), n));
}

static bool
is_finite(Numeric value)
{
	return !numeric_is_nan(value) && !numeric_is_inf(value);
}

/*
 * The square root, with as many digits behind the point as value has.  numeric_sqrt rounds
 * to more of them where value is large; rounded again it can be too large by one.
 */
static Datum
root_of(Datum value)
{
	int			scale = DatumGetInt32(DirectFunctionCall1(numeric_scale, value));
	Datum		root = DirectFunctionCall2(numeric_round, DirectFunctionCall1(numeric_sqrt, value),
										   Int32GetDatum(scale));
	Datum		half = NumericGetDatum(int64_div_fast_to_numeric(5, scale + 1));
	Datum		below = DirectFunctionCall2(numeric_sub, root, half);

	if (sign_of(below) < 0 ||
		sign_of(DirectFunctionCall2(numeric_sub, value,
									DirectFunctionCall2(numeric_mul, below, below))) >= 0)
		return root;
	return DirectFunctionCall2(numeric_sub, root,
							   NumericGetDatum(int64_div_fast_to_numeric(1, scale)));
}

/*
 * streaming_internal.variance_of(count int8, sum numeric, squares numeric, of_sample bool,
 * root bool): NULL for too few values
 */
Datum
streaming_variance_of(PG_FUNCTION_ARGS)
{
	Datum		n;
	Datum		sum;
	Datum		numerator;
	Datum		result;
	bool		of_sample;

	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	}
	of_sample = PG_GETARG_BOOL(3);
	if (PG_GETARG_INT64(0) < (of_sample ? 2 : 1))
		PG_RETURN_NULL();
	if (!is_finite(PG_GETARG_NUMERIC(1)) || !is_finite(PG_GETARG_NUMERIC(2)))
		return DirectFunctionCall3(numeric_in, CStringGetDatum("NaN"), ObjectIdGetDatum(InvalidOid),
								   Int32GetDatum(-1));
	n = numeric_of(PG_GETARG_INT64(0));
	sum = PG_GETARG_DATUM(1);
	numerator = DirectFunctionCall2(numeric_sub,
									DirectFunctionCall2(numeric_mul, n, PG_GETARG_DATUM(2)),
									DirectFunctionCall2(numeric_mul, sum, sum));
	if (sign_of(numerator) <= 0)
		PG_RETURN_DATUM(numeric_of(0));
	result = DirectFunctionCall2(numeric_div, numerator,
								 DirectFunctionCall2(numeric_mul, n,
													 of_sample ? numeric_of(PG_GETARG_INT64(0) - 1) : n));
	PG_RETURN_DATUM(PG_GETARG_BOOL(4) ? root_of(result) : result);
}
