/** A group of this form is there without being made, on all brokers. */
export const readGroup = '%LMQ%lmqtt';
