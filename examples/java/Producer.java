// A back end that sends to devices, by RocketMQ's Java client:
//
//     java -cp 'lib/*' examples/java/Producer.java 127.0.0.1:9876 lmqtt home/lamp on
//
// Arguments: the name server, the RocketMQ topic, the MQTT topic and the payload. Every client that
// has subscribed to the MQTT topic gets the message, by whatever filter, connected or not.

import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

public class Producer {
  public static void main(String[] args) throws Exception {
    String nameServer = args.length > 0 ? args[0] : "127.0.0.1:9876";
    String topic = args.length > 1 ? args[1] : "lmqtt";
    String mqttTopic = args.length > 2 ? args[2] : "home/lamp";
    String payload = args.length > 3 ? args[3] : "on";

    DefaultMQProducer producer = new DefaultMQProducer("java-producer");
    producer.setNamesrvAddr(nameServer);
    producer.setVipChannelEnabled(false);
    // The first answer of a cold broker takes longer than the 3 s that the client has by itself.
    producer.setSendMsgTimeout(20_000);
    producer.setMqClientApiTimeout(20_000);
    producer.start();
    try {
      Message message = new Message(topic, "MQ2MQTT", payload.getBytes(StandardCharsets.UTF_8));
      message.putUserProperty("mqttTopic", mqttTopic);
      message.putUserProperty("qosLevel", "1");
      // Further ones: docs/rocketmq.md.
      SendResult sent = producer.send(message);
      System.out.println(sent.getSendStatus() + " " + sent.getMsgId());
    } finally {
      producer.shutdown();
    }
    System.exit(0);
  }
}
