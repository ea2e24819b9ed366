# The wall clock is set back, and forth: views go on, and what is taken is removed.
#
# The server runs with a clock of the test's: a library that adds to the wall
# clock what a file says.

use strict;
use warnings;

use StreamingTest;
use Test::More;

plan skip_all => 'an address sanitizer must be loaded before the library that shifts the clock' if $ENV{ASAN_OPTIONS};

my $dir = PostgreSQL::Test::Utils::tempdir();
my $offset = "$dir/offset";

PostgreSQL::Test::Utils::append_to_file("$dir/clock.c", <<'C');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset;	/* seconds */

__attribute__((constructor)) static void
map_offset(void)
{
	int			fd = open(getenv("TEST_CLOCK_OFFSET"), O_RDONLY);
	void	   *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);

	offset = map == MAP_FAILED ? NULL : map;
	if (fd >= 0)
		close(fd);
}

int
clock_gettime(clockid_t id, struct timespec *at)
{
	static int	(*real) (clockid_t, struct timespec *);
	int			result;

	if (!real)
		*(void **) &real = dlsym(RTLD_NEXT, "clock_gettime");
	result = real(id, at);
	if (offset && id == CLOCK_REALTIME)
		at->tv_sec += *offset;
	return result;
}

int
gettimeofday(struct timeval *at, void *zone)
{
	struct timespec now;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &now);
	at->tv_sec = now.tv_sec;
	at->tv_usec = now.tv_nsec / 1000;
	return 0;
}
C
PostgreSQL::Test::Utils::system_or_bail('cc', '-shared', '-fPIC', '-O2', '-o', "$dir/clock.so", "$dir/clock.c", '-ldl');

sub set_clock
{
	my ($seconds) = @_;
	my $new = pack 'l!', $seconds;

	# In place: the server has it in its memory.
	open my $out, (-e $offset ? '+<' : '>'), $offset or die "$offset: $!";
	syswrite $out, $new;
	close $out;
}

set_clock(0);
chmod 0644, $offset;
my $node;
{
	local $ENV{TEST_CLOCK_OFFSET} = $offset;
	local $ENV{LD_PRELOAD} = "$dir/clock.so";
	$node = new_node('main', 'streaming.buffer_size = 1MB', 'streaming.retry_max = 1s', 'streaming.query_workers = 1');
}
my $landing = $node->basedir . '/landing';
mkdir $landing;

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s (k int, t text) SERVER streaming;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$landing');
CREATE FOREIGN TABLE f (k int) SERVER landing OPTIONS (path '*.json');
CREATE TABLE divisor (d int);
INSERT INTO divisor VALUES (0);
CREATE VIEW asap WITH (streaming.trigger = 'asap') AS SELECT count(*) AS n FROM s;
CREATE VIEW often WITH (streaming.trigger = '1 second') AS SELECT count(*) AS n FROM s;
CREATE VIEW files WITH (streaming.trigger = '1 second') AS SELECT count(*) AS n FROM f;
CREATE VIEW failing WITH (streaming.trigger = 'asap') AS SELECT count(s.k / d) AS n FROM s, divisor;
SQL

my $rows = 0;
my $files = 0;

sub goes_on
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $round (1 .. 2)
	{
		$rows += 10;
		$node->safe_psql('postgres', 'INSERT INTO s SELECT generate_series(1, 10)');
		put_file($landing, ++$files . '.json', qq({"k": 1}\n));
		ok(wait_for($node, 'SELECT n FROM asap', $rows), "$name: an asap view");
		ok(wait_for($node, 'SELECT n FROM often', $rows), "$name: a view with an interval");
		ok(wait_for($node, 'SELECT n FROM files', $files), "$name: one of files");
	}
}

sub now { return $node->safe_psql('postgres', 'SELECT extract(epoch FROM now())::bigint') }

my $before = now();
goes_on('before');
ok(wait_for($node, q(SELECT status FROM streaming.views WHERE view = 'failing'::regclass), 'retrying'), 'one fails, and is tried again');

set_clock(-36000);
cmp_ok(now(), '<', $before - 30000, 'the clock has been set back by ten hours');
goes_on('set back');
$node->safe_psql('postgres', 'UPDATE divisor SET d = 1');
ok(wait_for($node, 'SELECT n FROM failing', $rows), 'the one that failed is tried again');

# Enough for both tables of the stream.
my $pushed = q(SELECT coalesce(sum(pg_relation_size(oid)), 0) < 2000000 FROM pg_class
	WHERE relnamespace = 'streaming_internal'::regnamespace AND relname ~ '^push');
foreach my $round (1 .. 6)
{
	$rows += 10000;
	$node->safe_psql('postgres', "INSERT INTO s SELECT i, repeat('x', 100) FROM generate_series(1, 10000) i");
	ok(wait_for($node, "SELECT n = $rows FROM asap"), 'many rows') && ok(wait_for($node, $pushed), 'are removed when they are taken');
}

set_clock(36000);
goes_on('set forth');
set_clock(0);
goes_on('and right');

$node->stop;
done_testing();
