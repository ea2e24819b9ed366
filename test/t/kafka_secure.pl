# A broker that wants SASL over SSL: secrets in user mappings, read and written
# with the rights of those they belong to.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->new('secure');
my $node = new_node('main', 'streaming.retry_max = 200ms', 'streaming.connect_timeout = 5s');
my $topic = $kafka->create_topic('secret', 2);
my $address = $kafka->secure_address;
my $certificate = $kafka->certificate;

$kafka->produce($topic, $_, [ map { qq({"n": $_}) } 1 .. 100 ]) foreach 0 .. 1;
$node->safe_psql('postgres', <<SQL);
CREATE ROLE app;
CREATE ROLE stranger;
GRANT CREATE ON SCHEMA public TO app;
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '$address',
	security_protocol 'SASL_SSL', sasl_mechanism 'PLAIN', ssl_ca_location '$certificate');
CREATE SERVER unknown_ca FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '$address',
	security_protocol 'SASL_SSL', sasl_mechanism 'PLAIN');
GRANT USAGE ON FOREIGN SERVER broker, unknown_ca TO app, stranger;
CREATE USER MAPPING FOR app SERVER broker OPTIONS (sasl_username 'app', sasl_password 'app''s secret');
CREATE USER MAPPING FOR app SERVER unknown_ca OPTIONS (sasl_username 'app', sasl_password 'app''s secret');
SET ROLE app;
CREATE FOREIGN TABLE events (n int) SERVER broker OPTIONS (topic '$topic');
CREATE FOREIGN TABLE not_trusted (n int) SERVER unknown_ca OPTIONS (topic '$topic');
CREATE VIEW total WITH (streaming.continuous) AS SELECT count(*) AS n, sum(n) FROM events;
GRANT SELECT ON events TO stranger;
SQL
drain($node, 'total');
is($node->safe_psql('postgres', 'SELECT * FROM total'), '200|10100', 'a view reads with its owner\'s secrets');
is($node->safe_psql('postgres', 'SET ROLE app; SELECT count(*) FROM events'), 200, 'and so does a batch');

$node->safe_psql('postgres', 'SET ROLE app; INSERT INTO events SELECT 1000 FROM generate_series(1, 50)');
ok(wait_for($node, 'SELECT n FROM total', 250), 'rows are written, too');
is(scalar(grep { $_->[3] eq '{"n":1000}' } $kafka->consume($topic)), 50, 'as others see');

# The view of a role that has none is fed, and waited for, with those of the stream's owner.
$node->safe_psql('postgres', <<SQL);
GRANT CREATE ON SCHEMA public TO stranger;
SET ROLE stranger;
CREATE VIEW theirs WITH (streaming.continuous) AS SELECT count(*) AS n FROM events;
SELECT streaming.drain('theirs', '$deadline s');
SQL
is($node->safe_psql('postgres', 'SELECT n FROM theirs'), 250, 'a view over a stream of another role is drained');

my (undef, undef, $err) = $node->psql('postgres', 'SET ROLE stranger; SELECT count(*) FROM events; SELECT count(*) FROM events; SELECT count(*) FROM events', on_error_stop => 0);
is(scalar(() = $err =~ /ERROR:  could not create a Kafka client/g), 3, 'who has no secrets cannot read, however often') or diag($err);
(undef, undef, $err) = $node->psql('postgres', 'SET ROLE app; SELECT count(*) FROM not_trusted');
like($err, qr/ERROR:.*(certificate|SSL|verify)/s, 'nor does it talk to a broker whose certificate it does not know');

# A password that is not right any more: visible, and mended without a loss.
$node->safe_psql('postgres', q(ALTER USER MAPPING FOR app SERVER broker OPTIONS (SET sasl_password 'wrong')));
ok(wait_for($node, q(SELECT string_agg(last_error, ' ') FROM streaming.stat_streams WHERE stream = 'events'::regclass), qr/[Aa]uthentication/), 'a wrong password is shown');
$kafka->produce($topic, 0, ['{"n": 5}']);
$node->safe_psql('postgres', q(ALTER USER MAPPING FOR app SERVER broker OPTIONS (SET sasl_password 'app''s secret')));
ok(wait_for($node, 'SELECT n FROM total', 251), 'the right one lets it go on');
drain($node, 'total');
ok(wait_for($node, q(SELECT count(*) FROM streaming.stat_streams WHERE stream = 'events'::regclass AND last_error IS NOT NULL), '0'), 'out of trouble');

# Nobody sees them who may not.
is($node->safe_psql('postgres', q(SET ROLE stranger; SELECT count(*) FROM pg_user_mappings WHERE umoptions::text LIKE '%secret%')), 0, 'secrets are hidden in the catalogs');
unlike($node->safe_psql('postgres', 'SELECT last_error FROM streaming.stat_streams UNION ALL SELECT last_error FROM streaming.views'), qr/app's secret/, 'and not told by errors');

$node->stop;
done_testing();
