# Logical replication and pushed streams: a stream is no target of its own, which
# PostgreSQL says, and a trigger of a replicated table pushes its rows.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'wal_level = logical', 'max_wal_senders = 5', 'max_replication_slots = 5', 'wal_retrieve_retry_interval = 100ms');
my $connection = $node->connstr('publisher');

sub there { return $node->safe_psql('publisher', $_[0]); }
sub here { return $node->safe_psql('postgres', $_[0]); }

# In one server the slot must be there before.
sub subscribe
{
	my ($name, $publication) = @_;

	there("SELECT pg_create_logical_replication_slot('$name', 'pgoutput')");
	return ($node->psql('postgres', "CREATE SUBSCRIPTION $name CONNECTION \$c\$$connection\$c\$ PUBLICATION $publication
		WITH (create_slot = false, copy_data = false, slot_name = '$name')"))[2];
}

$node->safe_psql('postgres', 'CREATE DATABASE publisher');
there($_) foreach 'CREATE TABLE orders (id int PRIMARY KEY, total numeric)', 'CREATE TABLE parts (id int PRIMARY KEY, total numeric)',
	'CREATE TABLE kept (id int PRIMARY KEY, total numeric)', 'CREATE PUBLICATION orders FOR TABLE orders',
	'CREATE PUBLICATION parts FOR TABLE parts', 'CREATE PUBLICATION kept FOR TABLE kept';

# --- a stream ------------------------------------------------------------------

here('CREATE FOREIGN TABLE orders (id int, total numeric) SERVER streaming');
like(subscribe('to_stream', 'orders'), qr/ERROR:  cannot use relation "public\.orders" as logical replication target/, 'a stream cannot be subscribed for');
like(($node->psql('postgres', 'CREATE PUBLICATION streams FOR TABLE orders'))[2], qr/ERROR:  cannot add relation "orders" to publication/, 'nor published');
there(q(SELECT pg_drop_replication_slot('to_stream')));

# --- a partition ----------------------------------------------------------------

here(<<'SQL');
CREATE TABLE parts (id int NOT NULL, total numeric) PARTITION BY RANGE (id);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE FOREIGN TABLE parts_now PARTITION OF parts FOR VALUES FROM (100) TO (1000) SERVER streaming OPTIONS (retention '1 day');
SQL
is(subscribe('to_parts', 'parts'), '', 'a partitioned table with a stream can be');
there('INSERT INTO parts VALUES (1, 1)');
ok(wait_for($node, 'SELECT count(*) FROM parts_old', 1), 'rows of its tables are applied');
my $log = -s $node->logfile;
there('INSERT INTO parts VALUES (101, 1)');
ok($node->wait_for_log(qr/ERROR:  cannot use relation "public\.parts_now" as logical replication target/, $log), 'those of the stream are refused');
is(here('SELECT count(*) FROM parts_now'), 0, 'and are not there');
here('ALTER SUBSCRIPTION to_parts DISABLE');
here('ALTER SUBSCRIPTION to_parts SET (slot_name = NONE)');
here('DROP SUBSCRIPTION to_parts');

# --- a trigger -------------------------------------------------------------------

here(<<'SQL');
CREATE TABLE kept (id int PRIMARY KEY, total numeric);
CREATE FOREIGN TABLE changes (op text, id int, total numeric) SERVER streaming;
CREATE FUNCTION push() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO public.changes VALUES (TG_OP, coalesce(NEW.id, OLD.id), coalesce(NEW.total, 0) - coalesce(OLD.total, 0));
	RETURN NULL;
END $$;
CREATE TRIGGER push AFTER INSERT OR UPDATE OR DELETE ON kept FOR EACH ROW EXECUTE FUNCTION push();
ALTER TABLE kept ENABLE ALWAYS TRIGGER push;
CREATE VIEW sums WITH (streaming.continuous) AS SELECT count(*) AS n, sum(total) FROM changes;
SQL
is(subscribe('to_kept', 'kept'), '', 'an ordinary table is subscribed for');
there('INSERT INTO kept SELECT i, i FROM generate_series(1, 1000) i');
there('UPDATE kept SET total = total * 2 WHERE id <= 10');
there('DELETE FROM kept WHERE id = 1000');
there('BEGIN; INSERT INTO kept VALUES (0, 0); SAVEPOINT s; INSERT INTO kept VALUES (-1, 5); ROLLBACK TO s; INSERT INTO kept VALUES (-2, 7); COMMIT');
ok(wait_for($node, 'SELECT * FROM sums', '1013|' . (500500 + 55 - 1000 + 7)), 'its trigger pushes what is applied');
drain($node, 'sums');
is(here('SELECT sum FROM sums'), here('SELECT sum(total) FROM kept'), 'once');
here('ALTER SUBSCRIPTION to_kept DISABLE');
here('ALTER SUBSCRIPTION to_kept SET (slot_name = NONE)');
here('DROP SUBSCRIPTION to_kept');

$node->stop;
done_testing();
