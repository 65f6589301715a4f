// Package events is the contract on the wire: the operations a worker is asked
// to do, the CloudEvents they travel in, the payloads of messages, and typed
// integration events.
//
// It stands below everything else. Ingest, workers, bots and the replay tools
// agree with each other only through what is written here, so a change in this
// package is a change of the protocol.
package events
