/* decode_json.cc: see decode.h.  simdjson's On-Demand API. */
#include <simdjson.h>

#include "decode.h"

int
main(int, char **argv)
{
	Records		records = read_file(argv[1]);
	simdjson::ondemand::parser parser;
	size_t		at = 0,
				length;
	int64_t		count = 0,
				sum = 0;
	double		begin = cpu_us();

	while (char *record = next_record(&records, &at, &length))
	{
		auto		document = parser.iterate(record, length, records.data + records.capacity - record);
		simdjson::ondemand::object order = document.get_object();

		sum += order["id"].get_int64();
		sum += order["at"].get_string().value().size() - sizeof("2026-01-01T00:00:00.000000Z") + 1;
		sum += order["day"].get_string().value().size() - sizeof("2026-01-01") + 1;
		sum += order["customer"].get_string().value().size();
		sum += order["city"].get_string().value().size();
		sum += order["note"].get_string().value().size();
		sum += order["quantity"].get_int64();
		sum += order["points"].get_int64();
		sum += lround(order["price"].get_double() * 100);
		sum += order["paid"].get_bool().value();
		count++;
	}
	print_result(count, cpu_us() - begin, sum);
	return 0;
}
