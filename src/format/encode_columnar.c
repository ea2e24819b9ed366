/*
 * encode_columnar.c
 *		Rows -> messages for columnar_write.c.
 *
 *		length of what follows | columns: kind, precision, scale, length, name | values
 *
 * A value is a byte that says whether there is one, and if so its bytes, behind their
 * number where the kind has no fixed one.  Numbers are native: a message does not leave
 * the server.
 */
#include "postgres.h"

#include "streaming.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "format/columnar_write.h"
#include "format/encode_value.h"
#include "format/columnar_kinds.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#if __has_include("varatt.h")	/* split from postgres.h in 16 */
#include "varatt.h"
#endif

#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* Digits of a decimal of 16 bytes. */
#define MAX_PRECISION	38

typedef struct EncodedColumn
{
	int			index;			/* in values */
	const char *name;			/* for messages */
	char		kind;			/* STREAMING_COLUMNAR_* */
	int			precision;
	int			scale;
	StreamingValueEncoder *text;
} EncodedColumn;

struct StreamingColumnarEncoder
{
	EncodedColumn *columns;
	int			ncolumns;
	StringInfoData header;
};

static void choose_kind(EncodedColumn *column, Oid type, int32 typmod);
static void append_value(const EncodedColumn *column, Datum value, StringInfo buf);
static void append_decimal(const EncodedColumn *column, Datum value, StringInfo buf);
pg_noreturn static void refuse_value(const EncodedColumn *column);

StreamingColumnarEncoder *
streaming_columnar_encoder_open(StreamingStream *stream, const int *columns, int ncolumns, int *needs)
{
	StreamingColumnarEncoder *encoder = palloc0(sizeof(StreamingColumnarEncoder));
	uint32		length = 0;

	encoder->columns = palloc0(sizeof(EncodedColumn) * ncolumns);
	encoder->ncolumns = ncolumns;
	initStringInfo(&encoder->header);
	appendBinaryStringInfo(&encoder->header, (char *) &length, sizeof(length));
	for (int i = 0; i < ncolumns; i++)
	{
		EncodedColumn *column = &encoder->columns[i];
		const StreamingColumn *of = &stream->columns[columns[i]];
		const char *field = of->npath == 1 ? of->path[0] : of->field;
		int32		typmod = of->typmod;
		Oid			type = getBaseTypeAndTypmod(of->type, &typmod);
		const char *name = pg_server_to_any(field, strlen(field), PG_UTF8);
		uint16		name_length = strlen(name);

		column->index = columns[i];
		column->name = of->name;
		choose_kind(column, type, typmod);
		if (column->kind == STREAMING_COLUMNAR_TEXT || column->kind == STREAMING_COLUMNAR_JSON)
		{
			column->text = streaming_value_encoder_open(of);
			*needs |= streaming_value_needs(column->text);
		}
		appendStringInfoChar(&encoder->header, column->kind);
		appendStringInfoChar(&encoder->header, column->precision);
		appendStringInfoChar(&encoder->header, column->scale);
		appendBinaryStringInfo(&encoder->header, (char *) &name_length, sizeof(name_length));
		appendBinaryStringInfo(&encoder->header, name, name_length);
	}
	length = encoder->header.len - sizeof(length);
	memcpy(encoder->header.data, &length, sizeof(length));
	return encoder;
}

static void
choose_kind(EncodedColumn *column, Oid type, int32 typmod)
{
	switch (type)
	{
		case BOOLOID:
			column->kind = STREAMING_COLUMNAR_BOOL;
			break;
		case INT2OID:
			column->kind = STREAMING_COLUMNAR_INT2;
			break;
		case INT4OID:
			column->kind = STREAMING_COLUMNAR_INT4;
			break;
		case INT8OID:
			column->kind = STREAMING_COLUMNAR_INT8;
			break;
		case FLOAT4OID:
			column->kind = STREAMING_COLUMNAR_FLOAT4;
			break;
		case FLOAT8OID:
			column->kind = STREAMING_COLUMNAR_FLOAT8;
			break;
		case DATEOID:
			column->kind = STREAMING_COLUMNAR_DATE;
			break;
		case TIMEOID:
			column->kind = STREAMING_COLUMNAR_TIME;
			break;
		case TIMESTAMPOID:
			column->kind = STREAMING_COLUMNAR_TIMESTAMP;
			break;
		case TIMESTAMPTZOID:
			column->kind = STREAMING_COLUMNAR_TIMESTAMPTZ;
			break;
		case UUIDOID:
			column->kind = STREAMING_COLUMNAR_UUID;
			break;
		case BYTEAOID:
			column->kind = STREAMING_COLUMNAR_BYTEA;
			break;
		case JSONOID:
		case JSONBOID:
			column->kind = STREAMING_COLUMNAR_JSON;
			break;
		case NUMERICOID:
			column->kind = STREAMING_COLUMNAR_TEXT;
			if (typmod >= (int32) VARHDRSZ)
			{
				/* As numeric.c packs them; the scale is a signed number of 11 bits. */
				column->precision = (typmod - VARHDRSZ) >> 16 & 0xffff;
				column->scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
				if (column->precision <= MAX_PRECISION && column->scale >= 0 && column->scale <= column->precision)
					column->kind = STREAMING_COLUMNAR_DECIMAL;
				else
					column->precision = column->scale = 0;
			}
			break;
		default:
			column->kind = STREAMING_COLUMNAR_TEXT;
			break;
	}
}

void
streaming_columnar_encode(StreamingColumnarEncoder *encoder, Datum *values, bool *isnull, StringInfo buf)
{
	appendBinaryStringInfo(buf, encoder->header.data, encoder->header.len);
	for (int i = 0; i < encoder->ncolumns; i++)
	{
		const EncodedColumn *column = &encoder->columns[i];

		appendStringInfoCharMacro(buf, isnull[column->index] ? 0 : 1);
		if (!isnull[column->index])
			append_value(column, values[column->index], buf);
	}
}

void
streaming_columnar_encode_header(StreamingColumnarEncoder *encoder, StringInfo buf)
{
	appendBinaryStringInfo(buf, encoder->header.data, encoder->header.len);
}

static void
append_value(const EncodedColumn *column, Datum value, StringInfo buf)
{
	char		one;
	int16		two;
	int32		four;
	int64		eight;
	float4		real;
	float8		number;
	const char *data;
	size_t		length;

	switch (column->kind)
	{
		case STREAMING_COLUMNAR_BOOL:
			one = DatumGetBool(value);
			appendStringInfoChar(buf, one);
			return;
		case STREAMING_COLUMNAR_INT2:
			two = DatumGetInt16(value);
			appendBinaryStringInfo(buf, (char *) &two, sizeof(two));
			return;
		case STREAMING_COLUMNAR_INT4:
			four = DatumGetInt32(value);
			appendBinaryStringInfo(buf, (char *) &four, sizeof(four));
			return;
		case STREAMING_COLUMNAR_INT8:
			eight = DatumGetInt64(value);
			appendBinaryStringInfo(buf, (char *) &eight, sizeof(eight));
			return;
		case STREAMING_COLUMNAR_FLOAT4:
			real = DatumGetFloat4(value);
			appendBinaryStringInfo(buf, (char *) &real, sizeof(real));
			return;
		case STREAMING_COLUMNAR_FLOAT8:
			number = DatumGetFloat8(value);
			appendBinaryStringInfo(buf, (char *) &number, sizeof(number));
			return;
		case STREAMING_COLUMNAR_DATE:
			four = DatumGetDateADT(value);
			if (DATE_NOT_FINITE(four))
				refuse_value(column);
			four += EPOCH_DAYS;
			appendBinaryStringInfo(buf, (char *) &four, sizeof(four));
			return;
		case STREAMING_COLUMNAR_TIME:
			/* 24:00 makes a file that readers refuse as a whole. */
			eight = DatumGetTimeADT(value);
			if (eight >= USECS_PER_DAY)
				refuse_value(column);
			appendBinaryStringInfo(buf, (char *) &eight, sizeof(eight));
			return;
		case STREAMING_COLUMNAR_TIMESTAMP:
		case STREAMING_COLUMNAR_TIMESTAMPTZ:
			eight = DatumGetTimestamp(value);
			if (TIMESTAMP_NOT_FINITE(eight) ||
				pg_add_s64_overflow(eight, EPOCH_DAYS * USECS_PER_DAY, &eight))
				refuse_value(column);
			appendBinaryStringInfo(buf, (char *) &eight, sizeof(eight));
			return;
		case STREAMING_COLUMNAR_UUID:
			appendBinaryStringInfo(buf, (char *) DatumGetUUIDP(value)->data, UUID_LEN);
			return;
		case STREAMING_COLUMNAR_DECIMAL:
			append_decimal(column, value, buf);
			return;
		case STREAMING_COLUMNAR_BYTEA:
			{
				struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

				data = VARDATA_ANY(bytes);
				length = VARSIZE_ANY_EXHDR(bytes);
			}
			break;
		default:
			{
				const char *text = streaming_value_text(column->text, value, &length);

				data = pg_server_to_any(text, length, PG_UTF8);
				if (data != text)
					length = strlen(data);
			}
			break;
	}
	four = length;
	appendBinaryStringInfo(buf, (char *) &four, sizeof(four));
	appendBinaryStringInfo(buf, data, length);
}

/* As a number without its point, of 16 bytes. */
static void
append_decimal(const EncodedColumn *column, Datum value, StringInfo buf)
{
	const char *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));
	const char *p = text + (text[0] == '-');
	int			scale = -1;		/* -1: no point yet */
	unsigned __int128 amount = 0;
	__int128	number;

	for (; *p; p++)
	{
		if (*p == '.' && scale < 0)
			scale = 0;
		else if (*p < '0' || *p > '9')
			refuse_value(column);
		else
		{
			amount = amount * 10 + (*p - '0');
			scale += scale >= 0;
		}
	}
	for (scale = Max(scale, 0); scale < column->scale; scale++)
		amount *= 10;
	number = text[0] == '-' ? -(__int128) amount : (__int128) amount;
	appendBinaryStringInfo(buf, (char *) &number, sizeof(number));
}

static void
refuse_value(const EncodedColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value of column \"%s\" cannot be written to a Parquet or Arrow file", column->name),
			 errdetail("It has nothing for infinite times, for the time of day 24:00 and for NaN as a decimal."),
			 errhint("Use a column of another type, such as text.")));
}
