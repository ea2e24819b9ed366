-- A user's table as the sink: upsert on the group key, rows that leave the
-- result are deleted; triggers, defaults and constraints work.
CREATE FOREIGN TABLE sales (shop text, item int, amount int) SERVER streaming;
CREATE TABLE totals (
    shop text NOT NULL, item int NOT NULL, total bigint CHECK (total < 1000),
    changed int DEFAULT 7, PRIMARY KEY (shop, item));
CREATE TABLE log (entry text);
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.log VALUES (TG_OP || ' ' || coalesce(NEW.shop, OLD.shop));
    RETURN NULL;
END
$$;
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON totals FOR EACH ROW EXECUTE FUNCTION log_change();

CREATE VIEW sold WITH (streaming.trigger = 'manual', streaming.sink = 'totals') AS
    SELECT shop, item, sum(amount) AS total FROM sales GROUP BY shop, item HAVING sum(amount) > 0;
INSERT INTO sales VALUES ('north', 1, 10), ('north', 1, 5), ('south', 2, 7), ('west', 1, -1);
SELECT streaming.drain('sold');
SELECT * FROM totals ORDER BY shop;
SELECT * FROM sold ORDER BY shop;
INSERT INTO sales VALUES ('north', 1, 1), ('south', 2, -7), ('west', 1, 2);
SELECT streaming.drain('sold');
SELECT * FROM totals ORDER BY shop;
SELECT * FROM log ORDER BY entry;

-- append
CREATE TABLE archive (id int GENERATED ALWAYS AS IDENTITY, shop text, amount int);
CREATE VIEW large WITH (streaming.trigger = 'manual', streaming.sink = 'archive') AS
    SELECT shop, amount FROM sales WHERE amount > 5;
INSERT INTO sales VALUES ('east', 3, 100), ('east', 3, 1), ('north', 1, 60);
SELECT streaming.drain('large');
SELECT * FROM archive ORDER BY shop;

-- a constraint of the table fails the batch, which is shown and not taken
INSERT INTO sales VALUES ('north', 1, 5000);
SELECT streaming.drain('sold');
SELECT view, status, last_error FROM streaming.views WHERE view = 'sold'::regclass;
SELECT total FROM totals WHERE shop = 'north';
ALTER TABLE totals DROP CONSTRAINT totals_total_check;
SELECT streaming.drain('sold');
SELECT total FROM totals WHERE shop = 'north';

-- the table outlives the view
DROP FOREIGN TABLE sales CASCADE;
SELECT count(*) FROM totals;
DROP TABLE totals, archive, log;
DROP FUNCTION log_change;
