// The producer of RocketMQ's own Java client: sends one message, of the words in the file that the
// last argument names. It runs from its source.
//
//     java -cp 'lib/*' -Drocketmq.message.compressType=LZ4 JavaProducer.java NAMESRV TOPIC LMQS MQTT_TOPIC FILE

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
    DefaultMQProducer producer = new DefaultMQProducer("java-producer");
    producer.setNamesrvAddr(args[0]);
    producer.setVipChannelEnabled(false);
    producer.setMqClientApiTimeout(TIMEOUT_MS);
    producer.setSendMsgTimeout(TIMEOUT_MS);
    producer.start();
    Message message = new Message(args[1], "MQ2MQTT", Files.readAllBytes(Path.of(args[4])));
    message.putUserProperty("INNER_MULTI_DISPATCH", args[2]);
    message.putUserProperty("originMqttTopic", args[3]);
    SendResult sent = producer.send(message);
    if (sent.getSendStatus() != SendStatus.SEND_OK) throw new IllegalStateException(sent.toString());
  }
}
