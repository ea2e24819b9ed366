-- Triggers of a pushed stream, for INSERT and COPY, run as those of a table.
CREATE FOREIGN TABLE items (k int, note text) SERVER streaming OPTIONS (retention '1 day');
CREATE TABLE journal (n serial, said text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held bigint;
BEGIN
    SELECT count(*) INTO held FROM items;
    INSERT INTO journal (said) VALUES (format('%s %s: %s, %s rows', lower(TG_WHEN), lower(TG_LEVEL), NEW, held));
    RETURN NEW;
END $$;
CREATE FUNCTION mend() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.k < 0 THEN
        RETURN NULL;
    END IF;
    NEW.note = coalesce(NEW.note, 'mended');
    RETURN NEW;
END $$;
CREATE TRIGGER a_mend BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION mend();
CREATE TRIGGER b_tell BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER c_tell AFTER INSERT ON items FOR EACH ROW WHEN (NEW.k < 10) EXECUTE FUNCTION tell();
CREATE TRIGGER d_tell BEFORE INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER e_tell AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE VIEW counted WITH (streaming.trigger = 'manual') AS SELECT note, count(*), sum(k) FROM items GROUP BY note;
INSERT INTO items VALUES (1, NULL), (-1, 'passed over'), (2, 'whole') RETURNING *;
COPY items FROM STDIN;
3	\N
-3	\N
30	told once
\.
SELECT said FROM journal ORDER BY n;
SELECT streaming.drain('counted');
TABLE counted ORDER BY note;
-- a trigger after the statement alone sees its rows
DROP TRIGGER a_mend ON items; DROP TRIGGER b_tell ON items; DROP TRIGGER c_tell ON items; DROP TRIGGER d_tell ON items;
TRUNCATE journal;
INSERT INTO items SELECT i FROM generate_series(100, 102) i;
COPY items FROM STDIN;
103	\N
\.
SELECT said FROM journal ORDER BY n;
DROP TRIGGER e_tell ON items;
-- one that fails, one that writes to the stream itself
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'not %', NEW.k;
END $$;
CREATE TRIGGER refuse AFTER INSERT ON items FOR EACH ROW WHEN (NEW.k = 13) EXECUTE FUNCTION refuse();
INSERT INTO items VALUES (12), (13);
CREATE FUNCTION halve() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.k > 1 THEN
        INSERT INTO items VALUES (NEW.k / 2, 'half');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER halve AFTER INSERT ON items FOR EACH ROW WHEN (NEW.note = 'half') EXECUTE FUNCTION halve();
INSERT INTO items VALUES (16, 'half');
SELECT k FROM items WHERE note = 'half' ORDER BY k;
SELECT streaming.drain('counted');
SELECT * FROM counted WHERE note = 'half';
ALTER FOREIGN TABLE items DISABLE TRIGGER halve;
INSERT INTO items VALUES (32, 'half');
SELECT count(*) FROM items WHERE note = 'half';
-- what PostgreSQL does not have for foreign tables
CREATE TRIGGER t AFTER INSERT ON items REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON items DEFERRABLE FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER t INSTEAD OF INSERT ON items FOR EACH ROW EXECUTE FUNCTION tell();

-- Functions run as who inserts, and in a batch that writes to the stream as the view's owner.
CREATE ROLE regress_owner;
CREATE ROLE regress_guest;
CREATE ROLE regress_viewer;
GRANT CREATE ON SCHEMA public TO regress_owner, regress_viewer;
SET ROLE regress_owner;
CREATE FOREIGN TABLE logged (k int, who name, session name) SERVER streaming OPTIONS (retention '1 day');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.who = current_user;
    NEW.session = session_user;
    RETURN NEW;
END $$;
CREATE TRIGGER stamp BEFORE INSERT ON logged FOR EACH ROW EXECUTE FUNCTION stamp();
GRANT INSERT ON logged TO regress_guest;
GRANT INSERT, SELECT ON logged TO regress_viewer;
CREATE VIEW seen WITH (streaming.trigger = 'manual') AS SELECT k, who FROM logged;
SET ROLE regress_guest;
INSERT INTO logged VALUES (1);
CREATE TRIGGER mine BEFORE INSERT ON logged FOR EACH ROW EXECUTE FUNCTION stamp();
RESET ROLE;
GRANT SELECT ON items TO regress_viewer;
SET ROLE regress_viewer;
CREATE VIEW logging WITH (streaming.sink = 'logged', streaming.trigger = 'manual') AS SELECT k FROM items WHERE k = 32;
SELECT streaming.drain('logging');
-- what a trigger of another's does, it does as the view's owner, who may not do all that a user may
RESET ROLE;
CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SET SESSION AUTHORIZATION DEFAULT;
    RETURN NEW;
END $$;
INSERT INTO items VALUES (32, 'again');
SET ROLE regress_viewer;
SELECT streaming.drain('logging');
RESET ROLE;
SELECT k, who, session = current_user AS session FROM logged WHERE k = 1;
SELECT k, who, session = who FROM logged WHERE k = 32;
SELECT streaming.drain('seen');
TABLE seen ORDER BY k;

SET client_min_messages = warning;
DROP FOREIGN TABLE items, logged CASCADE;
DROP TABLE journal;
DROP FUNCTION tell, mend, refuse, halve, stamp;
REVOKE CREATE ON SCHEMA public FROM regress_owner, regress_viewer;
DROP ROLE regress_owner, regress_guest, regress_viewer;
