// Package worker takes deliveries from the queues and brings each to its end:
// done, or a dead letter. Any number of workers share the work.
//
// What must stay in order forms a lane, which one goroutine serves: it reads
// the next message after the lane's cursor from the stream, runs it, remembers
// that its delivery is done, and moves the cursor by compare-and-swap. So two
// workers that both believe they own a partition can do work twice, but never
// out of order and never past a gap. Deliveries without an ordering key run in
// parallel and have no cursor.
package worker
