import io.debezium.engine.*;
import io.debezium.engine.format.*;
import java.io.*;
import java.util.*;
import java.util.concurrent.*;

public class Record {
    public static void main(String[] a) throws Exception {
        Properties p = new Properties();
        p.setProperty("name", "e");
        p.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
        p.setProperty("offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore");
        p.setProperty("offset.flush.interval.ms", "1000");
        p.setProperty("database.hostname", "127.0.0.1");
        p.setProperty("database.port", a[0]);
        p.setProperty("database.user", "postgres");
        p.setProperty("database.password", "x");
        p.setProperty("database.dbname", "postgres");
        p.setProperty("topic.prefix", "shop");
        p.setProperty("plugin.name", "pgoutput");
        p.setProperty("table.include.list", "public.orders");
        p.setProperty("decimal.handling.mode", "string");
        p.setProperty("skipped.operations", "none");
        p.setProperty("provide.transaction.metadata", "true");
        p.setProperty("tombstones.on.delete", "true");
        p.setProperty("converter.schemas.enable", a[2]);
        p.setProperty("key.converter.schemas.enable", a[2]);
        p.setProperty("value.converter.schemas.enable", a[2]);
        p.setProperty("slot.name", a[3]);
        p.setProperty("publication.name", a[3]);
        PrintWriter out = new PrintWriter(new FileWriter(a[1]), true);
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class).using(p)
            .notifying(r -> out.println(r.destination() + "\t" + r.key() + "\t" + r.value())).build();
        ExecutorService e = Executors.newSingleThreadExecutor();
        e.execute(engine);
        Thread.sleep(Long.parseLong(a[4]) * 1000);
        engine.close();
        System.exit(0);
    }
}
