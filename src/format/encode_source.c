/*
 * encode_source.c
 *		Where the fields of a record that has a schema come from: columns and attributes.
 */
#include "postgres.h"

#include "streaming.h"

#include "access/htup_details.h"
#include "format/encode_source.h"
#include "funcapi.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

StreamingEncodeSource *
streaming_encode_columns(const StreamingStream *stream, const int *columns, int n)
{
	StreamingEncodeSource *sources = palloc(sizeof(StreamingEncodeSource) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		const StreamingColumn *column = &stream->columns[columns[i]];

		sources[i].name = column->npath == 1 ? column->path[0] : column->field;
		sources[i].column = column->name;
		sources[i].attnum = columns[i] + 1;
		sources[i].type = column->type;
		sources[i].typmod = column->typmod;
	}
	return sources;
}

StreamingEncodeSource *
streaming_encode_attributes(Oid type, int32 typmod, int *n)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, typmod);
	StreamingEncodeSource *sources = palloc(sizeof(StreamingEncodeSource) * Max(desc->natts, 1));

	*n = 0;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		sources[*n].name = sources[*n].column = pstrdup(NameStr(att->attname));
		sources[*n].attnum = i + 1;
		sources[*n].type = att->atttypid;
		sources[(*n)++].typmod = att->atttypmod;
	}
	ReleaseTupleDesc(desc);
	return sources;
}

const char *
streaming_encode_record_name(const StreamingStream *stream)
{
	const char *name = get_rel_name(stream->relid);

	return stream->is_key ? psprintf("%s_key", name) : name;
}

int *
streaming_encode_deform(Datum composite, Datum **values, bool **isnull)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(composite);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};
	int		   *present = palloc(sizeof(int) * Max(desc->natts, 1));
	int			n = 0;

	*values = palloc(sizeof(Datum) * Max(desc->natts, 1));
	*isnull = palloc(sizeof(bool) * Max(desc->natts, 1));
	heap_deform_tuple(&tuple, desc, *values, *isnull);
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			present[n++] = i;
	ReleaseTupleDesc(desc);
	return present;
}
