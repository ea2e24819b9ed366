-- Writes the files of a part of the history, and compares.
\set ECHO none
SELECT first, last FROM parts WHERE part = :part \gset
CALL apply(:first, :last);
SELECT format('cat > %1$L/.part && mv %1$L/.part %1$L/people%2$s.json', :'dir', :part) AS people,
    format('cat > %1$L/.part && mv %1$L/.part %1$L/prices%2$s.csv', :'dir', :part) AS prices,
    format('cat > %1$L/.part && mv %1$L/.part %1$L/orders%2$s.json', :'dir', :part) AS orders \gset
COPY (SELECT json_build_object('id', k, 'name', 'p' || a, 'city', 'c' || b, 'age', c) FROM history
    WHERE n BETWEEN :first AND :last ORDER BY n) TO PROGRAM :'people' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
COPY (SELECT 's' || k % 5, k / 5, c / 10.0 FROM history WHERE n BETWEEN :first AND :last ORDER BY n)
    TO PROGRAM :'prices' (FORMAT csv);
COPY (SELECT envelope(history) FROM history WHERE n BETWEEN :first AND :last ORDER BY n)
    TO PROGRAM :'orders' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
SELECT * FROM compare();
\set ECHO all
