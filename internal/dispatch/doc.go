// Package dispatch runs one operation of one installation: it decodes, calls
// the integration's handler, recovers its panic, and has its error judged.
//
// It knows nothing of where operations come from nor of what becomes of the
// verdict. Workers, replays and the test kit all come through here, so that
// what a test shows is what production does.
package dispatch
