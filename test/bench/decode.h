/*
 * decode.h
 *	  What the decoders of the case "formats" share.
 *
 *	decode_FORMAT FILE [SCHEMA]		the orders that generate has printed
 *
 * Each decodes all ten fields of every record, with its format's usual library, and
 * prints "records N cpu_us_per_record U sum S".  The file is in memory before the
 * clock starts.  The sum is of what all of them find in the fields, so that none can
 * leave any out: of id, quantity and points, paid, the cents of the price and the
 * lengths of the texts.
 */
#ifndef DECODE_H
#define DECODE_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* simdjson reads a little past the end of what it is given */
#define DECODE_PADDING 64

typedef struct Records
{
	char	   *data;
	size_t		size;
	size_t		capacity;
} Records;

static void
fatal(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static Records
read_file(const char *name)
{
	Records		records;
	FILE	   *file = fopen(name, "rb");
	long		size;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		fatal(name, "cannot be read");
	rewind(file);
	records.size = (size_t) size;
	records.capacity = records.size + DECODE_PADDING;
	records.data = (char *) calloc(records.capacity, 1);
	if (records.data == NULL || fread(records.data, 1, records.size, file) != records.size)
		fatal(name, "cannot be read");
	fclose(file);
	return records;
}

/* The next record, or NULL. */
static inline char *
next_record(const Records *records, size_t *at, size_t *length)
{
	uint32_t	prefix;
	char	   *record;

	if (*at >= records->size)
		return NULL;
	memcpy(&prefix, records->data + *at, sizeof(prefix));
	record = records->data + *at + sizeof(prefix);
	*length = prefix;
	*at += sizeof(prefix) + prefix;
	return record;
}

static double
cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
		(double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
print_result(int64_t count, double us, int64_t sum)
{
	printf("records %" PRId64 " cpu_us_per_record %.4f sum %" PRId64 "\n", count, us / (double) count, sum);
}

#endif							/* DECODE_H */
