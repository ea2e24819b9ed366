/* decode_avro.c: see decode.h.  libavro's generic value, used again for each record. */
#include <avro.h>

#include "decode.h"

int
main(int argc, char **argv)
{
	Records		records = read_file(argv[1]);
	Records		text = read_file(argv[argc - 1]);
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t order,
				fields[10];
	avro_reader_t reader = avro_reader_memory(records.data, (int64_t) records.size);
	size_t		at = 0,
				length;
	int64_t		count = 0,
				sum = 0;
	double		begin;
	char	   *record;

	if (avro_schema_from_json_length(text.data, text.size, &schema) != 0)
		fatal(argv[argc - 1], avro_strerror());
	iface = avro_generic_class_from_schema(schema);
	avro_generic_value_new(iface, &order);
	for (size_t i = 0; i < 10; i++)
		avro_value_get_by_index(&order, i, &fields[i], NULL);

	begin = cpu_us();
	while ((record = next_record(&records, &at, &length)) != NULL)
	{
		int64_t		id,
					us;
		int32_t		day,
					quantity,
					points;
		const char *string;
		size_t		size;
		double		price;
		int			paid;

		avro_reader_memory_set_source(reader, record, (int64_t) length);
		if (avro_value_read(reader, &order) != 0)
			fatal(argv[1], avro_strerror());
		avro_value_get_long(&fields[0], &id);
		avro_value_get_long(&fields[1], &us);
		avro_value_get_int(&fields[2], &day);
		sum += id + (us < 0) + (day < 0);
		for (int i = 3; i < 6; i++)
		{
			avro_value_get_string(&fields[i], &string, &size);
			sum += (int64_t) size - 1;	/* without its NUL */
		}
		avro_value_get_int(&fields[6], &quantity);
		avro_value_get_int(&fields[7], &points);
		avro_value_get_double(&fields[8], &price);
		avro_value_get_boolean(&fields[9], &paid);
		sum += quantity + points + lround(price * 100) + paid;
		count++;
	}
	print_result(count, cpu_us() - begin, sum);
	return 0;
}
