import io.debezium.engine.*;
import io.debezium.engine.format.*;
import java.io.*;
import java.util.*;
import java.util.concurrent.*;

public class Record {
    static Properties common(String port, String schemas) {
        Properties p = new Properties();
        p.setProperty("name", "e");
        p.setProperty("offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore");
        p.setProperty("offset.flush.interval.ms", "1000");
        p.setProperty("database.hostname", "127.0.0.1");
        p.setProperty("database.port", port);
        p.setProperty("database.password", "x");
        p.setProperty("topic.prefix", "shop");
        p.setProperty("decimal.handling.mode", "string");
        p.setProperty("skipped.operations", "none");
        p.setProperty("provide.transaction.metadata", "true");
        p.setProperty("tombstones.on.delete", "true");
        p.setProperty("converter.schemas.enable", schemas);
        p.setProperty("key.converter.schemas.enable", schemas);
        p.setProperty("value.converter.schemas.enable", schemas);
        return p;
    }

    static void postgres(Properties p, String slot) {
        p.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
        p.setProperty("database.user", "postgres");
        p.setProperty("database.dbname", "postgres");
        p.setProperty("plugin.name", "pgoutput");
        p.setProperty("table.include.list", "public.orders");
        p.setProperty("slot.name", slot);
        p.setProperty("publication.name", slot);
    }

    static void mysql(Properties p) {
        p.setProperty("connector.class", "io.debezium.connector.mysql.MySqlConnector");
        p.setProperty("database.user", "debezium");
        p.setProperty("database.server.id", "85");
        p.setProperty("database.ssl.mode", "disabled");
        p.setProperty("database.include.list", "shop");
        p.setProperty("table.include.list", "shop.orders");
        p.setProperty("schema.history.internal", "io.debezium.relational.history.MemorySchemaHistory");
    }

    public static void main(String[] a) throws Exception {
        Properties p = common(a[1], a[3]);
        if (a[0].equals("mysql"))
            mysql(p);
        else
            postgres(p, a[4]);
        PrintWriter out = new PrintWriter(new FileWriter(a[2]), true);
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class).using(p)
            .notifying(r -> out.println(r.destination() + "\t" + r.key() + "\t" + r.value())).build();
        ExecutorService e = Executors.newSingleThreadExecutor();
        e.execute(engine);
        Thread.sleep(Long.parseLong(a[5]) * 1000);
        engine.close();
        System.exit(0);
    }
}
