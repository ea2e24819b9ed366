# Foreign tables found by looking at topics.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.connect_timeout = 20s');
my ($clicks, $empty, $noise) = map { $kafka->create_topic($_, 3) } qw(import-clicks import_empty import_noise);

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub error_of { my ($out, $err) = ('', ''); $node->psql('postgres', $_[0], stdout => \$out, stderr => \$err); return $err }

# The first message of each partition is too old to be looked at.
$kafka->produce($clicks, $_, [ '{"old": 1}', map { sprintf '{"n": %d, "url": "/%d", "at": "2026-11-30T05:00:0%dZ", "Who": {"id": 1}}', $_, $_, $_ % 10 } 1 .. 400 ]) foreach 0 .. 2;
$kafka->produce($clicks, 1, [ 'nonsense', [ 'key', undef ], '{"n": 1.5}' ]);
$kafka->produce($noise, 0, [ 'a', 'b' ]);

sql(<<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}');
CREATE SCHEMA found;
SQL
my $err = error_of(qq(IMPORT FOREIGN SCHEMA topics LIMIT TO ("$clicks", "$empty", "$noise") FROM SERVER broker INTO found));
like($err, qr/WARNING:  foreign table "$empty" is not created/, 'a topic without messages is told');
like($err, qr/WARNING:  foreign table "$noise" is not created/, 'and one without JSON');
is(sql('SELECT foreign_table_name FROM information_schema.foreign_tables'), $clicks, 'a foreign table for the other');
is(sql(qq(SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'found')),
	'n numeric, url text, at timestamp with time zone, Who jsonb', 'with the columns of its last messages');
is(sql(qq(SELECT count(n), max(at) AT TIME ZONE 'UTC', max("Who"::text) FROM found."$clicks")), '1201|2026-11-30 05:00:09|{"id": 1}', 'that can be read');
sql(qq(CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) FROM found."$clicks"));
drain($node, 'v');
is(sql('SELECT * FROM v'), sql(qq(SELECT count(*) FROM found."$clicks")), 'also by a view');

like(error_of('IMPORT FOREIGN SCHEMA public FROM SERVER broker INTO found'), qr/server "broker" has no schema "public".*called "topics"/s, 'another schema');
sql('CREATE ROLE nobody');
like(error_of('SET ROLE nobody; IMPORT FOREIGN SCHEMA topics FROM SERVER broker INTO found'), qr/permission denied for foreign server broker/, 'who may not use the server');

# A broker that does not answer.
sql(q(SET client_min_messages = error; CREATE SERVER gone FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1')));
like(error_of(q(SET streaming.connect_timeout = '500ms'; IMPORT FOREIGN SCHEMA topics FROM SERVER gone INTO found)), qr/no answer from Kafka about the topics of server "gone"/, 'a broker that is down');
like(error_of(q(SET statement_timeout = '300ms'; IMPORT FOREIGN SCHEMA topics FROM SERVER gone INTO found)), qr/canceling statement due to statement timeout/, 'nobody has to wait for it');

$node->stop;
done_testing();
