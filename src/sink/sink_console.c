/*
 * sink_console.c
 *		The server log as a sink: what a batch has written, as a table.
 *
 *	LOG:  batch 3 of continuous view "totals"
 *		 shop  | total
 *		-------+-------
 *		 north |    12
 *		(1 row)
 *
 * At most MAX_ROWS rows are shown, and of a value at most MAX_WIDTH characters,
 * so that memory is bounded whatever the batch is.  The message is written before
 * the batch is committed: one that fails after that is shown again when it is
 * tried again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "sink/sink_rows.h"

#define MAX_ROWS	20
#define MAX_WIDTH	40			/* characters of a value */

typedef struct ConsoleColumn
{
	char	   *name;
	Oid			output;			/* function */
	bool		right;			/* numbers are aligned to the right */
} ConsoleColumn;

typedef struct ConsoleSink
{
	StreamingSink base;
	StreamingStatement result;	/* complete mode */
	int			ncolumns;
	ConsoleColumn *columns;
} ConsoleSink;

/* The rows of one batch. */
typedef struct ConsoleTable
{
	ConsoleSink *sink;
	MemoryContext context;
	MemoryContext row_context;	/* for the output functions */
	int			nrows;			/* in cells */
	int64		total;
	char	  **cells[MAX_ROWS];
} ConsoleTable;

static StreamingSink *
console_open(StreamingProgram *program)
{
	ConsoleSink *sink = palloc0(sizeof(ConsoleSink));
	StreamingStage *stage = streaming_last_stage(program);

	sink->ncolumns = stage->noutputs;
	sink->columns = palloc0(sizeof(ConsoleColumn) * Max(sink->ncolumns, 1));
	for (int i = 0; i < sink->ncolumns; i++)
	{
		ConsoleColumn *column = &sink->columns[i];
		Oid			type = stage->outputs[i].type;
		char		category;
		bool		preferred;
		bool		varlena;

		get_type_category_preferred(getBaseType(type), &category, &preferred);
		getTypeOutputInfo(type, &column->output, &varlena);
		column->name = stage->outputs[i].name;
		column->right = category == TYPCATEGORY_NUMERIC;
	}
	return &sink->base;
}

/* Width of a string of the database's encoding on a terminal. */
static int
width_of(const char *string)
{
	int			width = 0;

	for (const char *p = string; *p; p += pg_mblen(p))
		width += Max(pg_encoding_dsplen(GetDatabaseEncoding(), p), 0);
	return width;
}

/* A value in one line, cut if it is long. */
static char *
make_cell(const char *value)
{
	StringInfoData buf;
	int			n = 0;

	initStringInfo(&buf);
	for (const char *p = value; *p; p += pg_mblen(p))
	{
		if (n++ == MAX_WIDTH)
		{
			appendStringInfoString(&buf, "...");
			break;
		}
		if (*p == '\n')
			appendStringInfoString(&buf, "\\n");
		else if ((unsigned char) *p < ' ' || *p == 0x7f)
			appendStringInfo(&buf, "\\x%02x", (unsigned char) *p);
		else
			appendBinaryStringInfo(&buf, p, pg_mblen(p));
	}
	return buf.data;
}

static void
add_row(void *arg, int sign, TupleTableSlot *slot)
{
	ConsoleTable *table = arg;
	ConsoleSink *sink = table->sink;
	MemoryContext old;
	char	  **cells;

	if (sign < 0 || table->total++ >= MAX_ROWS)
		return;
	slot_getallattrs(slot);
	cells = MemoryContextAllocZero(table->context, sizeof(char *) * Max(sink->ncolumns, 1));
	for (int i = 0; i < sink->ncolumns; i++)
	{
		char	   *value = "";

		MemoryContextReset(table->row_context);
		old = MemoryContextSwitchTo(table->row_context);
		if (!slot->tts_isnull[i])
			value = OidOutputFunctionCall(sink->columns[i].output, slot->tts_values[i]);
		MemoryContextSwitchTo(table->context);
		cells[i] = make_cell(value);
		MemoryContextSwitchTo(old);
	}
	table->cells[table->nrows++] = cells;
}

static void
append_cell(StringInfo buf, const char *value, int width, bool right, bool last)
{
	int			fill = width - width_of(value);

	appendStringInfo(buf, " %*s%s", right ? fill : 0, "", value);
	if (!last)
		appendStringInfo(buf, "%*s |", right ? 0 : fill, "");
}

static char *
format_table(ConsoleTable *table)
{
	ConsoleSink *sink = table->sink;
	int		   *widths = palloc0(sizeof(int) * Max(sink->ncolumns, 1));
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < sink->ncolumns; i++)
	{
		widths[i] = width_of(sink->columns[i].name);
		for (int row = 0; row < table->nrows; row++)
			widths[i] = Max(widths[i], width_of(table->cells[row][i]));
	}
	for (int i = 0; i < sink->ncolumns; i++)
		append_cell(&buf, sink->columns[i].name, widths[i], false, i == sink->ncolumns - 1);
	appendStringInfoChar(&buf, '\n');
	for (int i = 0; i < sink->ncolumns; i++)
	{
		for (int n = 0; n < widths[i] + 2; n++)
			appendStringInfoChar(&buf, '-');
		if (i < sink->ncolumns - 1)
			appendStringInfoChar(&buf, '+');
	}
	appendStringInfoChar(&buf, '\n');
	for (int row = 0; row < table->nrows; row++)
	{
		for (int i = 0; i < sink->ncolumns; i++)
			append_cell(&buf, table->cells[row][i], widths[i], sink->columns[i].right,
						i == sink->ncolumns - 1);
		appendStringInfoChar(&buf, '\n');
	}
	appendStringInfo(&buf, table->total == 1 ? "(" INT64_FORMAT " row)" : "(" INT64_FORMAT " rows)",
					 table->total);
	if (table->total > table->nrows)
		appendStringInfo(&buf, "\nonly showing the first %d rows", table->nrows);
	return buf.data;
}

static void
console_write(StreamingSink *base, StreamingDelta *changes)
{
	ConsoleTable table = {(ConsoleSink *) base, CurrentMemoryContext};

	table.row_context = AllocSetContextCreate(CurrentMemoryContext, "streaming console",
											  ALLOCSET_DEFAULT_SIZES);
	streaming_sink_rows(base, changes, &table.sink->result, add_row, &table);
	MemoryContextDelete(table.row_context);
	/* a filter that lets nothing pass is not worth a message */
	if (changes && table.total == 0)
		return;
	ereport(LOG,
			(errhidecontext(true),
			 errmsg("batch " INT64_FORMAT " of continuous view \"%s\"\n%s", base->batch_id,
					get_rel_name(base->view), format_table(&table))));
}

static void
console_close(StreamingSink *base)
{
	streaming_statement_free(&((ConsoleSink *) base)->result);
}

const StreamingSinkRoutine streaming_sink_console = {
	.name = "console",
	.open = console_open,
	.write = console_write,
	.close = console_close,
};
