RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA live, batch CASCADE;
