// The producer of RocketMQ's own Java client: sends a message, of the words in the file that an
// argument names, once for each compression and with its light queues and MQTT topic. It runs from
// its source.
//
//     java -cp 'lib/*' JavaProducer.java NAMESRV TOPIC FILE (COMPRESSION LMQS MQTT_TOPIC)...

import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

public class JavaProducer {
  private static final int TIMEOUT_MS = 30_000;

  public static void main(String[] args) {
    try {
      send(args);
      System.exit(0);
    } catch (Exception failure) {
      failure.printStackTrace();
      // Threads of the client would keep the process.
      System.exit(1);
    }
  }

  private static void send(String[] args) throws Exception {
    byte[] body = Files.readAllBytes(Path.of(args[2]));
    for (int at = 3; at < args.length; at += 3) {
      // Each producer reads it when it is made.
      System.setProperty("rocketmq.message.compressType", args[at]);
      DefaultMQProducer producer = new DefaultMQProducer("java-producer-" + args[at]);
      producer.setNamesrvAddr(args[0]);
      producer.setVipChannelEnabled(false);
      producer.setMqClientApiTimeout(TIMEOUT_MS);
      producer.setSendMsgTimeout(TIMEOUT_MS);
      producer.start();
      Message message = new Message(args[1], "MQ2MQTT", body);
      message.putUserProperty("INNER_MULTI_DISPATCH", args[at + 1]);
      message.putUserProperty("originMqttTopic", args[at + 2]);
      SendResult sent = producer.send(message);
      if (sent.getSendStatus() != SendStatus.SEND_OK)
        throw new IllegalStateException(sent.toString());
    }
  }
}
