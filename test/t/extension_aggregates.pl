# Aggregates of other extensions are combined like PostgreSQL's own.
use strict;
use warnings;
use StreamingTest;
use Test::More;

my $node = new_node('extensions');
my %query = (
	hll => 'SELECT k, hll_cardinality(hll_add_agg(hll_hash_integer(v))) AS n FROM STREAM s GROUP BY k',
	tdigest => 'SELECT k, round(tdigest_percentile(v, 1000, 0.5)::numeric, 6) AS median FROM STREAM s GROUP BY k');

foreach my $extension (sort keys %query)
{
  SKIP:
	{
		skip "extension $extension is not installed", 2
		  if $node->safe_psql('postgres',
			"SELECT count(*) FROM pg_available_extensions WHERE name = '$extension'") eq '0';

		$node->safe_psql('postgres', <<SQL);
CREATE EXTENSION $extension;
CREATE FOREIGN TABLE s_$extension (k int, v int) SERVER streaming;
CREATE TABLE ${extension}_plain (k int, v int);
CREATE VIEW v_$extension WITH (streaming.trigger = 'manual')
    AS @{[ $query{$extension} =~ s/STREAM/s_$extension/r ]};
SQL
		foreach my $batch (1 .. 3)
		{
			$node->safe_psql('postgres', <<SQL);
WITH r AS (INSERT INTO ${extension}_plain SELECT i % 7, i * $batch FROM generate_series(1, 500) i RETURNING *)
INSERT INTO s_$extension SELECT * FROM r;
SQL
			drain($node, "v_$extension");
		}
		same_as_batch($node, "v_$extension", $query{$extension} =~ s/STREAM/${extension}_plain/r, "$extension: ");
		like($node->safe_psql('postgres', "SELECT streaming.explain('v_$extension')"),
			qr/combined by/, "$extension is combined");
	}
}

$node->stop;
done_testing();
