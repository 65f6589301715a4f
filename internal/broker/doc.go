// Package broker is the only package that speaks NATS: subjects, streams and
// buckets, publishing, partition leases, doorbells, and reading back.
//
// What it promises rests on what JetStream makes durable: an acknowledged
// publish, and compare-and-swap on a subject. It never rests on consumer acks,
// which a single server forgets when it is killed, nor on the order of
// redeliveries. So a delivery from a consumer is only a doorbell: it says that
// a lane has work, and the lane reads the next message of its own subject from
// the stream, after its own cursor.
package broker
