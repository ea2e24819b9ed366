-- Options of servers and user mappings. Those of Kafka are librdkafka's
-- properties; who may set which, and to what, depends on the role.
CREATE SERVER broker FOREIGN DATA WRAPPER kafka
    OPTIONS (bootstrap_servers 'localhost:1', "fetch.wait.max.ms" '100', security_protocol 'sasl_plaintext', sasl_mechanism 'PLAIN');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka;
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_server 'localhost:1');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', topic 'x');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', "bootstrap.servers" 'localhost:2');
\set VERBOSITY terse
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'plain');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', fetch_wait_max_ms 'long');
\set VERBOSITY default
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', enable_auto_commit 'true');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', delivery_timeout_ms '1');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'SASL_SSL');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'SASL_SSL', sasl_mechanism 'plain');
ALTER SERVER broker OPTIONS (DROP bootstrap_servers);
ALTER SERVER broker OPTIONS (SET "fetch.wait.max.ms" '200');

-- secrets are the user's
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', sasl_password 'secret');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', "ssl.key.password" 'secret');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (sasl_username 'app', sasl_password 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS (fetch_wait_max_ms '100');
CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS (sasl_passwrd 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS ("user" 'app');
CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS (password 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS (sasl_oauthbearer_config 'principal=app a secret');
CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS (sasl_oauthbearer_config 'principal=app lifeSeconds=99999999');
CREATE USER MAPPING FOR PUBLIC SERVER broker OPTIONS (ssl_key_password E'sec\nret');
CREATE USER MAPPING FOR PUBLIC SERVER broker;

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere');
CREATE SERVER bad FOREIGN DATA WRAPPER directory;
CREATE SERVER bad FOREIGN DATA WRAPPER directory OPTIONS (path 'nowhere');
CREATE SERVER bad FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere', format 'csv');
CREATE SERVER bad FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere', follow_symlinks 'perhaps');
CREATE USER MAPPING FOR PUBLIC SERVER landing OPTIONS (password 'secret');
CREATE SERVER bad FOREIGN DATA WRAPPER streaming OPTIONS (path '/nowhere');
ALTER FOREIGN DATA WRAPPER kafka OPTIONS (ADD topic 'x');

-- names of files and programs of the server are not for everybody
CREATE ROLE regress_streaming_admin;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka, directory TO regress_streaming_admin;
GRANT USAGE ON FOREIGN SERVER landing TO regress_streaming_admin;
CREATE SCHEMA regress_streaming_admin AUTHORIZATION regress_streaming_admin;
SET ROLE regress_streaming_admin;
CREATE SERVER own FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', ssl_ca_location '/etc/passwd');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', sasl_kerberos_kinit_cmd 'touch /tmp/x');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', sasl_mechanism 'GSSAPI');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', internal_termination_signal '9');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', queued_max_messages_kbytes '2000000');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', reconnect_backoff_max_ms '0');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', debug 'all');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', sasl_oauthbearer_token_endpoint_url 'file:///etc/passwd');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', client_software_name 'x');
CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', client_id E'x\nLOG:  forged');
CREATE USER MAPPING FOR CURRENT_USER SERVER own OPTIONS (sasl_kerberos_principal 'x; touch /tmp/p; true ');
CREATE USER MAPPING FOR CURRENT_USER SERVER own OPTIONS (sasl_kerberos_principal '-S');
CREATE USER MAPPING FOR CURRENT_USER SERVER own OPTIONS (internal_termination_signal '9');
CREATE USER MAPPING FOR CURRENT_USER SERVER own OPTIONS (ssl_key_location '/etc/passwd');
CREATE SERVER bad FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere');
CREATE FOREIGN TABLE regress_streaming_admin.bad (a int) SERVER landing OPTIONS (path '*.json');
RESET ROLE;
GRANT pg_read_server_files TO regress_streaming_admin;
SET ROLE regress_streaming_admin;
CREATE SERVER own_files FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere');
CREATE SERVER bad FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere', follow_symlinks 'true');
ALTER SERVER own_files OPTIONS (ADD follow_symlinks 'false');
CREATE USER MAPPING FOR CURRENT_USER SERVER own OPTIONS (sasl_kerberos_keytab '/nowhere/"; touch /tmp/p; "');
ALTER SERVER own OPTIONS (ADD ssl_ca_location '/nowhere/ca.pem');
RESET ROLE;
\set VERBOSITY terse
DROP SERVER broker, landing, own, own_files CASCADE;
DROP OWNED BY regress_streaming_admin;
DROP ROLE regress_streaming_admin;
