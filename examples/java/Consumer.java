// A back end that gets what devices publish, by RocketMQ's Java client:
//
//     java -cp 'lib/*' examples/java/Consumer.java 127.0.0.1:9876 lmqtt java-back-end [COUNT]
//
// Arguments: the name server, the RocketMQ topic, the consumer group, and after how many messages it
// ends (never, if there is none). It prints a line for each: MQTT topic, client, QoS and payload.

import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.MessageExt;

public class Consumer {
  public static void main(String[] args) throws Exception {
    String nameServer = args.length > 0 ? args[0] : "127.0.0.1:9876";
    String topic = args.length > 1 ? args[1] : "lmqtt";
    String group = args.length > 2 ? args[2] : "java-back-end";
    CountDownLatch left = new CountDownLatch(args.length > 3 ? Integer.parseInt(args[3]) : Integer.MAX_VALUE);

    DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
    consumer.setNamesrvAddr(nameServer);
    consumer.setVipChannelEnabled(false);
    // The tag of all that comes from devices.
    consumer.subscribe(topic, "MQTT_COMMON");
    consumer.registerMessageListener(
        (MessageListenerConcurrently)
            (messages, context) -> {
              for (MessageExt message : messages) {
                System.out.println(lineOf(message));
                left.countDown();
              }
              return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
    consumer.start();
    System.out.println("ready");
    left.await();
    // What was consumed is told to the broker.
    consumer.shutdown();
    System.exit(0);
  }

  private static String lineOf(MessageExt message) {
    // RocketMQ takes no empty body.
    boolean isEmpty = "true".equals(message.getUserProperty("IS_EMPTY_MSG"));
    String payload = isEmpty ? "" : new String(message.getBody(), StandardCharsets.UTF_8);
    return message.getUserProperty("originMqttTopic")
        + " from "
        + message.getUserProperty("lmqttPublisher")
        + " at QoS "
        + message.getUserProperty("qosLevel")
        + ": "
        + payload;
  }
}
