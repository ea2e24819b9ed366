/* decode_protobuf.cc: see decode.h.  A message of protoc's, used again for each record. */
#include "order.pb.h"

#include "decode.h"

int
main(int, char **argv)
{
	Records		records = read_file(argv[1]);
	Order		order;
	size_t		at = 0,
				length;
	int64_t		count = 0,
				sum = 0;
	double		begin = cpu_us();

	while (char *record = next_record(&records, &at, &length))
	{
		if (!order.ParseFromArray(record, (int) length))
			fatal(argv[1], "not an order");
		sum += order.id() + (order.at().seconds() < 0) + (order.at().nanos() < 0);
		sum += order.day().size() - sizeof("2026-01-01") + 1;
		sum += order.customer().size() + order.city().size() + order.note().size();
		sum += order.quantity() + order.points() + lround(order.price() * 100) + order.paid();
		count++;
	}
	print_result(count, cpu_us() - begin, sum);
	return 0;
}
