CREATE TABLE orders (id int PRIMARY KEY, customer text, amount numeric(10,2), big text, at timestamptz, day date, ok boolean, tags jsonb);
INSERT INTO orders VALUES (1, 'Ann', 12.50, NULL, '2026-01-01 12:00:00Z', '2026-01-01', true, '{"a": [1, "x"]}'), (2, 'Bob "the" builder', 99.00, NULL, NULL, NULL, false, NULL);
