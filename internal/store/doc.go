// Package store keeps what integrations and bots share: users, conversations,
// messages, events, states, and the installations themselves. It answers every
// operation of the client package, on nothing but streams and buckets.
//
// Three rules hold it together. What is unique is decided by compare-and-swap
// on one key, so any number of processes may ask at once. What somebody must
// be told of is committed by its stream message, which carries the whole
// entity; the record in a bucket is made from it and can be made again. And an
// effect's id comes from the effect's identity, so doing it again finds what
// was done.
package store
